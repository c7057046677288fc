/* libvirt-notes.c: see libvirt-notes.h. */
#include "libvirt-notes.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <string.h>

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"
#define SHOWN_MAX      400 /* bytes of what one entry shows */

/* A text, once. Takes word; NULL: nothing. */
static int add_word(char ***list, size_t *count, char *word, struct err *e)
{
	if (!word || words_have(*list, *count, word)) {
		free(word);
		return 0;
	}
	if (*count == LIBVIRT_WORDS_MAX) {
		free(word);
		return err_set(e, EINVAL, "it names more than %d files and devices of its host", LIBVIRT_WORDS_MAX);
	}
	words_add(list, count, word);
	return 0;
}

static int add_file(struct libvirt_definition *d, const char *element, const char *value, struct err *e)
{
	return add_word(&d->files, &d->file_count, xasprintf("<%.60s> %.*s", element, SHOWN_MAX, value), e);
}

/* ---- paths ---- */

/* Paths that every host has, that libvirt makes anew for each start, or that are a group of libvirt's. */
static bool is_everywhere(const char *path)
{
	static const char *const same[] = {"/dev/random",    "/dev/urandom", "/dev/hwrng", "/dev/net/tun", "/dev/ptmx",
					   "/dev/vhost-net", "/dev/null",    "/machine",   "/dev/kvm",	   NULL};

	return word_index(same, path) >= 0 || !strncmp(path, "/dev/pts/", 9) || strstr(path, "/qemu/channel/");
}

/* libvirt shows the first <serial> once more as <console>. */
static bool is_serial_again(const struct libvirt_definition *d, const char *element, const char *value)
{
	AUTO_FREE char *serial = xasprintf("<serial> %.*s", SHOWN_MAX, value);

	return !strcmp(element, "console") && words_have(d->files, d->file_count, serial);
}

static int note_path(struct libvirt_definition *d, const char *element, const char *value, struct err *e)
{
	if (!value || *value != '/' || is_everywhere(value) || is_serial_again(d, element, value))
		return 0;
	return add_file(d, element, value, e);
}

/* Subtrees of which members of the definition tell, or which are the guest's own: where it mounts a folder, how people call it. */
static bool is_silent(const xmlNode *n)
{
	static const char *const names[] = {"metadata", "description", "title", "emulator", "loader", "nvram",
					    "kernel",	"initrd",      "dtb",	"cmdline",  "target", "seclabel",
					    "sysinfo",	"acpi",	       "alias", "address",  NULL};

	return n->ns || word_index(names, (const char *)n->name) >= 0;
}

/* A source whose path a member of the definition tells; what is in it (the socket of a helper, say) none does. */
static bool is_told(const xmlNode *n)
{
	const xmlNode *in = n->parent;

	if (!libvirt_is(n, "source"))
		return false;
	if (libvirt_is(in, "disk") || libvirt_is(in, "backingStore") || libvirt_is(in, "dataStore"))
		return libvirt_source_of(in) != LIBVIRT_OTHER;
	return libvirt_is(in, "backend") && libvirt_is(in->parent, "tpm");
}

static int note_attributes(struct libvirt_definition *d, const char *device, const xmlNode *n, struct err *e)
{
	const xmlAttr *a;

	for (a = n->properties; a; a = a->next) /* an attribute without entities has one text */
		if (!a->ns && a->children && note_path(d, device, (const char *)a->children->content, e))
			return -EINVAL;
	return 0;
}

/* Notes every attribute and text that is a path, of whatever element, so that those of a newer libvirt are found as well. libxml2 bounds
 * the depth. */
static int note_paths(struct libvirt_definition *d, const char *device, const xmlNode *parent, struct err *e)
{
	const xmlNode *n;

	for (n = xml_first(parent); n; n = xml_after(n)) {
		const char *name = device ? device : (const char *)n->name;
		AUTO_FREE char *text = xml_first(n) ? NULL : libvirt_text(n);

		if (is_silent(n))
			continue;
		if (!is_told(n) && (note_attributes(d, name, n, e) || note_path(d, name, text, e)))
			return -EINVAL;
		if (note_paths(d, libvirt_is(n, "devices") ? NULL : name, n, e))
			return -EINVAL;
	}
	return 0;
}

