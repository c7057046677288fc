/* libvirt-find.c: see libvirt-find.h. */
#include "libvirt-find.h"
#include "guest-at-rest.h"
#include "lv-process.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_MS	      5000
#define DOWN_MS	      15000
#define DOWN_PAUSE_MS 50

/* ---- what libvirt says of it ---- */

#define SHUTOFF_MIGRATED 4 /* virDomainShutoffReason */

static bool is_down(enum lv_state state)
{
	return state == LV_SHUTOFF || state == LV_CRASHED;
}

/* libvirt notices the end of a QEMU a moment later. */
static int state_of(struct lv *v, const struct lv_domain *d, enum libvirt_wanted wanted, enum lv_state *state, int *reason, struct err *e)
{
	uint64_t until = now_ns() + DOWN_MS * 1000000ULL;
	int r;

	while (!(r = lv_state_of(v, d, state, reason, e)) && wanted == LIBVIRT_GOES_DOWN && !is_down(*state) && now_ns() < until)
		poll(NULL, 0, DOWN_PAUSE_MS);
	return r;
}

static int check_state(struct lv *v, const struct lv_domain *d, enum libvirt_wanted wanted, enum lv_state *state, struct err *e)
{
	bool saved;
	int reason, r = state_of(v, d, wanted, state, &reason, e);

	if (r)
		return r;
	if (wanted == LIBVIRT_RUNNING || wanted == LIBVIRT_LIVE)
		return 0;
	if (!is_down(*state))
		return err_set(e, EBUSY, "guest %s of libvirt runs", d->name);
	if (reason == SHUTOFF_MIGRATED && wanted == LIBVIRT_GOES_DOWN)
		return err_set(e, ECANCELED, "guest %s of libvirt was migrated away by another client", d->name);
	r = lv_has_managed_save(v, d, &saved, e);
	if (r || !saved)
		return r;
	return err_set(
		e, EBUSY,
		"guest %s of libvirt has a saved state (virsh managedsave), which is not carried: let it go on (virsh start %s) and shut "
		"it "
		"down, or drop that state (virsh managedsave-remove %s)",
		d->name, d->name, d->name);
}

static int check_checkpoints(struct lv *v, const struct lv_domain *d, struct err *e)
{
	unsigned n;
	int r = lv_checkpoint_count(v, d, &n, e);

	if (r || !n)
		return r;
	return err_set(
		e, ENOTSUP,
		"guest %s of libvirt has %u checkpoints, whose bitmaps would be lost: delete them first (virsh checkpoint-list %s; virsh "
		"checkpoint-delete)",
		d->name, n, d->name);
}

/* libvirt forgets a transient guest, and its definition, when it goes down. */
static int check_persistent(struct libvirt_guest *l, struct lv *v, enum libvirt_wanted wanted, struct err *e)
{
	const char *name = l->domain.name;
	bool yes;
	int r = lv_is_persistent(v, &l->domain, &yes, e);

	l->is_transient = !r && !yes;
	if (r || yes || wanted == LIBVIRT_LIVE)
		return r;
	return err_set(
		e, ENOTSUP,
		"guest %s of libvirt is transient, and would be forgotten once it is shut down, here or there: it goes as it runs (without "
		"--how cold), or define it first (virsh dumpxml --security-info --inactive %s >FILE; virsh define FILE)",
		name, name);
}

static int read_definition(struct libvirt_guest *l, struct lv *v, bool live, struct err *e)
{
	int r = lv_xml(v, &l->domain, true, &l->xml, e) ?: lv_xml_for_older(v, &l->domain, &l->xml_for_older, e);

	l->version = lv_version(v);
	if (!r && live)
		r = lv_xml(v, &l->domain, false, &l->live_xml, e);
	r = r ?: libvirt_definition_read(&l->def, l->live_xml ?: l->xml, strlen(l->live_xml ?: l->xml), e);
	r = r ?: lv_autostart(v, &l->domain, &l->autostart, e) ?: lv_autostart_once(v, &l->domain, &l->autostart_once, e);
	return r ?: lv_snapshots(v, &l->domain, &l->snapshots, &l->snapshot_count, &l->current, e);
}

