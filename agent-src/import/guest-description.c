/* guest-description.c: see guest-description.h. */
#include "guest-description.h"
#include "util.h"
#include "words.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NOTE_BYTES (4 * GUEST_TEXT_MAX) /* length at which a note is cut off */
#define SERIAL_MAX 36			/* bytes: what a SCSI disk of QEMU's takes */

void described_disk_fini(struct described_disk *k)
{
	for (size_t i = 0; i < k->base_count; i++)
		free(k->bases[i]);
	FREE_ALL(k->bases, k->label, k->volume, k->file, k->elsewhere, k->device_id, k->serial);
}

void description_fini(struct guest_description *d)
{
	FREE_ALL(d->origin, d->name, d->uuid, d->cpu_model, d->machine_type, d->uefi.nvram, d->has.video, d->has.tpm, d->genid,
		 d->direct.kernel, d->direct.initrd, d->direct.append);
	for (size_t i = 0; i < d->disk_count; i++)
		described_disk_fini(&d->disks[i]);
	described_disk_fini(&d->uefi.efi);
	for (size_t i = 0; i < SMBIOS_COUNT; i++)
		free(d->smbios[i]);
	for (size_t i = 0; i < d->nic_count; i++) {
		FREE_ALL(d->nics[i].model, d->nics[i].network, d->nics[i].kind, d->nics[i].name_there);
	}
	for (size_t i = 0; i < d->note_count; i++)
		free(d->notes[i]);
	*d = (struct guest_description){.origin = NULL};
}

