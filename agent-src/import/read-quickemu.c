/*
 * read-quickemu.c: a guest of quickemu's. Its configuration is assignments of a shell's, NAME="VALUE" a line, which are read as plain texts and never
 * run: a value that a shell would have to compute is none.
 */
#include "readers.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUICKEMU_BYTES_MAX (1u << 20)
#define LINES_MAX	   1024

struct assignment {
	char *name, *value; /* value NULL: it would have to be computed */
	bool known;
};

struct settings {
	struct guest_description *d;
	struct assignment *all;
	size_t n;
};

/* ---- lines ---- */

static size_t name_bytes(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && (isalnum((unsigned char)p[i]) || p[i] == '_'))
		i++;
	return i < n && p[i] == '=' && !isdigit((unsigned char)*p) ? i : 0;
}

/* The text between quotes, or up to a blank; NULL: a shell would compute it. malloc'ed. */
static char *plain_value(const char *p, size_t n)
{
	char quote = n && (*p == '"' || *p == '\'') ? *p : '\0';
	const char *end;
	size_t bytes, i;

	if (!quote) {
		for (bytes = 0; bytes < n && !isspace((unsigned char)p[bytes]); bytes++)
			;
	} else {
		end = memchr(++p, quote, --n);
		if (!end)
			return NULL;
		bytes = (size_t)(end - p);
	}
	for (i = 0; i < bytes; i++)
		if (quote != '\'' && strchr("$`\\", p[i]))
			return NULL;
	return xasprintf("%.*s", (int)bytes, p);
}

/* "(" VALUES ")" stays as it is, for people. */
static char *value_of(const char *p, size_t n)
{
	return n && *p == '(' ? xasprintf("%.*s", (int)n, p) : plain_value(p, n);
}

static int add_line(struct settings *s, const char *p, size_t n, struct err *e)
{
	size_t name;

	while (n && isspace((unsigned char)*p))
		p++, n--;
	while (n && isspace((unsigned char)p[n - 1]))
		n--;
	name = name_bytes(p, n);
	if (!name || n > GUEST_TEXT_MAX)
		return 0; /* a comment, or what is none of its settings */
	if (s->n == LINES_MAX)
		return err_set(e, EINVAL, "the description has more than %d lines", LINES_MAX);
	s->all[s->n++] = (struct assignment){.name = xasprintf("%.*s", (int)name, p), .value = value_of(p + name + 1, n - name - 1)};
	return 0;
}

static int split(struct settings *s, const char *text, size_t n, struct err *e)
{
	const char *end = text + n, *next;
	int r = 0;

	if (n > QUICKEMU_BYTES_MAX || memchr(text, '\0', n))
		return err_set(e, EINVAL, "not a text of at most %u KiB", QUICKEMU_BYTES_MAX >> 10);
	for (; !r && text < end; text = next) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		next = stop ? stop + 1 : end;
		r = add_line(s, text, (size_t)((stop ? stop : end) - text), e);
	}
	return r;
}

/* The last value, as a shell has it. NULL: there is none, or it is empty. */
static const char *get(struct settings *s, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->all[i].name, name)) {
			s->all[i].known = true;
			value = s->all[i].value;
		}
	return value && *value ? value : NULL;
}

static bool is_on(struct settings *s, const char *name)
{
	const char *value = get(s, name);

	return value && (!strcmp(value, "on") || !strcmp(value, "true"));
}

bool is_quickemu(const char *text, size_t n)
{
	const char *end = text + n, *stop;
	bool disk = false, system = false;

	for (; text < end && (stop = memchr(text, '\n', (size_t)(end - text))); text = stop + 1) {
		size_t left = (size_t)(stop - text);

		disk |= left > 9 && !memcmp(text, "disk_img=", 9);
		system |= left > 9 && !memcmp(text, "guest_os=", 9);
	}
	return disk && system;
}

/* ---- the machine ---- */

/* Systems that find their disk on IDE alone, or have no driver for virtio. */
static bool is_old(const char *os)
{
	static const char *const words[] = {"freedos", "kolibrios", "reactos", "haiku", NULL};

	return word_index(words, os) >= 0;
}

static int take_memory(struct settings *s, struct err *e)
{
	const char *ram = get(s, "ram");
	size_t digits = ram ? strspn(ram, "0123456789") : 0;
	AUTO_FREE char *number = digits ? xasprintf("%.*s", (int)digits, ram) : NULL;
	uint64_t unit;

	if (!number)
		return 0; /* the host's memory decides */
	unit = ram[digits] ? described_unit(ram + digits) : MIB;
	return unit ? described_memory(&s->d->memory_bytes, number, unit, e)
		    : err_set(e, EINVAL, "the memory is in '%.40s', which is not a unit", ram + digits);
}

static int take_machine(struct settings *s, const char *os, struct err *e)
{
	const char *boot = get(s, "boot"), *cores = get(s, "cpu_cores");
	uint64_t n;

	if (cores && described_number(&n, cores, 1, GUEST_CPUS_MAX, "cpu_cores", e))
		return -EINVAL;
	s->d->cpu.count = cores ? (unsigned)n : 0;
	s->d->system.windows = !strncmp(os, "windows", 7);
	s->d->machine = is_old(os) ? MACHINE_PC : MACHINE_Q35;
	s->d->firmware = boot && !strcmp(boot, "legacy") ? FIRMWARE_BIOS : FIRMWARE_UEFI;
	s->d->uefi.secure_boot = is_on(s, "secureboot") && s->d->firmware == FIRMWARE_UEFI;
	s->d->system.local_time = true;
	s->d->has.xhci = s->d->has.rng = !is_old(os);
	if (is_on(s, "tpm"))
		description_note(s->d, "the TPM does not come along: have the recovery key of a disk that is unlocked by it (BitLocker)");
	return take_memory(s, e);
}