/* A volume is a file, or a device, that its pool knows the path of. */
static int find_volumes(struct libvirt_guest *l, struct lv *v, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < l->def.disk_count && !r; i++) {
		struct libvirt_disk *d = &l->def.disks[i];

		if (d->source == LIBVIRT_VOLUME && !d->path)
			r = lv_volume_path(v, d->pool, d->volume, &d->path, e);
	}
	return r;
}

static int look(struct libvirt_guest *l, struct lv *v, enum libvirt_wanted wanted, struct err *e)
{
	int r = check_state(v, &l->domain, wanted, &l->state, e);

	r = r ?: check_persistent(l, v, wanted, e) ?: check_checkpoints(v, &l->domain, e);
	return r ?: read_definition(l, v, wanted == LIBVIRT_LIVE, e) ?: find_volumes(l, v, e);
}

int libvirt_find(struct libvirt_guest *l, const char *name, enum libvirt_wanted wanted, struct err *e)
{
	struct lv *v;
	int r = lv_open(&v, ASK_MS, e);

	*l = (struct libvirt_guest){.autostart = false};
	if (r)
		return r == -ENOENT ? 0 : err_prefix(e, "cannot tell whether libvirt has a guest %s", name);
	r = lv_lookup(v, name, &l->domain, e);
	if (!r)
		r = look(l, v, wanted, e);
	else
		r = r == -ENOENT ? 0 : r;
	lv_close(v);
	return r ? r : l->xml != NULL;
}

static char *describe_one(struct lv *v, const struct lv_domain *d, struct guest *g)
{
	struct libvirt_guest l = {.xml = NULL};
	char *why = NULL;
	struct err e;

	*g = (struct guest){.pid = 0};
	if (lv_lookup_uuid(v, d->uuid, &l.domain, &e) || look(&l, v, LIBVIRT_SHUT_DOWN, &e) || libvirt_describe(&l, g, &e))
		why = xstrdup(e.msg);
	if (!g->name)
		g->name = xstrdup(d->name);
	g->owner_hint = xstrdup("libvirt");
	libvirt_guest_fini(&l);
	return why;
}

int libvirt_list(struct guest **out, char ***whys, size_t *count, struct err *e)
{
	struct lv_domain *all;
	struct lv *v;
	size_t n, i;
	int r = lv_open(&v, ASK_MS, e);

	*out = NULL;
	*whys = NULL;
	*count = 0;
	if (r)
		return r == -ENOENT ? 0 : r;
	r = lv_domains(v, &all, &n, e);
	if (!r) {
		*out = xcalloc(n + 1, sizeof(**out));
		*whys = xcalloc(n + 1, sizeof(**whys));
		for (i = 0; i < n; i++)
			if (all[i].id < 0) {
				(*whys)[*count] = describe_one(v, &all[i], &(*out)[*count]);
				++*count;
			}
		lv_domains_free(all, n);
	}
	lv_close(v);
	return r;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : !a && !b;
}

static bool same_snapshots(const struct libvirt_guest *a, const struct libvirt_guest *b)
{
	bool same = a->snapshot_count == b->snapshot_count && same_text(a->current, b->current);

	for (size_t i = 0; same && i < a->snapshot_count; i++)
		same = !strcmp(a->snapshots[i], b->snapshots[i]);
	return same;
}

int libvirt_is_as_defined(const struct libvirt_guest *l, struct lv *v, struct err *e)
{
	struct libvirt_guest now = {.xml = NULL};
	const char *what = NULL, *how = "";
	int r = lv_xml(v, &l->domain, true, &now.xml, e);

	r = r ?: lv_autostart(v, &l->domain, &now.autostart, e) ?: lv_autostart_once(v, &l->domain, &now.autostart_once, e);
	r = r ?: lv_snapshots(v, &l->domain, &now.snapshots, &now.snapshot_count, &now.current, e);
	if (!r && strcmp(now.xml, l->xml))
		what = "definition", how = "was changed (virsh edit)";
	else if (!r && (now.autostart != l->autostart || now.autostart_once != l->autostart_once))
		what = "autostart", how = "was changed (virsh autostart)";
	else if (!r && !same_snapshots(&now, l))
		what = "snapshots", how = "were changed (by virsh)";
	libvirt_guest_fini(&now);
	return what ? err_set(e, ESTALE, "the %s of guest %s %s while the guest was moved", what, l->domain.name, how) : r;
}