void description_note(struct guest_description *d, const char *fmt, ...)
{
	char text[NOTE_BYTES];
	va_list ap;

	if (d->note_count > GUEST_NOTES_MAX)
		return;
	if (d->note_count == GUEST_NOTES_MAX) {
		d->notes[d->note_count++] = xstrdup("there is more that is not mapped: only the first is told");
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->notes[d->note_count++] = text_shown(text);
}

struct described_disk *description_add_disk(struct guest_description *d)
{
	if (d->disk_count < GUEST_DISKS_MAX)
		return &d->disks[d->disk_count++];
	description_note(d, "the guest has more than %d disks and drives: the others are left out", GUEST_DISKS_MAX);
	return NULL;
}

void description_drop_disk(struct guest_description *d, size_t i)
{
	described_disk_fini(&d->disks[i]);
	d->disk_count--;
	memmove(&d->disks[i], &d->disks[i + 1], (d->disk_count - i) * sizeof(d->disks[i]));
	memset(&d->disks[d->disk_count], 0, sizeof(d->disks[i]));
}

struct described_nic *description_add_nic(struct guest_description *d)
{
	if (d->nic_count < GUEST_NICS_MAX)
		return &d->nics[d->nic_count++];
	description_note(d, "the guest has more than %d network cards: the others are left out", GUEST_NICS_MAX);
	return NULL;
}

/* ---- values ---- */

static const char *skip_blanks(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

int described_number(uint64_t *out, const char *text, uint64_t min, uint64_t max, const char *what, struct err *e)
{
	const char *p = skip_blanks(text ? text : "");
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(p, &end, 10);
	if (!isdigit((unsigned char)*p) || *skip_blanks(end) || errno || n < min || n > max)
		return err_set(e, EINVAL, "%s is '%.40s', not a number from %llu to %llu", what, text ? text : "", (unsigned long long)min,
			       (unsigned long long)max);
	*out = n;
	return 0;
}

int described_memory(uint64_t *out, const char *text, uint64_t unit, struct err *e)
{
	uint64_t n;
	int r = described_number(&n, text, 1, GUEST_MEMORY_MAX / unit, "the memory", e);

	if (r)
		return r;
	if (n * unit < GUEST_MEMORY_MIN)
		return err_set(e, EINVAL, "the memory is less than 1 MiB");
	*out = n * unit;
	return 0;
}

/* Hexadecimal digits, with what may stand between. True: there are exactly 2 * n. */
static bool hex_digits(const char *text, const char *between, uint8_t *out, size_t n)
{
	size_t digits = 0;

	for (; *text; text++) {
		unsigned v = isdigit((unsigned char)*text) ? (unsigned)(*text - '0') : (unsigned)(tolower((unsigned char)*text) - 'a' + 10);

		if (!isxdigit((unsigned char)*text)) {
			if (!strchr(between, *text))
				return false;
			continue;
		}
		if (digits == 2 * n)
			return false;
		out[digits / 2] = (uint8_t)(digits % 2 ? out[digits / 2] << 4 | v : v);
		digits++;
	}
	return digits == 2 * n;
}

bool described_mac(struct described_nic *n, const char *text)
{
	static const uint8_t none[6];
	uint8_t mac[6];

	if (!text || !hex_digits(text, ":-. \t", mac, sizeof(mac)) || (mac[0] & 1) || !memcmp(mac, none, sizeof(mac)))
		return false;
	memcpy(n->mac, mac, sizeof(mac));
	n->has_mac = true;
	return true;
}

char *described_uuid(const char *text)
{
	uint8_t u[16];

	if (!text || !hex_digits(text, "{}- \t\r\n", u, sizeof(u)))
		return NULL;
	return xasprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3], u[4], u[5], u[6],
			 u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

static const char word_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

bool described_is_word(const char *text)
{
	size_t n = strspn(text, word_letters);

	return n && !text[n] && n < 64 && *text != '-';
}

/* An address of the host that it comes from is none of this one's, but for the loopback's. */
static bool take_host_address(struct described_forward *f, const char *ip)
{
	struct in_addr at = {0};

	if (ip && *ip && inet_pton(AF_INET, ip, &at) != 1)
		return false;
	if (at.s_addr && ntohl(at.s_addr) >> 24 != 127)
		return false;
	return !at.s_addr || inet_ntop(AF_INET, &at, f->from, sizeof(f->from));
}

/* The address that its DHCP gave the guest there is the one that QEMU's gives it; others are kept, if they are of QEMU's network. */
static bool take_guest_address(struct described_forward *f, const char *ip)
{
	struct in_addr at;

	if (!ip || !*ip)
		return true;
	if (inet_pton(AF_INET, ip, &at) != 1)
		return false;
	return ntohl(at.s_addr) >> 8 != 0x0a0002 || inet_ntop(AF_INET, &at, f->to, sizeof(f->to));
}

bool described_forward(struct described_nic *n, bool udp, const char *from, const char *port, const char *to, const char *guest_port)
{
	struct described_forward f = {.udp = udp};
	uint64_t here, there;
	struct err ignored;

	if (n->forward_count == GUEST_FORWARDS_MAX || described_number(&here, port, 1, UINT16_MAX, "", &ignored) ||
	    described_number(&there, guest_port, 1, UINT16_MAX, "", &ignored))
		return false;
	f.port = (uint16_t)here;
	f.guest_port = (uint16_t)there;
	if (!take_host_address(&f, from) || !take_guest_address(&f, to))
		return false;
	n->forwards[n->forward_count++] = f;
	return true;
}

void described_machine_type(struct guest_description *d, const char *type)
{
	free(d->machine_type);
	d->machine_type = !*type || !strcmp(type, "pc") || !strcmp(type, "q35") ? NULL : xstrdup(type);
}

bool described_is_serial(const char *text)
{
	size_t n = strspn(text, word_letters);

	return n && !text[n] && n <= SERIAL_MAX;
}

bool described_ends_with(const char *text, const char *ending)
{
	size_t n = strlen(text), m = strlen(ending);

	return n >= m && !strcasecmp(text + n - m, ending);
}

const char *const described_smbios[SMBIOS_COUNT] = {"manufacturer", "product", "version", "serial", "sku", "family"};

char *described_base64(const char *coded)
{
	size_t n = strlen(coded), pad = n - strcspn(coded, "="), i;
	uint8_t *out;
	int bytes;

	if (!n || n % 4 || pad > 2 || n > GUEST_TEXT_MAX)
		return NULL;
	out = xcalloc(1, n + 1);
	bytes = EVP_DecodeBlock(out, (const uint8_t *)coded, (int)n);
	for (i = 0; bytes > 0 && i < (size_t)bytes - pad && out[i] >= 0x20 && out[i] != 0x7f; i++)
		;
	if (bytes > 0 && i == (size_t)bytes - pad && text_is_utf8((const char *)out)) {
		out[i] = '\0';
		return (char *)out;
	}
	free(out);
	return NULL;
}

/* Models of network cards: the sources' names and QEMU's. */
static const char *const nic_models[][2] = {
	{"e1000", "e1000"},
	{"82540EM", "e1000"},
	{"e1000-82540em", "e1000"},
	{"82543GC", "e1000-82544gc"},
	{"82545EM", "e1000-82545em"},
	{"e1000-82544gc", "e1000-82544gc"},
	{"e1000-82545em", "e1000-82545em"},
	{"e1000e", "e1000e"},
	{"vmxnet3", "vmxnet3"},
	{"virtio", "virtio-net-pci"},
	{"virtio-net", "virtio-net-pci"},
	{"virtio-net-pci", "virtio-net-pci"},
	{"virtio-transitional", "virtio-net-pci"},
	{"virtio-non-transitional", "virtio-net-pci"},
	{"rtl8139", "rtl8139"},
	{"ne2k_pci", "ne2k_pci"},
	{"pcnet", "pcnet"},
	{"PCNet32", "pcnet"},
	{"Am79C970A", "pcnet"},
	{"Am79C973", "pcnet"},
	{"vlance", "pcnet"},
	{"tulip", "tulip"},
	{"i82551", "i82551"},
	{"i82557b", "i82557b"},
	{"i82559er", "i82559er"},
};

const char *described_word(const char **p, size_t *n)
{
	static const char between[] = " \t\r\n,;";
	const char *word = *p + strspn(*p, between);

	*n = strcspn(word, between);
	*p = word + *n;
	return *n ? word : NULL;
}

static const char *nic_device(const char *word, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(nic_models); i++)
		if (strlen(nic_models[i][0]) == n && !strncasecmp(word, nic_models[i][0], n))
			return nic_models[i][1];
	return NULL;
}

void described_nic_model(struct guest_description *d, struct described_nic *n, const char *text)
{
	const char *p = text ? text : "", *word;
	char *models = NULL;
	size_t len;

	while ((word = described_word(&p, &len))) {
		const char *device = nic_device(word, len);
		char *longer = device ? xasprintf("%s%s%s", models ? models : "", models ? " " : "", device) : NULL;

		if (!longer)
			continue;
		free(models);
		models = longer;
	}
	if (!models && text)
		description_note(d, "QEMU has no network card '%.60s': it becomes an e1000", text);
	if (models) {
		free(n->model);
		n->model = models;
	}
}

static bool any_in(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcasestr(text, *words))
			return true;
	return false;
}