/* ---- devices ---- */

/* The firmware's variables lie beside the disk. */
static void take_variables(struct settings *s, const char *disk)
{
	size_t dir = (size_t)(described_base(disk) - disk);

	if (s->d->firmware != FIRMWARE_UEFI)
		return;
	s->d->uefi.efi.label = xstrdup("OVMF_VARS.fd");
	s->d->uefi.efi.file = xasprintf("%.*sOVMF_VARS.fd", (int)dir, disk);
	s->d->uefi.efi.format = "raw";
}

static int take_disks(struct settings *s, const char *os, struct err *e)
{
	const char *file = get(s, "disk_img"), *format = get(s, "disk_format");
	struct described_disk *k;

	if (!file)
		return err_set(e, EINVAL, "the description does not say which disk the guest has (disk_img) in words that need no shell");
	k = description_add_disk(s->d);
	k->label = xstrdup("disk_img");
	k->file = xstrdup(file);
	k->bus = is_old(os) ? BUS_IDE : BUS_VIRTIO;
	if (format && !strcmp(format, "raw"))
		k->format = "raw";
	take_variables(s, file);
	if (get(s, "iso") || get(s, "fixed_iso") || get(s, "img"))
		description_add_disk(s->d)->cdrom = true;
	return 0;
}

/* "8888:80": that port of this host leads to that of the guest, of TCP and of UDP. */
static bool take_forward(struct described_nic *nic, const char *p, size_t n)
{
	const char *colon = memchr(p, ':', n);
	AUTO_FREE char *here = colon ? xasprintf("%.*s", (int)(colon - p), p) : NULL;
	AUTO_FREE char *there = colon ? xasprintf("%.*s", (int)(p + n - colon - 1), colon + 1) : NULL;

	return colon && described_forward(nic, false, NULL, here, NULL, there) && described_forward(nic, true, NULL, here, NULL, there);
}

/* port_forwards=("8888:80" "2200:22"). */
static void take_forwards(struct settings *s, struct described_nic *nic)
{
	const char *all = get(s, "port_forwards"), *p;
	bool good = true;
	size_t n;

	for (p = all ? all + strspn(all, "(") : ""; *(p += strspn(p, " \t\"')")); p += n) {
		n = strcspn(p, " \t\"')");
		good &= take_forward(nic, p, n);
	}
	if (!good)
		description_note(s->d,
				 "port_forwards %.80s: not all of it is known: ports of this host do not lead to the guest as they did",
				 all);
}

static void take_network(struct settings *s, const char *os)
{
	const char *network = get(s, "network"), *mac = get(s, "macaddr");
	struct described_nic *nic;

	if (network && !strcmp(network, "none"))
		return;
	nic = description_add_nic(s->d);
	described_nic_model(s->d, nic, !strcmp(os, "reactos") ? "e1000" : is_old(os) ? "rtl8139" : "virtio");
	if (mac && !described_mac(nic, mac))
		description_note(s->d, "'%.40s' is not the address of a network card: it gets a new one", mac);
	if (network && strcmp(network, "restrict") && strcmp(network, "user")) {
		nic->network = xstrdup(network);
		nic->kind = xstrdup("bridge");
	} else {
		take_forwards(s, nic);
	}
}

/* ---- what is left ---- */

static void say_the_rest(struct settings *s)
{
	static const char *const seen[][2] = {
		{"extra_args", "additional arguments of QEMU are left out: behind -- they come to the end of the line"},
		{"port_forwards", "no port of this host leads to the guest"},
		{"usb_devices", "a USB device of its host is left out"},
		{"floppy", "the guest has no floppy disk here"},
	};
	size_t i, idle = 0;

	for (i = 0; i < s->n; i++) {
		const char *value = s->all[i].value ? s->all[i].value : "…", *said;

		if (s->all[i].known)
			continue;
		said = PAIR_OF(seen, s->all[i].name);
		if (said && *value)
			description_note(s->d, "%s (%.100s): %s", s->all[i].name, value, said);
		else if (s->d->told.verbose)
			description_note(s->d, "the setting %.60s=%.60s is left out", s->all[i].name, value);
		else
			idle++;
	}
	if (idle)
		description_note(s->d, "%zu setting%s of quickemu's that say%s nothing of the hardware %s left out (--verbose)", idle,
				 idle == 1 ? "" : "s", idle == 1 ? "s" : "", idle == 1 ? "is" : "are");
}

static int read_guest(struct settings *s, struct err *e)
{
	const char *os = get(s, "guest_os");

	if (!os)
		os = "linux";
	if (!strcmp(os, "macos"))
		return err_set(e, EINVAL, "a guest with macOS, whose boot loader and key quickemu adds: it cannot be imported");
	s->d->origin = xstrdup("quickemu");
	s->d->system.of_qemu = true;
	get(s, "disk_size");
	get(s, "macos_release");
	if (take_machine(s, os, e) || take_disks(s, os, e))
		return -EINVAL;
	take_network(s, os);
	say_the_rest(s);
	return 0;
}

int read_quickemu(struct guest_description *d, const char *text, size_t n, struct err *e)
{
	struct settings s = {.d = d, .all = xcalloc(LINES_MAX, sizeof(struct assignment))};
	int r = split(&s, text, n, e) ?: read_guest(&s, e);

	for (size_t i = 0; i < s.n; i++) {
		free(s.all[i].name);
		free(s.all[i].value);
	}
	free(s.all);
	return r;
}