int libvirt_is_unchanged(const struct libvirt_guest *l, struct lv *v, struct err *e)
{
	enum lv_state state;

	return check_state(v, &l->domain, LIBVIRT_SHUT_DOWN, &state, e) ?: libvirt_is_as_defined(l, v, e);
}

/* ---- as a command line ---- */

#define WORDS_MAX 2048 /* libvirt_definition_read() bounds all lists */

struct words {
	char *at[WORDS_MAX];
	size_t count;
};

static void add(struct words *w, char *word)
{
	if (w->count < WORDS_MAX - 1)
		w->at[w->count++] = word;
	else
		free(word);
}

static void add_option(struct words *w, const char *option, char *value)
{
	add(w, xstrdup(option));
	add(w, value);
}

/* A value of an option, in which a comma stands twice; malloc'ed. */
static char *doubled(const char *value)
{
	char *out = xmalloc(2 * strlen(value) + 1), *p = out;

	for (; *value; value++) {
		if (*value == ',')
			*p++ = ',';
		*p++ = *value;
	}
	*p = '\0';
	return out;
}

static bool is_there(const char *path)
{
	return path && !access(path, F_OK);
}

static void add_disk(struct words *w, const struct libvirt_disk *d)
{
	bool cdrom = !strcmp(d->device, "cdrom"), floppy = !strcmp(d->device, "floppy");
	AUTO_FREE char *path = d->path ? doubled(d->path) : NULL;
	AUTO_FREE char *id = doubled(d->target);

	if (path)
		add_option(w, "-drive",
			   xasprintf("if=none,id=%s,file=%s,format=%s%s%s", id, path, d->format, cdrom ? ",media=cdrom" : "",
				     d->read_only || cdrom ? ",readonly=on"
				     : floppy		   ? ""
							   : ",discard=unmap"));
}

/* Variables that were never written have no file: libvirt makes them at the guest's first start. */
static void add_firmware(struct words *w, const struct libvirt_definition *d)
{
	AUTO_FREE char *code = d->firmware.loader ? doubled(d->firmware.loader) : NULL,
		       *vars = is_there(d->firmware.nvram) ? doubled(d->firmware.nvram) : NULL;

	if (code && d->firmware.nvram)
		add_option(w, "-drive", xasprintf("if=pflash,unit=0,format=raw,readonly=on,file=%s", code));
	if (code && !d->firmware.loader_is_flash && !d->firmware.nvram)
		add_option(w, "-bios", xstrdup(d->firmware.loader));
	if (code && vars)
		add_option(w, "-drive", xasprintf("if=pflash,unit=1,format=%s,file=%s", d->firmware.nvram_format ?: "raw", vars));
}

static void add_kernel(struct words *w, const struct libvirt_definition *d)
{
	const struct {
		const char *option, *path;
	} files[] = {{"-kernel", d->boot.kernel}, {"-initrd", d->boot.initrd}, {"-dtb", d->boot.dtb}};

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (files[i].path)
			add_option(w, files[i].option, xstrdup(files[i].path));
}

static void make_words(struct words *w, const struct libvirt_definition *d)
{
	add(w, xstrdup(d->emulator));
	add_option(w, "-name", doubled(d->name));
	add_option(w, "-machine", xasprintf("%s,accel=%s", d->machine, !strcmp(d->virttype, "kvm") ? "kvm" : "tcg"));
	add(w, xstrdup("-nodefaults"));
	add_option(w, "-display", xstrdup("none"));
	add_firmware(w, d);
	add_kernel(w, d);
	for (size_t i = 0; i < d->disk_count; i++)
		add_disk(w, &d->disks[i]);
}

/* ---- what stays, or is not carried ---- */

static bool tpm_is_2(const struct libvirt_definition *d)
{
	return !d->tpm.version || strcmp(d->tpm.version, "1.2");
}

