/* import.c: see import.h. */
#include "import.h"
#include "convert.h"
#include "draft.h"
#include "exit-code.h"
#include "first-start.h"
#include "host-qemu.h"
#include "identity.h"
#include "forwards.h"
#include "import-bundle.h"
#include "import-steps.h"
#include "import-turn.h"
#include "life.h"
#include "made-files.h"
#include "open-regular.h"
#include "import-place.h"
#include "qemu-args.h"
#include "sources.h"
#include "space.h"
#include "start-script.h"
#include "uefi-vars.h"
#include "unit-text.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { SOCKET_QMP, SOCKET_VNC, SOCKET_AGENT, SOCKET_SERIAL, SOCKET_COUNT = SOCKET_SERIAL + GUEST_SERIALS_MAX };
static const char *const socket_endings[SOCKET_COUNT] = {"qmp", "vnc", "agent", "serial", "serial2", "serial3", "serial4"};

struct import {
	const struct import_options *o;
	struct life *life;
	struct guest_description d;
	struct sources s;
	struct host_qemu qemu;
	struct firmware uefi;
	struct line line;
	struct made made;
	struct import_turn turn;
	char *dir, *plain; /* the name as part of a file's */
	char *machine, *script, *vars;
	char *sockets[SOCKET_COUNT];
	struct {
		uint8_t *p; /* NULL: it has none */
		size_t bytes;
		bool are_own;
	} nvram;			  /* variables of its UEFI, as they begin */
	char *disks[GUEST_DISKS_MAX + 1]; /* paths of the new disks; NULL for a drive */
	uint64_t bytes[GUEST_DISKS_MAX];
	const char *nets[GUEST_NICS_MAX];
	bool kvm;
};

/* ---- names ---- */

static int choose_name(struct import *m, struct err *e)
{
	char *name;
	int r = place_name(&name, m->o->name, m->d.name, e);

	if (r)
		return r;
	free(m->d.name);
	m->d.name = name;
	m->plain = unit_plain_name(name);
	return 0;
}

static bool has_socket(const struct guest_description *d, size_t i)
{
	return i < SOCKET_AGENT || (i == SOCKET_AGENT ? d->has.agent : i - SOCKET_SERIAL < d->has.serials);
}

static void choose_files(struct import *m)
{
	size_t disks = 0, n = 0, i;

	for (i = 0; i < m->d.disk_count; i++)
		disks += !m->d.disks[i].cdrom;
	for (i = 0; i < m->d.disk_count; i++)
		if (!m->d.disks[i].cdrom)
			m->disks[i] = disks == 1 ? xasprintf("%s/%s.%s", m->dir, m->plain, m->o->format)
						 : xasprintf("%s/%s-%zu.%s", m->dir, m->plain, ++n, m->o->format);
	m->script = xasprintf("%s/%s.sh", m->dir, m->plain);
	m->vars = xasprintf("%s/%s-vars.fd", m->dir, m->plain);
	for (i = 0; i < SOCKET_COUNT; i++)
		if (has_socket(&m->d, i))
			m->sockets[i] = xasprintf("%s/%s.%s", m->dir, m->plain, socket_endings[i]);
}

/* Names that the import gives, the guest's among them, are nobody's yet. */
static int check_names(const struct import *m, struct err *e)
{
	int r = place_has_no_guest(m->d.name, e);

	for (size_t i = 0; !r && i < m->d.disk_count; i++)
		r = m->disks[i] ? place_is_free(m->disks[i], e) : 0;
	r = r ?: place_is_free(m->script, e);
	for (size_t i = 0; !r && i < SOCKET_COUNT; i++)
		r = m->sockets[i] ? place_fits_socket(m->sockets[i], e) : 0;
	return r;
}

/* ---- identity ---- */

static void give_identity(struct import *m)
{
	char uuid[UUID_CHARS + 1];

	if (m->o->clone || !m->d.uuid) {
		identity_uuid(uuid);
		free(m->d.uuid);
		m->d.uuid = xstrdup(uuid);
	}
	if (m->d.genid && (m->o->clone || !*m->d.genid)) {
		free(m->d.genid);
		identity_uuid(uuid);
		m->d.genid = xstrdup(uuid);
	}
	for (size_t i = 0; i < m->d.nic_count; i++) {
		struct described_nic *n = &m->d.nics[i];

		if (n->has_mac && !m->o->clone)
			continue;
		identity_mac(n->mac);
		n->has_mac = true;
	}
}