/* The files of firmware's configuration: the rest of <sysinfo> are texts, which may begin as paths do. */
static int note_sysinfo(struct libvirt_definition *d, const xmlNode *domain, struct err *e)
{
	const xmlNode *info, *entry;

	for (info = libvirt_child(domain, "sysinfo"); info; info = libvirt_next(info, "sysinfo"))
		for (entry = libvirt_child(info, "entry"); entry; entry = libvirt_next(entry, "entry"))
			if (note_attributes(d, "sysinfo", entry, e))
				return -EINVAL;
	return 0;
}

/* <qemu:arg value='…'/>: any word with a path in it, as it is. */
static int note_qemu_words(struct libvirt_definition *d, const xmlNode *domain, struct err *e)
{
	const xmlNode *n, *arg;

	for (n = xml_first(domain); n; n = xml_after(n)) {
		if (!n->ns || !n->ns->href || strcmp((const char *)n->ns->href, QEMU_NAMESPACE))
			continue;
		d->has_qemu_words = true;
		for (arg = xml_first(n); arg; arg = xml_after(arg)) {
			AUTO_FREE char *value = libvirt_attr(arg, "value"), *name = xasprintf("qemu:%.40s", (const char *)arg->name);

			if (value && strchr(value, '/') && add_file(d, name, value, e))
				return -EINVAL;
		}
	}
	return 0;
}

/* ---- devices of the host, and what cannot move while it runs ---- */

/* "0x1f" as it is in "0000:1f:00.0". */
static const char *bare(const char *hex)
{
	return hex && !strncmp(hex, "0x", 2) ? hex + 2 : hex ? hex : "0";
}

static char *pci_words(const xmlNode *a)
{
	AUTO_FREE char *domain = libvirt_attr(a, "domain"), *bus = libvirt_attr(a, "bus"), *slot = libvirt_attr(a, "slot"),
		       *function = libvirt_attr(a, "function");

	return bus ? xasprintf("PCI %.4s:%.2s:%.2s.%.2s", bare(domain), bare(bus), bare(slot), bare(function)) : NULL;
}

/* Names the host device in the <source> of a <hostdev> or of a network card. */
static char *hostdev_words(const xmlNode *n)
{
	const xmlNode *source = libvirt_child(n, "source");
	AUTO_FREE char *type = libvirt_attr(n, "type"), *vendor = libvirt_attr_at(source, "vendor", "id"),
		       *product = libvirt_attr_at(source, "product", "id"), *mdev = libvirt_attr_at(source, "address", "uuid"),
		       *adapter = libvirt_attr_at(source, "adapter", "name"), *wwpn = libvirt_attr(source, "wwpn");
	char *pci = pci_words(libvirt_child(source, "address"));

	if (vendor && product) {
		free(pci);
		return xasprintf("USB %.20s:%.20s", vendor, product);
	}
	return pci ? pci : xasprintf("%.20s %.60s", type ? type : "?", mdev ? mdev : adapter ? adapter : wwpn ? wwpn : "");
}

/* Elements below <domain> or <devices> that have an element at a path, with an attribute that is so; "!a": that is not "a". */
static const struct {
	const char *element, *path, *attr, *value, *words;
	bool is_of_host; /* the words are followed by the device, which is also listed among the files */
} blocking[] = {
	{"hostdev", "", NULL, NULL, "a device of its host", true},
	{"interface", "", "type", "hostdev", "a network card of its host", true},
	{"interface", "", "type", "vdpa", "a vDPA network card", false},
	{"filesystem", "", NULL, NULL, "a shared folder", false},
	{"disk", "", "type", "nvme", "an NVMe disk of its host", false},
	{"disk", "", "type", "vhostuser", "a vhost-user disk", false},
	{"disk", "", "type", "vhostvdpa", "a vDPA disk", false},
	{"disk", "mirror", NULL, NULL, "a block job on one of its disks", false},
	{"tpm", "backend", "type", "passthrough", "its host's TPM", false},
	{"video", "model/acceleration", "accel3d", "yes", "3D acceleration", false},
	{"disk", "transient", NULL, NULL, "a transient disk", false},
	{"shmem", "", "role", "!master", "shared memory in another role than master", false},
	{"smartcard", "", "mode", "host", "a smartcard of its host", false},
	{"memory", "", "model", "sgx-epc", "SGX memory", false},
	{"launchSecurity", "", NULL, NULL, "encrypted memory", false},
	{"cpu", "", "migratable", "off", "a processor that is set not to be migratable", false},
};