int libvirt_check_shareable(const struct libvirt_disk *d, struct err *e)
{
	return d->shareable
		       ? err_set(e, ENOTSUP,
				 "disk %s is one that other guests may use, too (<shareable/>): detach it (virsh detach-disk --config, and "
				 "--live if it "
				 "runs), move the guest, and attach it there",
				 d->target)
		       : 0;
}

static bool is_same_base(const struct libvirt_disk *d, const struct guest_disk *is, size_t i)
{
	AUTO_FREE char *real = *d->backing[i] == '/' ? realpath(d->backing[i], NULL) : NULL;
	const char *format = d->backing_formats[i];

	return real && format && !strcmp(real, is->chain[i].real_path) && !strcmp(format, is->chain[i].format);
}

/* libvirt writes the chain of a disk into the definition with each external snapshot of a guest that runs. What is carried is the chain that the images
 * themselves name: it must be the same one, as the definition is what counts there. is: that disk as it was found; NULL: it is no file of a disk. */
static int check_bases(const struct libvirt_disk *d, const struct guest_disk *is, struct err *e)
{
	size_t chain = is ? is->chain_count : 0, i;

	for (i = 0; i < d->backing_count && i < chain && is_same_base(d, is, i); i++)
		;
	if (i == d->backing_count && i == chain)
		return 0;
	return err_set(
		e, ENOTSUP,
		"the definition names the images that disk %s is based on (<backingStore>), and those are not what the images themselves "
		"name: it has %s (%s) where they have %s (%s). Take <backingStore> out of the definition, so that the images decide "
		"(virsh edit), or have the images name the others (qemu-img rebase -u)",
		d->target, i < d->backing_count ? d->backing[i] : "nothing",
		i < d->backing_count && d->backing_formats[i] ? d->backing_formats[i] : "-", i < chain ? is->chain[i].real_path : "nothing",
		i < chain ? is->chain[i].format : "-");
}

static int check_all_bases(const struct libvirt_definition *def, const struct guest *g, struct err *e)
{
	size_t i, k;
	int r = 0;

	for (i = 0; i < def->disk_count && !r; i++) {
		const struct libvirt_disk *d = &def->disks[i];

		if (!d->says_backing || d->source == LIBVIRT_NONE)
			continue;
		for (k = 0; k < g->disk_count && (!d->path || strcmp(d->path, g->disks[k].file ?: "")); k++)
			;
		r = check_bases(d, k < g->disk_count ? &g->disks[k] : NULL, e);
	}
	return r;
}

static int check_firmware(const struct libvirt_definition *d, struct err *e)
{
	if (d->firmware.nvram_is_elsewhere)
		return err_set(e, ENOTSUP, "its UEFI variables are in no file of this host, and are not carried");
	if (d->tpm.is_there && d->tpm.is_emulator && (d->tpm.path || geteuid()))
		return err_set(e, ENOTSUP,
			       "its TPM (swtpm) keeps its state in a place of its own, and not in " LIBVIRT_SWTPM_DIR
			       ", from which vmferry could carry it");
	return 0;
}

/* The swtpm socket has no listener while the guest is down: it only stands for the TPM's state. */
static void add_tpm(struct words *w, const struct libvirt_guest *l)
{
	const struct libvirt_definition *d = &l->def;
	AUTO_FREE char *socket = l->tpm_socket ? doubled(l->tpm_socket) : libvirt_tpm_socket(d);

	if (!d->tpm.is_there || !d->tpm.is_emulator)
		return;
	add_option(w, "-chardev", xasprintf("socket,id=chrtpm,path=%s", socket));
	add_option(w, "-tpmdev", xstrdup("emulator,id=tpm0,chardev=chrtpm"));
}

static struct swtpm swtpm_of(const struct libvirt_definition *d)
{
	if (!d->tpm.is_there || !d->tpm.is_emulator)
		return (struct swtpm){.socket = NULL};
	return (struct swtpm){.socket = libvirt_tpm_socket(d), .state = libvirt_tpm_state(d), .tpm2 = tpm_is_2(d), .terminates = true};
}

/* UEFI variables must exist: without libvirt no one makes them, and QEMU does not start without them. */
static int check_variables(const struct libvirt_guest *l, struct err *e)
{
	return l->plain.argv && l->def.firmware.nvram && !is_there(l->def.firmware.nvram)
		       ? err_set(e, ENOENT,
				 "its UEFI variables are not there yet, %s: libvirt makes them when it starts the guest for the first time "
				 "(virsh "
				 "start %s), so do that before it goes as a plain one",
				 l->def.firmware.nvram, l->def.name)
		       : 0;
}