/* ---- the machine ---- */

static int is_host_file(const char *path, const char *what, struct err *e)
{
	int fd = *path == '/' ? open_regular(path) : -EINVAL;

	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 0 : err_set(e, -fd, "the %s %s: %s", what, path, *path == '/' ? strerror(-fd) : "no absolute path");
}

static int check_direct_boot(const struct guest_description *d, struct err *e)
{
	int r = d->direct.kernel ? is_host_file(d->direct.kernel, "kernel", e) : 0;

	return r || !d->direct.kernel || !d->direct.initrd ? r : is_host_file(d->direct.initrd, "initrd", e);
}

/* A guest that was started with secure boot starts without it, too. */
static int find_firmware(struct import *m, struct err *e)
{
	int r = firmware_find(&m->uefi, m->machine, m->d.uefi.secure_boot, e);

	if (r != -ENOENT || !m->d.uefi.secure_boot)
		return r;
	r = firmware_find(&m->uefi, m->machine, false, e);
	if (r)
		return r;
	m->d.uefi.secure_boot = false;
	description_note(&m->d, "there is no firmware with secure boot for %s here: it is off", m->machine);
	return 0;
}

/* The guest's own variables where they fit this firmware, or new ones. */
static int read_vars(struct import *m, struct err *e)
{
	uint8_t *own = NULL;
	size_t own_bytes = 0;
	struct err why;
	int r = uefi_vars_read(m->qemu.img, m->uefi.vars, &m->nvram.p, &m->nvram.bytes, e);

	if (r)
		return r;
	if (m->s.vars) {
		own = m->s.vars;
		own_bytes = m->s.vars_bytes;
		m->s.vars = NULL;
	} else if (!m->d.uefi.nvram || *m->d.uefi.nvram != '/' || uefi_vars_read(m->qemu.img, m->d.uefi.nvram, &own, &own_bytes, &why)) {
		return 0;
	}
	if (uefi_vars_fit(own, own_bytes, m->nvram.bytes)) {
		free(m->nvram.p);
		m->nvram.p = own;
		m->nvram.are_own = true;
		return 0;
	}
	free(own);
	return 0;
}

static int decide(struct import *m, struct err *e)
{
	struct guest_description *d = &m->d;
	AUTO_FREE char *help = NULL;
	int r;

	help = d->cpu_model ? host_qemu_help(&m->qemu, "-cpu", "help") : NULL;
	line_check_cpu(d, help);
	line_decide(d, &m->o->wishes, host_qemu_has, &m->qemu);
	m->machine = host_qemu_machine(&m->qemu, d);
	if (!m->machine)
		return err_set(e, ENOTSUP, "%s has no machine of the guest's kind, %s", m->qemu.exe,
			       d->machine == MACHINE_PC ? "pc (i440fx)" : "q35");
	if (m->o->accel && !strcmp(m->o->accel, "kvm") && !m->qemu.kvm)
		return err_set(e, ENODEV, "--accel kvm: /dev/kvm cannot be used by this user");
	m->kvm = m->o->accel ? !strcmp(m->o->accel, "kvm") : m->qemu.kvm;
	if (!m->kvm && !m->o->accel)
		description_note(d, "there is no KVM here for this user: the guest is emulated (TCG), which is slow");
	r = d->firmware == FIRMWARE_UEFI ? place_is_free(m->vars, e) : 0;
	if (!r && d->firmware == FIRMWARE_UEFI)
		r = find_firmware(m, e);
	if (!r && d->firmware == FIRMWARE_UEFI)
		r = read_vars(m, e);
	return r ?: line_check_sectors(d, e) ?: check_direct_boot(d, e);
}

/* A line that vmferry itself could not move later is worth a word. */
static void note_what_cannot_be_moved(struct import *m)
{
	struct args_options o = {.cwd = "/", .tpm = true};
	struct args_result result;
	struct err e;

	if (qemu_args_rewrite(&result, m->line.argv, m->line.argc, &o, &e) < 0)
		description_note(&m->d, "vmferry migrate will refuse it: %s", e.msg);
	else
		args_result_fini(&result);
}

