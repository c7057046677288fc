/* libvirt-plain.c: see libvirt-plain.h. */
#include "libvirt-plain-private.h"
#include "libvirt-walk.h"
#include "networks.h"
#include "qemu-line.h"
#include "readers.h"
#include "unit-text.h"
#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <string.h>

/* ---- what it cannot have ---- */

/* Takes word. */
static void add_word(char **list, char *word)
{
	char *longer = *list ? xasprintf("%s; %s", *list, word) : xstrdup(word);

	free(word);
	free(*list);
	*list = longer;
}

/* Elements below <domain> or <devices> that have an element at a path, with an attribute that is so. Without them the guest would lose data, or be
 * another one than people take it for. */
static const struct {
	const char *element, *path, *attr, *value, *words;
} unsound[] = {
	{"hostdev", "", NULL, NULL, "a device of its host (<hostdev>)"},
	{"interface", "", "type", "hostdev", "a network card of its host"},
	{"interface", "", "type", "vdpa", "a vDPA network card"},
	{"interface", "", "type", "vhostuser", "a vhost-user network card"},
	{"filesystem", "", NULL, NULL, "a shared folder (<filesystem>)"},
	{"shmem", "", NULL, NULL, "shared memory (<shmem>)"},
	{"memory", "", "model", "nvdimm", "memory that it keeps (nvdimm)"},
	{"memory", "", "model", "virtio-pmem", "memory that it keeps (virtio-pmem)"},
	{"memory", "", "model", "sgx-epc", "SGX memory"},
	{"launchSecurity", "", NULL, NULL, "encrypted memory (<launchSecurity>)"},
	{"lease", "", NULL, NULL, "a lock that a lock manager keeps (<lease>)"},
	{"smartcard", "", "mode", "host", "a smartcard of its host"},
	{"tpm", "backend", "type", "passthrough", "its host's TPM"},
	{"tpm", "backend", "type", "external", "a TPM that libvirt does not start (external)"},
	{"disk", "source/slices", NULL, NULL, "a disk that is a part of its file (<slices>)"},
	{"disk", "transient", NULL, NULL, "a disk whose changes are thrown away (<transient/>)"},
};

static bool is_unsound(size_t i, const xmlNode *n)
{
	const xmlNode *at = libvirt_at(n, unsound[i].path);
	AUTO_FREE char *value = unsound[i].attr ? libvirt_attr(at, unsound[i].attr) : NULL;

	return libvirt_is(n, unsound[i].element) && at && (!unsound[i].attr || (value && !strcmp(value, unsound[i].value)));
}

static void find_elements(char **found, const xmlNode *parent)
{
	const xmlNode *n;

	for (n = xml_first(parent); n; n = xml_after(n))
		for (size_t i = 0; i < ARRAY_LEN(unsound); i++)
			if (is_unsound(i, n) && !(*found && strstr(*found, unsound[i].words)))
				add_word(found, xstrdup(unsound[i].words));
}

static void find_disks(char **found, const struct libvirt_definition *def)
{
	for (size_t i = 0; i < def->disk_count; i++) {
		const struct libvirt_disk *k = &def->disks[i];
		bool is_disk = !strcmp(k->device, "disk"), is_known = is_disk || !strcmp(k->device, "cdrom");

		if (k->source == LIBVIRT_NETWORK || k->source == LIBVIRT_OTHER)
			add_word(found, xasprintf("disk %s, which is not a file (%s)", k->target, k->elsewhere ?: "?"));
		else if (!is_known && k->source != LIBVIRT_NONE)
			add_word(found, xasprintf("disk %s, which is a %s", k->target, k->device));
		else if (is_disk && k->read_only)
			add_word(found, xasprintf("disk %s, which the guest must not write to (<readonly/>)", k->target));
	}
}