static bool is_blocking(size_t i, const xmlNode *n)
{
	const xmlNode *at = libvirt_at(n, blocking[i].path);
	AUTO_FREE char *value = blocking[i].attr ? libvirt_attr(at, blocking[i].attr) : NULL;
	const char *is = value ? value : "", *wanted = blocking[i].value;

	if (!libvirt_is(n, blocking[i].element) || !at)
		return false;
	return !wanted || (*wanted == '!' ? strcmp(is, wanted + 1) != 0 : !strcmp(is, wanted));
}

static int note_blocking(struct libvirt_definition *d, const xmlNode *n, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(blocking); i++) {
		AUTO_FREE char *which = NULL;
		const char *words = blocking[i].words;

		if (!is_blocking(i, n))
			continue;
		which = blocking[i].is_of_host ? hostdev_words(n) : NULL;
		if (which && add_file(d, (const char *)n->name, which, e))
			return -EINVAL;
		if (add_word(&d->blocks_live, &d->block_count, which ? xasprintf("%s: %s", words, which) : xstrdup(words), e))
			return -EINVAL;
	}
	return 0;
}

/* ---- secrets and addresses ---- */

static int add_secret(struct libvirt_definition *d, char *of, const char *type, struct err *e)
{
	size_t before = d->secrets.count;
	int r = add_word(&d->secrets.names, &d->secrets.count, of, e);

	if (d->secrets.count > before) {
		d->secrets.types = xrealloc(d->secrets.types, d->secrets.count * sizeof(*d->secrets.types));
		d->secrets.types[before] = xstrdup(type ? type : "");
	}
	return r;
}

/* <secret uuid= or usage=> at any depth, and that of a TPM. */
static int note_secrets(struct libvirt_definition *d, const xmlNode *parent, struct err *e)
{
	const xmlNode *n;

	for (n = xml_first(parent); n; n = xml_after(n)) {
		AUTO_FREE char *type = libvirt_is(n, "secret") ? libvirt_attr(n, "type") : NULL;
		char *of = NULL;

		if (libvirt_is(n, "secret"))
			of = libvirt_attr(n, "uuid") ?: libvirt_attr(n, "usage");
		else if (libvirt_is(n, "encryption") && libvirt_is(parent, "backend"))
			of = libvirt_attr(n, "secret");
		if (add_secret(d, of, type ? type : libvirt_is(n, "encryption") ? "vtpm" : "", e) || note_secrets(d, n, e))
			return -EINVAL;
	}
	return 0;
}

static int note_listens(struct libvirt_definition *d, const xmlNode *devices, struct err *e)
{
	const xmlNode *g, *l;

	for (g = libvirt_child(devices, "graphics"); g; g = libvirt_next(g, "graphics")) {
		if (add_word(&d->listens, &d->listen_count, libvirt_attr(g, "listen"), e))
			return -EINVAL;
		for (l = libvirt_child(g, "listen"); l; l = libvirt_next(l, "listen")) {
			AUTO_FREE char *type = libvirt_attr(l, "type");

			if (type && !strcmp(type, "address") && add_word(&d->listens, &d->listen_count, libvirt_attr(l, "address"), e))
				return -EINVAL;
		}
	}
	return 0;
}

int libvirt_notes_read(struct libvirt_definition *d, const xmlNode *domain, struct err *e)
{
	const xmlNode *devices = libvirt_child(domain, "devices"), *n;

	for (n = xml_first(domain); n; n = xml_after(n))
		if (note_blocking(d, n, e))
			return -EINVAL;
	for (n = xml_first(devices); n; n = xml_after(n))
		if (note_blocking(d, n, e))
			return -EINVAL;
	if (note_paths(d, NULL, domain, e) || note_sysinfo(d, domain, e) || note_qemu_words(d, domain, e))
		return -EINVAL;
	if (note_secrets(d, libvirt_child(domain, "os"), e) || note_secrets(d, devices, e))
		return -EINVAL;
	return note_listens(d, devices, e);
}