static int make_line(struct import *m, struct err *e)
{
	struct line_host h = {.machine = m->machine,
			      .kvm = m->kvm,
			      .uefi = &m->uefi,
			      .vars = m->vars,
			      .format = m->o->format,
			      .disks = m->disks,
			      .nets = m->nets,
			      .qmp = m->sockets[SOCKET_QMP],
			      .vnc = m->sockets[SOCKET_VNC],
			      .agent = m->sockets[SOCKET_AGENT],
			      .serials = m->sockets + SOCKET_SERIAL,
			      .sandbox = m->qemu.sandbox,
			      .more = m->o->more,
			      .more_count = m->o->more_count};
	int r = line_make(&m->line, &m->d, &h, e);

	if (!r)
		note_what_cannot_be_moved(m);
	return r;
}

/* ---- room ---- */

/* A disk that has no file where it comes from is empty there: a data disk that the appliance formats. */
static void note_blank(struct import *m, size_t i)
{
	const struct described_disk *k = &m->d.disks[i];
	char size[24];

	m->bytes[i] = (k->capacity + 511) / 512 * 512;
	description_note(&m->d, "the disk %.60s has no file there: a blank one of %s is made", k->label ? k->label : "?",
			 format_bytes(size, m->bytes[i]));
}

/* Checks that there is room for so much of each disk, beside what others were promised. */
static int find_room(struct import *m, const uint64_t *needs, struct err *e)
{
	uint64_t needed = 0;
	int r;

	for (size_t i = 0; i < m->d.disk_count; needed += needs[i++])
		;
	r = space_check_dir(m->dir, needed, "the disks", e);
	for (size_t i = 0; i < m->d.disk_count && !r; i++)
		if (needs[i])
			import_turn_needs(&m->turn, m->disks[i], needs[i]);
	return r ?: import_turn_promise(&m->turn, m->life, m->o->start == IMPORT_NO_START ? 0 : m->d.memory_bytes, m->dir, e);
}

static int measure_disk(struct import *m, size_t i, uint64_t *needed, struct err *e)
{
	const struct described_disk *k = &m->d.disks[i];
	int r;

	if (!m->s.disks[i].path && m->s.numbers[i])
		m->bytes[i] = k->capacity;
	else if (!m->s.disks[i].path)
		note_blank(m, i);
	if (!m->s.disks[i].path)
		return 0;
	r = convert_measure(m->qemu.img, &m->s.disks[i], &m->bytes[i], needed, e);
	if (!r && k->capacity && k->capacity != m->bytes[i])
		description_note(&m->d, "the disk %s has %llu bytes, and not %llu as described", k->file, (unsigned long long)m->bytes[i],
				 (unsigned long long)k->capacity);
	return r;
}

static int measure(struct import *m, struct err *e)
{
	uint64_t needs[GUEST_DISKS_MAX] = {0};
	int r = 0;

	for (size_t i = 0; i < m->d.disk_count && !r; i++)
		r = m->disks[i] ? measure_disk(m, i, &needs[i], e) : 0;
	r = r ?: find_room(m, needs, e);
	if (r != -ENOSPC)
		return r;
	life_stage(life_now(), "looking for zeros");
	r = convert_measure_zeros(m->s.disks, m->d.disk_count, needs, e);
	import_turn_has_written(&m->turn, m->life); /* the turn says anew what room it needs */
	return r ?: find_room(m, needs, e);
}

/* ---- the plan in words ---- */

static const char *net_words(const char *net)
{
	return !strcmp(net, "user")   ? "user: QEMU's own NAT; the guest can connect out, but no other host can connect to it"
	       : !strcmp(net, "none") ? "none: the cable is not plugged in"
				      : net;
}

/* The name of a disk's source: its whole path, unless it lies beside its description. */
static const char *source_name(const struct import *m, size_t i)
{
	const char *path = m->s.disks[i].path, *of = m->s.description;
	size_t dir = of ? (size_t)(described_base(of) - of) : 0;

	if (m->s.spool.path && !strncmp(path, m->s.spool.path, strlen(m->s.spool.path)))
		return described_base(m->d.disks[i].file);
	return !of || m->s.is_ova || m->s.archive || (!strncmp(path, of, dir) && !strchr(path + dir, '/'))
		       ? described_base(m->d.disks[i].file)
		       : path;
}