int described_system(struct guest_description *d, const char *text, struct err *e)
{
	/* names of VMware ("winNetEnterprise" is Server 2003), VirtualBox and libosinfo, and in words */
	static const char *const windows[] = {"windows", "microsoft.com", NULL};
	static const char *const old[] =
		{"winxp",      "windowsxp",  "windows xp", "winnet",	 "win2000",	 "windows2000",	 "windows 2000",
		 "winnt",      "windowsnt",  "windows nt", "win2003",	 "windows2003",	 "windows 2003", "server 2003",
		 "windowsme",  "windows me", "win95",	   "windows95",	 "windows 95",	 "win98",	 "windows98",
		 "windows 98", "/win/xp",    "/win/2k3",   "windows_xp", "windows_2003", "windows_2000", "/win/me",
		 "/win/9",     "/winnt/",    NULL};
	static const char *const arm[] = {"arm64", "arm32", "aarch64", "(arm", "armv7", "armv8", NULL};
	const char *two_thousand;

	if (!text)
		return 0;
	if (any_in(text, arm) || !strncasecmp(text, "arm-", 4) || !strncasecmp(text, "arm_", 4))
		return err_set(e, EINVAL, "the processor is ARM ('%.60s'); only guests of x86 can be imported", text);
	two_thousand = strcasestr(text, "/win/2k");
	d->system.windows |= !strncasecmp(text, "win", 3) || any_in(text, windows);
	d->system.old_windows |= d->system.windows && (any_in(text, old) || (two_thousand && !two_thousand[7]));
	return 0;
}

const char *described_base(const char *path)
{
	const char *p, *base = path;

	for (p = path; *p; p++)
		if (*p == '/' || *p == '\\')
			base = p + 1;
	return base;
}