/* Variables fit the firmware that wrote them, so that both must be known. */
static void find_firmware(char **found, const struct libvirt_definition *def)
{
	if (def->firmware.is_uefi && (!def->firmware.loader || !def->firmware.nvram))
		add_word(
			found,
			xstrdup("UEFI firmware, of which the definition does not name the file and that of its variables (<loader>, <nvram>)"));
	else if (def->firmware.loader && !def->firmware.loader_is_flash)
		add_word(found, xasprintf("firmware of its own that is not flash (<loader> %s)", def->firmware.loader));
}

int plain_check_soundness(const char *xml, const struct libvirt_definition *def, struct err *e)
{
	AUTO_FREE char *found = NULL;
	xmlDoc *doc;
	int r = xml_read(&doc, xml, strlen(xml), e);

	if (r)
		return r;
	find_elements(&found, xmlDocGetRootElement(doc));
	find_elements(&found, libvirt_child(xmlDocGetRootElement(doc), "devices"));
	xmlFreeDoc(doc);
	find_disks(&found, def);
	find_firmware(&found, def);
	if (def->secrets.count)
		add_word(&found, xstrdup("secrets that libvirt keeps"));
	if (def->has_qemu_words)
		add_word(&found, xstrdup("options of its own for QEMU (<qemu:commandline>)"));
	return found ? err_set(e, ENOTSUP,
			       "a plain guest (--as plain) cannot have what this one has: %s. Take that out of its definition (virsh edit "
			       "%s), or move it to a host that has libvirt",
			       found, def->name)
		     : 0;
}

/* ---- the line ---- */

struct plain {
	const struct libvirt_definition *def;
	struct guest_description d;
	struct firmware uefi;
	char *disks[GUEST_DISKS_MAX]; /* borrowed, as is what follows */
	const char *formats[GUEST_DISKS_MAX];
	const char *nets[GUEST_NICS_MAX];
	char *bridges[GUEST_NICS_MAX];
	char *dir, *name;
	char *qmp, *vnc, *agent, *serials[GUEST_SERIALS_MAX];
	char *tpm;
};

static struct described_disk *described(struct guest_description *d, const char *target)
{
	for (size_t i = 0; i < d->disk_count; i++)
		if (d->disks[i].label && !strcmp(d->disks[i].label, target))
			return &d->disks[i];
	return NULL;
}

/* Takes the disks. Each disk of the definition must have its own in the description, so that none is left behind. */
static int take_disks(struct plain *p, struct err *e)
{
	for (size_t i = 0; i < p->def->disk_count; i++) {
		const struct libvirt_disk *k = &p->def->disks[i];
		const struct described_disk *to = described(&p->d, k->target);

		if (!to && k->source == LIBVIRT_NONE)
			continue;
		if (!to)
			return err_set(e, ENOTSUP, "disk %s would not be one of a plain guest's (--as plain)", k->target);
		if (!k->path && k->source != LIBVIRT_NONE)
			return err_set(e, EINVAL, "cannot tell where disk %s is", k->target);
		if (p->disks[to - p->d.disks])
			return err_set(e, EINVAL, "two disks are called %s", k->target);
		p->disks[to - p->d.disks] = k->path;
		p->formats[to - p->d.disks] = k->format;
	}
	return 0;
}