/* Adds notes on what the guest gains and loses as a plain guest. */
static void note_plain(const struct libvirt_guest *l, struct guest *g)
{
	for (size_t i = 0; i < l->plain.note_count; i++)
		guest_note(g, "as a plain guest: %s", l->plain.notes[i]);
	if (l->snapshot_count)
		guest_note(g,
			   "libvirt knows of %zu snapshot%s of it: those that are in its images go along (qemu-img snapshot -l), and what "
			   "libvirt "
			   "has written down of them does not",
			   l->snapshot_count, l->snapshot_count == 1 ? "" : "s");
	if (l->autostart || l->autostart_once)
		guest_note(g, "libvirt starts it when this host boots: --install-unit has it started there");
}

static void note_what_stays(const struct libvirt_definition *d, struct guest *g)
{
	for (size_t i = 0; i < d->disk_count; i++)
		if (d->disks[i].source == LIBVIRT_NETWORK || d->disks[i].source == LIBVIRT_OTHER)
			guest_note(g, "disk %s (%s) is not copied: the guest uses it there as here", d->disks[i].target,
				   d->disks[i].elsewhere ?: "no file");
	for (size_t i = 0; i < d->file_count; i++)
		guest_note(g, "the definition names %s, which is not carried: see that it is there", d->files[i]);
	for (size_t i = 0; i < d->secrets.count; i++)
		guest_note(g, "it needs the secret %s, which is not carried (virsh secret-define, secret-set-value there)",
			   d->secrets.names[i]);
	if (d->has_qemu_words)
		guest_note(g, "it has options of its own for QEMU (<qemu:commandline>), which go as they are");
}

/* A disk is called as libvirt calls it: --disk vda=PATH. */
static void name_disks(const struct libvirt_definition *d, struct guest *g)
{
	size_t i, k;

	for (i = 0; i < g->disk_count; i++)
		for (k = 0; k < d->disk_count; k++)
			if (d->disks[k].path && g->disks[i].file && !strcmp(d->disks[k].path, g->disks[i].file) && !g->disks[i].drive_id)
				g->disks[i].drive_id = xstrdup(d->disks[k].target);
}

void libvirt_name_disks(const struct libvirt_guest *l, struct guest *g)
{
	name_disks(&l->def, g);
}

/* ---- one that runs ---- */

static int find_by_pid(struct libvirt_guest *l, struct lv *v, const char *vm, struct err *e)
{
	struct lv_domain *all;
	size_t count, i;
	long wanted = strspn(vm, "0123456789") == strlen(vm) ? strtol(vm, NULL, 10) : 0;
	int r = wanted > 0 ? lv_domains(v, &all, &count, e) : 0;
	pid_t pid;

	if (r || wanted <= 0)
		return r;
	for (i = 0; i < count && !l->domain.name; i++)
		if (all[i].id >= 0 && !lv_process_of(v, &all[i], &pid, e) && pid == wanted) {
			l->domain = all[i];
			all[i].name = NULL;
		}
	lv_domains_free(all, count);
	return 0;
}

/* Takes -cpu from QEMU's real command line: libvirt's words for the processor are not QEMU's. */
static void add_cpu(struct words *w, pid_t pid)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/cmdline", (int)pid);
	AUTO_FREE char *line = NULL;
	size_t room = 0;
	ssize_t n;
	bool next = false;
	FILE *f = fopen(path, "re");

	while (f && (n = getdelim(&line, &room, 0, f)) > 0) {
		if (next)
			add_option(w, "-cpu", xstrdup(line));
		next = !strcmp(line, "-cpu");
	}
	if (f)
		fclose(f);
}