static void add_disks(const struct import *m, json_t *rows)
{
	const struct guest_description *d = &m->d;
	char size[24];

	for (size_t i = 0; i < d->disk_count; i++) {
		const struct described_disk *k = &d->disks[i];

		if (k->cdrom)
			life_row(rows, "drive", "CD-ROM without a medium, %s", disk_bus_name(k->bus));
		else if (!m->s.disks[i].path && m->s.numbers[i])
			life_row(rows, "disk", "%s (in the archive, %s) -> %s, on %s", k->label ?: described_base(k->file ?: "?"),
				 format_bytes(size, m->bytes[i]), m->disks[i], disk_bus_name(k->bus));
		else if (!m->s.disks[i].path)
			life_row(rows, "disk", "blank (%s) -> %s, on %s", format_bytes(size, m->bytes[i]), m->disks[i],
				 disk_bus_name(k->bus));
		else
			life_row(rows, "disk", "%s (%s, %s) -> %s, on %s", source_name(m, i), m->s.disks[i].driver,
				 format_bytes(size, m->bytes[i]), m->disks[i], disk_bus_name(k->bus));
	}
}

static void add_nics(const struct import *m, json_t *rows)
{
	for (size_t i = 0; i < m->d.nic_count; i++) {
		const struct described_nic *n = &m->d.nics[i];
		AUTO_FREE char *there = network_there(n);
		const uint8_t *a = n->mac;

		life_row(rows, "nic", "#%zu %s, %02x:%02x:%02x:%02x:%02x:%02x%s%s -> %s", i + 1, n->model, a[0], a[1], a[2], a[3], a[4],
			 a[5], there ? ", there on " : "", there ? there : "", net_words(m->nets[i]));
	}
}

static json_t *plan_rows(const struct import *m)
{
	const struct guest_description *d = &m->d;
	const char *vars = d->uefi.nvram ? d->uefi.nvram : d->uefi.efi.label;
	json_t *rows = json_array();

	add_disks(m, rows);
	add_nics(m, rows);
	if (d->direct.kernel)
		life_row(rows, "kernel", "%s%s%s", d->direct.kernel, d->direct.initrd ? " with " : "", d->direct.initrd ?: "");
	if (vars && d->firmware == FIRMWARE_UEFI && m->nvram.are_own)
		life_row(rows, "uefi", "the variables are those of %s", vars);
	else if (vars && d->firmware == FIRMWARE_UEFI && m->s.efi_number && m->o->dry_run)
		life_row(rows, "uefi", "the variables (%s) are in the archive", vars);
	else if (vars && d->firmware == FIRMWARE_UEFI)
		life_row(rows, "uefi", "the variables (%s) do not fit the firmware here, or cannot be read: it begins with new ones", vars);
	if (m->sockets[SOCKET_AGENT])
		life_row(rows, "agent", "the guest agent is heard at %s", m->sockets[SOCKET_AGENT]);
	for (size_t i = SOCKET_SERIAL; i < SOCKET_COUNT && m->sockets[i]; i++)
		life_row(rows, "serial", "port %zu is the socket %s", i - SOCKET_SERIAL + 1, m->sockets[i]);
	life_row(rows, "uuid", "%s%s", d->uuid, m->o->clone ? " (new)" : "");
	for (size_t i = 0; i < d->note_count; i++)
		life_row(rows, "note", "%s", d->notes[i]);
	if (m->s.manifest_name)
		life_row(rows, "digests", "all as %s says", m->s.manifest_name);
	if (m->s.description && !m->s.manifest_name && !strncmp(d->origin, "OVF", 3))
		life_row(rows, "note", "there is no manifest (.mf): nothing tells whether the files are whole");
	life_row(rows, "inside", "nothing in the guest is changed: drivers, addresses and what it knows of its old host stay as they are");
	return rows;
}