/* A bridge is the same there if it has the same name. What else libvirt attaches cards to is its own. */
static void choose_net(struct plain *p, size_t i)
{
	struct described_nic *n = &p->d.nics[i];
	AUTO_FREE char *here = network_there(n);
	const uint8_t *m = n->mac;

	p->bridges[i] = n->network && n->kind && !strcmp(n->kind, "bridge") ? xasprintf("bridge=%s", n->network) : NULL;
	p->nets[i] = n->unplugged ? "none" : p->bridges[i] && line_net_known(p->bridges[i]) ? p->bridges[i] : NETWORKS_DEFAULT;
	if (n->unplugged)
		description_note(&p->d, "network card #%zu is not plugged in there either (link down)", i + 1);
	else if (!strcmp(p->nets[i], NETWORKS_DEFAULT) && (!n->kind || strcmp(n->kind, "user")))
		description_note(
			&p->d,
			"network card #%zu, which is on %s here, is on QEMU's own NAT there: the guest can connect out, but no other host "
			"can connect to it. --map-net %02x:%02x:%02x:%02x:%02x:%02x=bridge:BRIDGE attaches it to a bridge",
			i + 1, here ?: "a network of libvirt's", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static int choose_nets(struct plain *p, struct err *e)
{
	for (size_t i = 0; i < p->d.nic_count; i++) {
		if (!p->d.nics[i].has_mac)
			return err_set(e, ENOTSUP, "network card #%zu has no address (<mac>)", i + 1);
		choose_net(p, i);
	}
	return 0;
}

static char *socket_of(const struct plain *p, const char *what)
{
	return xasprintf("%s%s%s.%s", p->dir, strcmp(p->dir, "/") ? "/" : "", p->name, what);
}

/* Names for this host, in whose place the destination may put its own. */
static void name_sockets(struct plain *p, const char *dir)
{
	AUTO_FREE char *first = NULL;

	for (size_t i = 0; i < p->d.disk_count && !first; i++)
		first = p->disks[i] && !p->d.disks[i].cdrom ? xstrdup(p->disks[i]) : NULL;
	p->dir = xstrdup(dir ? dir : first ? dirname(first) : "/");
	p->name = unit_plain_name(p->def->name);
	p->qmp = socket_of(p, "qmp");
	p->vnc = socket_of(p, "vnc");
	p->agent = socket_of(p, "agent");
	for (size_t i = 0; i < GUEST_SERIALS_MAX; i++) {
		AUTO_FREE char *what = i ? xasprintf("serial%zu", i + 1) : xstrdup("serial");

		p->serials[i] = socket_of(p, what);
	}
}

/* Assumes every device: this host's QEMU had the guest's, and the destination checks its own. */
static bool has_all(const void *ctx, const char *device)
{
	(void)ctx, (void)device;
	return true;
}

/* Values that go into options unchanged must be single words. */
static int check_words(const struct libvirt_definition *def, struct err *e)
{
	const char *const words[] = {def->machine, def->firmware.loader_format, def->firmware.nvram_format};

	if (!def->emulator)
		return err_set(e, EINVAL, "it does not say which QEMU runs it (<emulator>)");
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (words[i] && !described_is_word(words[i]))
			return err_set(e, EINVAL, "'%.60s' is neither a machine nor a format", words[i]);
	for (size_t i = 0; i < def->disk_count; i++)
		if (!described_is_word(def->disks[i].format))
			return err_set(e, EINVAL, "'%.60s' is not a format of a disk", def->disks[i].format);
	return strcmp(def->virttype, "kvm") && strcmp(def->virttype, "qemu")
		       ? err_set(e, ENOTSUP, "it is a guest of %.60s, and not of QEMU", def->virttype)
		       : 0;
}

static int decide(struct plain *p, const char *dir, struct err *e)
{
	const struct libvirt_definition *def = p->def;
	struct line_wishes none = {.memory_bytes = 0};

	if (p->d.machine == MACHINE_UNSAID || !def->machine)
		return err_set(e, ENOTSUP, "its machine %s is neither a q35 nor a pc", def->machine ?: "");
	line_decide(&p->d, &none, has_all, NULL);
	if (p->d.genid && !*p->d.genid) { /* libvirt has given it none so far */
		free(p->d.genid);
		p->d.genid = NULL;
	}
	p->uefi = (struct firmware){.code = def->firmware.loader,
				    .code_format = def->firmware.loader_format,
				    .smm = def->firmware.loader_is_secure};
	p->tpm = def->tpm.is_there ? libvirt_tpm_socket(def) : NULL;
	name_sockets(p, dir);
	return line_check_sectors(&p->d, e);
}

static int make_line(struct plain *p, struct line *line, struct err *e)
{
	struct line_host h = {.machine = p->def->machine,
			      .kvm = !strcmp(p->def->virttype, "kvm"),
			      .uefi = &p->uefi,
			      .vars = p->def->firmware.nvram,
			      .vars_format = p->def->firmware.nvram_format,
			      .tpm = p->tpm,
			      .formats = p->formats,
			      .disks = p->disks,
			      .nets = p->nets,
			      .qmp = p->qmp,
			      .vnc = p->vnc,
			      .agent = p->agent,
			      .serials = p->serials};

	return line_make(line, &p->d, &h, e);
}

/* Takes the line without the -S of an import, which is started by QMP. */
static void take_line(struct libvirt_plain *out, struct line *line, const char *emulator)
{
	out->argv = xcalloc(line->argc + 1, sizeof(*out->argv));
	out->argv[out->argc++] = xstrdup(emulator);
	for (size_t i = 2; i < line->argc; i++)
		out->argv[out->argc++] = xstrdup(line->argv[i]);
}

/* ---- what is told ---- */

static bool is_word_at(const char *text, size_t at, const char *word)
{
	size_t n = strlen(word);

	return !strncmp(text + at, word, n) && !isalnum((unsigned char)text[at + n]) && (!at || !isalnum((unsigned char)text[at - 1]));
}

/* An import tells of a guest that came here from there, and a move of one that goes: malloc'ed. */
static char *turned(const char *note)
{
	char *out = xmalloc(strlen(note) * 2 + 1), *to = out;
	size_t i = 0;

	while (note[i]) {
		bool here = is_word_at(note, i, "here"), there = is_word_at(note, i, "there");

		if (here || there) {
			to = stpcpy(to, here ? "there" : "here");
			i += strlen(here ? "here" : "there");
		} else {
			*to++ = note[i++];
		}
	}
	*to = '\0';
	return out;
}

static void turn_notes(struct guest_description *d)
{
	for (size_t i = 0; i < d->note_count; i++) {
		char *note = turned(d->notes[i]);

		free(d->notes[i]);
		d->notes[i] = note;
	}
}

static void take_notes(struct libvirt_plain *out, struct guest_description *d)
{
	out->notes = xcalloc(d->note_count + 1, sizeof(*out->notes));
	for (size_t i = 0; i < d->note_count; i++)
		out->notes[out->note_count++] = xstrdup(d->notes[i]);
}

static void fini(struct plain *p)
{
	for (size_t i = 0; i < GUEST_NICS_MAX; i++)
		free(p->bridges[i]);
	for (size_t i = 0; i < GUEST_SERIALS_MAX; i++)
		free(p->serials[i]);
	FREE_ALL(p->dir, p->name, p->qmp, p->vnc, p->agent, p->tpm);
	description_fini(&p->d);
	free(p);
}

static int compose(struct plain *p, struct line *line, const char *xml, const char *dir, struct err *e)
{
	int r = plain_check_soundness(xml, p->def, e) ?: read_libvirt(&p->d, xml, strlen(xml), e) ?: take_disks(p, e);

	r = r ?: check_words(p->def, e) ?: decide(p, dir, e);
	if (r)
		return r;
	turn_notes(&p->d);
	return choose_nets(p, e) ?: make_line(p, line, e);
}

int libvirt_plain_line(struct libvirt_plain *out, const char *xml, const struct libvirt_definition *def, const char *dir, struct err *e)
{
	struct plain *p = xcalloc(1, sizeof(*p));
	struct line line = {.argc = 0};
	int r;

	*out = (struct libvirt_plain){.argv = NULL};
	p->def = def;
	p->d.told.goes_on = true;
	r = compose(p, &line, xml, dir, e);
	if (!r) {
		take_line(out, &line, def->emulator);
		take_notes(out, &p->d);
	}
	line_fini(&line);
	fini(p);
	return r;
}