static int describe_running(const struct libvirt_guest *l, pid_t pid, struct guest *g, struct err *e)
{
	struct words w = {.count = 0};

	if (process_start_time(pid, &g->start_time))
		return err_set(e, ESRCH, "the QEMU of guest %s (process %d) has ended", g->name, (int)pid);
	g->pid = pid;
	g->exe = xstrdup(l->def.emulator);
	g->cwd = xstrdup("/");
	g->owner_hint = xstrdup("libvirt");
	make_words(&w, &l->def);
	add_cpu(&w, pid);
	g->line.argv = xcalloc(w.count + 1, sizeof(*g->line.argv));
	memcpy(g->line.argv, w.at, w.count * sizeof(*w.at));
	g->line.argc = w.count;
	guest_expand_line(g);
	note_what_stays(&l->def, g);
	return 0;
}

static void drop_line(struct guest *g)
{
	args_free_strings(g->line.argv, g->line.argc);
	args_free_strings(g->line.expanded, g->line.expanded_count);
	args_free_strings(g->notes.text, g->notes.count);
	g->line = (struct guest_line){.argv = NULL};
	g->notes.text = NULL;
	g->notes.count = 0;
}

void libvirt_describe_plain(const struct libvirt_guest *l, struct guest *g)
{
	drop_line(g);
	g->line.argv = xcalloc(l->plain.argc + 1, sizeof(*g->line.argv));
	for (size_t i = 0; i < l->plain.argc; i++)
		g->line.argv[g->line.argc++] = xstrdup(l->plain.argv[i]);
	guest_expand_line(g);
	g->tpm = swtpm_of(&l->def);
	note_plain(l, g);
}

int libvirt_find_running(struct libvirt_guest *l, struct guest *g, const char *vm, struct err *e)
{
	struct lv *v;
	pid_t pid = 0;
	int r = lv_open(&v, ASK_MS, e);

	*l = (struct libvirt_guest){.autostart = false};
	*g = (struct guest){.pid = 0};
	if (r)
		return r == -ENOENT ? 0 : err_prefix(e, "cannot tell whether libvirt runs a guest %s", vm);
	r = lv_lookup(v, vm, &l->domain, e);
	if (r == -ENOENT)
		r = find_by_pid(l, v, vm, e);
	if (!r && l->domain.name && l->domain.id >= 0) {
		g->name = xstrdup(l->domain.name);
		r = lv_process_of(v, &l->domain, &pid, e) ?: look(l, v, LIBVIRT_LIVE, e) ?: describe_running(l, pid, g, e);
	}
	lv_close(v);
	return r ? r : pid > 0;
}

int libvirt_describe(const struct libvirt_guest *l, struct guest *g, struct err *e)
{
	struct words w = {.count = 0};
	AUTO_FREE char *script = NULL;
	bool is_plain = l->plain.argv;
	int r = check_firmware(&l->def, e) ?: check_variables(l, e);

	*g = (struct guest){.pid = 0};
	for (size_t i = 0; i < l->def.disk_count && !r; i++)
		r = libvirt_check_shareable(&l->def.disks[i], e);
	if (r) {
		g->name = xstrdup(l->domain.name);
		return err_prefix(e, "guest %s of libvirt", l->domain.name);
	}
	make_words(&w, &l->def);
	add_tpm(&w, l);
	r = guest_at_rest(g, l->domain.name, is_plain ? l->plain.argv : w.at, is_plain ? l->plain.argc : w.count, &script, e);
	for (size_t i = 0; i < w.count; i++)
		free(w.at[i]);
	free(g->cwd);
	g->cwd = xstrdup("/");
	g->tpm = swtpm_of(&l->def);
	g->cpu.count = l->def.vcpus;
	g->ram_bytes = l->def.ram_bytes;
	if (r || check_all_bases(&l->def, g, e))
		return err_prefix(e, "guest %s of libvirt", l->domain.name);
	name_disks(&l->def, g);
	if (is_plain)
		note_plain(l, g);
	else
		note_what_stays(&l->def, g);
	return 0;
}

void libvirt_guest_fini(struct libvirt_guest *l)
{
	lv_domain_fini(&l->domain);
	libvirt_definition_fini(&l->def);
	libvirt_plain_fini(&l->plain);
	for (size_t i = 0; i < l->snapshot_count; i++)
		free(l->snapshots[i]);
	FREE_ALL(l->snapshots, l->current, l->tpm_socket, l->xml, l->xml_for_older, l->live_xml);
}