uint64_t described_unit(const char *text)
{
	static const struct {
		const char *word;
		unsigned shift;
	} words[] =
		{
			{"b", 0},	   {"byte", 0}, {"bytes", 0}, {"k", 10},   {"kb", 10},	      {"kib", 10}, {"kilobytes", 10},
			{"m", 20},	   {"mb", 20},	{"mib", 20},  {"g", 30},   {"gb", 30},	      {"gib", 30}, {"megabytes", 20},
			{"gigabytes", 30}, {"t", 40},	{"tb", 40},   {"tib", 40}, {"terabytes", 40},
		},
	  *known;
	unsigned factor, shift;
	char *lower, *p;
	int used;

	if (!text || strlen(text) > 40)
		return 0;
	lower = xstrdup(skip_blanks(text));
	for (p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	used = 0;
	/* DSP0004, "programmatic units" */
	if (sscanf(lower, "byte * %u^%u%n", &factor, &shift, &used) == 2 && !lower[used]) {
		free(lower);
		return factor == 2 && shift <= 40 ? 1ULL << shift : 0;
	}
	known = ROW_OF(words, word, lower);
	free(lower);
	return known ? 1ULL << known->shift : 0;
}

/* ---- encodings ---- */

static bool is_one_byte_each(const char *encoding)
{
	return !strncasecmp(encoding, "windows-125", 11) || !strncasecmp(encoding, "iso-8859", 8);
}

/* Encodings that VMware writes. Only these are accepted: iconv() takes names with options that do more than read a text. */
static bool is_known_encoding(const char *name)
{
	static const char *const others[] = {"Shift_JIS",   "GBK",	   "GB18030",	  "Big5",	 "EUC-KR",  "EUC-JP",
					     "windows-949", "windows-932", "windows-936", "windows-950", "US-ASCII"};
	const char *number = !strncasecmp(name, "windows-125", 11) ? name + 11 : !strncasecmp(name, "iso-8859-", 9) ? name + 9 : NULL;

	if (number)
		return text_is_digits(number) && strlen(number) <= 2;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (!strcasecmp(name, others[i]))
			return true;
	return false;
}

/* Microsoft's code pages have other names in the C library. */
static iconv_t open_encoding(const char *name)
{
	iconv_t c = iconv_open("UTF-8", name);
	AUTO_FREE char *page = c == (iconv_t)-1 && !strncasecmp(name, "windows-", 8) ? xasprintf("CP%s", name + 8) : NULL;

	return page ? iconv_open("UTF-8", page) : c;
}

/* Bytes that are no text of that encoding become '?', one at a time. */
static char *convert_text(iconv_t c, const char *text, size_t n)
{
	size_t size = 4 * n + 1, left = size - 1;
	char *out = xmalloc(size), *to = out, *from = (char *)text;

	while (n) {
		if (iconv(c, &from, &n, &to, &left) != (size_t)-1 || !n || !left)
			break;
		*to++ = '?';
		left--;
		from++;
		n--;
	}
	*to = '\0';
	return out;
}

char *described_utf16(const char *text, size_t n)
{
	iconv_t c = iconv_open("UTF-8", "UTF-16"); /* the byte order mark in the text gives the order */
	char *out;

	if (c == (iconv_t)-1)
		return xstrdup("");
	out = convert_text(c, text, n);
	iconv_close(c);
	return out;
}

char *described_utf8(const char *text, size_t n, const char *encoding, struct guest_description *d)
{
	AUTO_FREE char *whole = xasprintf("%.*s", (int)n, text);
	bool is_utf8 = text_is_utf8(whole);
	iconv_t c;
	char *out;

	if (!encoding || !strcasecmp(encoding, "UTF-8"))
		encoding = "windows-1252";
	if (is_utf8 && is_one_byte_each(encoding)) /* an editor may have changed it */
		return NULL;
	c = is_known_encoding(encoding) ? open_encoding(encoding) : (iconv_t)-1;
	if (c == (iconv_t)-1) {
		description_note(d, "the encoding '%.40s' is not known here: names in it that are not ASCII are not read", encoding);
		return NULL;
	}
	out = convert_text(c, text, n);
	iconv_close(c);
	return out;
}