static json_t *plan(const void *ctx)
{
	const struct import *m = ctx;
	const struct guest_description *d = &m->d;
	char memory[24];
	AUTO_FREE char *title = xasprintf("importing guest %s (%s): %s of memory, %u vCPU%s, %s%s, %s, %s", d->name, d->origin,
					  format_bytes(memory, d->memory_bytes), d->cpu.count, d->cpu.count == 1 ? "" : "s",
					  d->firmware == FIRMWARE_UEFI ? "UEFI" : "BIOS", d->uefi.secure_boot ? " with secure boot" : "",
					  m->machine, m->kvm ? "KVM" : "TCG");

	text_make_utf8(title);
	return json_pack("{s:s,s:o}", "title", title, "rows", plan_rows(m));
}

static char *line(const void *ctx)
{
	const struct import *m = ctx;

	return qemu_args_start_line(m->line.argv, m->line.argc, m->qemu.exe, NULL);
}

/* ---- what is read and made ---- */

struct verifying {
	uint64_t done, total;
};

static int on_verified(void *ctx, uint64_t bytes)
{
	struct verifying *v = ctx;

	v->done += bytes;
	life_percent(life_now(), v->total ? 100.0 * (double)v->done / (double)v->total : 0);
	return life_interrupted() ? -1 : 0;
}

static int verify(struct import *m, struct err *e)
{
	struct verifying v = {.total = sources_verify_bytes(&m->s)};

	life_stage(life_now(), "verifying");
	return sources_verify(&m->s, on_verified, &v, e);
}

/* A plan writes nothing, so it is made of what the archive says of itself. */
static bool stays_packed(const struct import *m)
{
	return m->o->dry_run && m->s.archive;
}

static int unpack(struct import *m, struct err *e)
{
	if (stays_packed(m)) {
		description_note(&m->d, "the disks stay in the archive: what is on them is looked at when they are imported");
		return 0;
	}
	if (m->s.archive)
		life_stage(life_now(), "unpacking");
	return sources_unpack(&m->s, &m->d, m->dir, e);
}

static int convert_disks(struct import *m, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < m->d.disk_count; i++) {
		AUTO_FREE char *what = NULL;
		const char *draft;

		if (!m->disks[i])
			continue;
		what = xasprintf("converting %s", described_base(m->disks[i]));
		r = made_add(&m->made, m->disks[i], &draft, e);
		if (!r)
			import_turn_is_written(&m->turn, m->life, m->disks[i], draft);
		if (!r)
			r = m->s.disks[i].path ? convert_image(m->qemu.img, &m->s.disks[i], draft, m->o->format, NULL, what, e)
					       : convert_blank(m->qemu.img, draft, m->o->format, false, m->bytes[i], e);
	}
	return r;
}

static int make_vars(struct import *m, struct err *e)
{
	const char *draft;
	int r = m->nvram.bytes ? made_add(&m->made, m->vars, &draft, e) : 0;

	return r || !m->nvram.bytes ? r : draft_write(draft, m->nvram.p, m->nvram.bytes, 0600, e);
}

static int make_script(struct import *m, struct err *e)
{
	AUTO_FREE char *came = xasprintf("imported from %s", m->o->named.files[0]);
	const struct start_script s = {.guest = m->d.name, .came = came, .exe = m->qemu.exe, .argv = m->line.argv, .argc = m->line.argc};

	return import_make_script(&m->made, m->script, &s, e);
}

static int start(struct import *m, pid_t *pid, struct err *e)
{
	int r;

	if (m->o->start == IMPORT_NO_START)
		return 0;
	for (size_t i = 0; i < SOCKET_COUNT; i++)
		if (m->sockets[i] && place_is_free(m->sockets[i], e)) /* looked at before the disks were made */
			return -e->code;
	r = first_start(m->qemu.exe, m->line.argv, m->sockets[SOCKET_QMP], NULL, m->o->start == IMPORT_PAUSED, pid, e);
	for (size_t i = 0; r && i < SOCKET_COUNT; i++)
		if (m->sockets[i])
			place_remove_socket(m->sockets[i]);
	return r;
}

static int make(void *ctx, pid_t *pid, struct err *e)
{
	struct import *m = ctx;
	int r = convert_disks(m, e) ?: make_vars(m, e) ?: make_script(m, e);

	if (!r && life_interrupted())
		r = err_set(e, ECANCELED, "interrupted");
	r = r ?: made_name(&m->made, e);
	if (!r)
		import_turn_has_written(&m->turn, m->life);
	return r ?: start(m, pid, e);
}

/* ---- */

/* A description that has lost its disks makes a guest that cannot start. */
static int has_disk(const struct import *m, struct err *e)
{
	bool is_blank = false;

	for (size_t i = 0; i < m->d.disk_count; i++) {
		if (m->s.disks[i].path || m->s.numbers[i])
			return 0;
		is_blank |= !m->d.disks[i].cdrom;
	}
	if (m->d.direct.kernel || m->o->no_disk)
		return 0;
	return err_set(e, EINVAL, "%s describes a guest %s: if that is meant, say --no-disk", m->s.description,
		       is_blank ? "whose disks are all blank" : "without a disk");
}

static int look(void *ctx, struct err *e)
{
	struct import *m = ctx;
	int r = sources_open(&m->s, &m->d, &m->o->named, e) ?: has_disk(m, e);

	r = r ?: host_qemu_find(&m->qemu, m->o->qemu, "qemu-system-x86_64", e) ?: choose_name(m, e) ?: place_dir(&m->dir, m->o->dir, e);
	if (r)
		return r;
	choose_files(m);
	r = check_names(m, e) ?: import_open_life(m->life, m->o, m->d.name, m->dir, e);
	r = r ?: import_turn_wait(&m->turn, m->life, m->o, false, e);
	if (!r)
		r = check_names(m, e); /* the names may have changed before our turn */
	/* damage is reported before anything is made of the files */
	r = r ?: verify(m, e) ?: unpack(m, e) ?: sources_examine(&m->s, &m->d, m->qemu.img, e) ?: decide(m, e);
	if (r)
		return r;
	r = networks_choose(m->nets, &m->d, m->o->nets, m->o->net_count, e);
	if (r)
		return r;
	networks_offer(m->nets, &m->d);
	forwards_choose(m->nets, &m->d);
	give_identity(m);
	return measure(m, e) ?: make_line(m, e);
}

static void clean(void *ctx, bool failed)
{
	struct import *m = ctx;

	if (failed)
		made_undo(&m->made);
	sources_clean(&m->s);
}

static char *start_words(const void *ctx, pid_t pid)
{
	const struct import *m = ctx;

	return pid ? xasprintf("%s starts the guest again; its screen is VNC at %s; see that its original does not run any more", m->script,
			       m->sockets[SOCKET_VNC])
		   : xasprintf("%s starts the guest; see that its original does not run any more", m->script);
}

static const struct import_steps steps = {.look = look, .plan = plan, .line = line, .make = make, .clean = clean, .start = start_words};

static void fini(struct import *m)
{
	for (size_t i = 0; i < GUEST_DISKS_MAX; i++)
		free(m->disks[i]);
	FREE_ALL(m->dir, m->plain, m->machine, m->script);
	for (size_t i = 0; i < SOCKET_COUNT; i++)
		free(m->sockets[i]);
	free(m->vars);
	free(m->nvram.p);
	line_fini(&m->line);
	firmware_fini(&m->uefi);
	host_qemu_fini(&m->qemu);
	sources_fini(&m->s);
	description_fini(&m->d);
	made_fini(&m->made);
	import_turn_end(&m->turn);
	free(m);
}

static int import_foreign(struct life *l, const struct import_options *o)
{
	struct import_options whole = *o;
	struct import *m = xcalloc(1, sizeof(*m));
	int code;

	whole.format = o->format ?: "qcow2";
	whole.named.dir = o->dir ?: ".";
	m->o = &whole;
	m->life = l;
	made_init(&m->made);
	code = import_carry_out(l, &whole, &steps, m);
	fini(m);
	return code;
}

int import_run(const struct import_options *o)
{
	struct life l;
	struct err e;
	int code;

	if (life_begin(&l, "import", &o->life, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_REFUSED;
	}
	code = import_is_bundle(o->named.files, o->named.file_count) ? import_bundle(&l, o) : import_foreign(&l, o);
	life_fini(&l);
	return code;
}
