/* file-kind.c: see file-kind.h. */
#include "file-kind.h"
#include "bundle.h"
#include "foreign-image.h"
#include "packed.h"
#include "readers.h"
#include "tarred-disk.h"
#include "unpack.h"
#include "vma.h"
#include "xva.h"
#include "util.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define HEAD_BYTES TARRED_HEAD
#define TEXT_BYTES (64u << 10) /* bytes of a text that are looked at */

/* The kinds of descriptions. XML is told apart by its outermost element, and other text by its contents. */
static const struct {
	enum file_kind kind;
	const char *element; /* NULL: no XML */
	description_read_fn read;
	bool (*is)(const char *text, size_t n); /* NULL: told apart otherwise */
} readers[] = {
	{KIND_OVF, "Envelope", read_ovf, NULL},
	{KIND_OVA, NULL, read_ovf, NULL},
	{KIND_VMX, NULL, read_vmx, NULL},
	{KIND_LIBVIRT, "domain", read_libvirt, NULL},
	{KIND_HYPERV, "configuration", read_hyperv, NULL},
	{KIND_PROXMOX, NULL, read_proxmox, is_proxmox},
	{KIND_QUICKEMU, NULL, read_quickemu, is_quickemu},
	{KIND_BOX, NULL, read_box, NULL},
	{KIND_VMA, NULL, read_proxmox, NULL},
	{KIND_XVA, NULL, read_xva, NULL},
	{KIND_VBOX, "VirtualBox", read_virtualbox, NULL},
	{KIND_UTM, NULL, read_utm, NULL},
	{KIND_HYPERV_JSON, NULL, read_hyperv_json, is_hyperv_json},
};

static const struct {
	const char *ending, *why;
} refused[] = {
	{".vmcx",
	 "Hyper-V's binary configuration, whose format is not published. Have Hyper-V print it, and import that, with its VHDX beside it: "
	 "Get-VM NAME | Select-Object Name,Id,Generation,ProcessorCount,MemoryStartup,DynamicMemoryEnabled,HardDrives,DVDDrives,NetworkAdapters | "
	 "ConvertTo-Json -Depth 3 | Out-File NAME.json -Encoding utf8"},
	{".vmrs", "the memory of a guest of Hyper-V, not a disk"},
	{".vmgs", "the state of a guest's firmware in Hyper-V, not a disk"},
	{".vmem", "the memory of a guest of VMware, not a disk"},
	{".vmss", "the state of a suspended guest of VMware's: shut it down there first"},
	{".vmsn", "the state of a snapshot of VMware's, not a disk"},
	{".vmsd", "a list of snapshots of VMware's, not a disk"},
	{".nvram", "the settings of a firmware, not a disk"},
	{".mf", "a manifest: name the OVF beside it"},
	{".avhdx", "a difference to another image: merge the guest's checkpoints there first"},
	{".avhd", "a difference to another image: merge the guest's checkpoints there first"},
};

/* The name of the outermost element, if that looks like XML; what is UTF-16 is looked at without its zeros. */
static bool outermost(const char *head, size_t n, char *name, size_t size)
{
	char plain[HEAD_BYTES + 1], *p;
	size_t i, len = 0;

	for (i = 0; i < n; i++)
		if (head[i] && (unsigned char)head[i] < 0x80)
			plain[len++] = head[i];
	plain[len] = '\0';
	p = plain + strspn(plain, " \t\r\n");
	while (*p == '<' && (p[1] == '?' || p[1] == '!')) {
		const char *end = strncmp(p, "<!--", 4) ? ">" : "-->";

		p = strstr(p, end);
		if (!p)
			return false;
		p += strlen(end);
		p += strspn(p, " \t\r\n");
	}
	if (*p++ != '<' || !isalpha((unsigned char)*p))
		return false;
	len = strcspn(p, " \t\r\n/>");
	for (i = 0; i < len; i++)
		if (p[i] == ':') {
			p += i + 1;
			len -= i + 1;
			break;
		}
	if (!len || len >= size)
		return false;
	memcpy(name, p, len);
	name[len] = '\0';
	return true;
}

/* Looks whether a property list is a guest of UTM's: any program of macOS may have such lists. */
static int look_at_plist(enum file_kind *out, int fd, const char *path, struct err *e)
{
	AUTO_FREE char *text = xcalloc(1, TEXT_BYTES + 1);
	ssize_t n = pread(fd, text, TEXT_BYTES, 0);

	if (n <= 0 || !is_utm(text, (size_t)n))
		return err_set(e, EINVAL, "%s is a property list, but not of a guest of UTM's: it has no ConfigurationVersion", path);
	*out = KIND_UTM;
	return 0;
}

/* Sets *out if that is a text of a kind that is known by what is in it. */
static void look_at_text(enum file_kind *out, int fd)
{
	AUTO_FREE char *text = xcalloc(1, TEXT_BYTES + 1);
	ssize_t n = pread(fd, text, TEXT_BYTES, 0);

	if (n <= 0 || (memchr(text, '\0', (size_t)n) && memcmp(text, "\xff\xfe", 2) && memcmp(text, "\xfe\xff", 2)))
		return;
	for (size_t i = 0; i < ARRAY_LEN(readers); i++)
		if (readers[i].is && readers[i].is(text, (size_t)n))
			*out = readers[i].kind;
}

/* An archive that may be compressed. */
static int look_at_archive(enum file_kind *out, const char *path, const char *head, struct err *e)
{
	struct packed_content c = {.kind = PACKED_OTHER};
	bool may = !memcmp(head, VMA_MAGIC, strlen(VMA_MAGIC)) || packed_is(head, PACKED_HEAD);
	int r = may ? unpack_look(&c, path, e) : 0;

	if (c.kind == PACKED_VMA)
		*out = KIND_VMA;
	if (c.kind == PACKED_TAR)
		*out = KIND_PACKED;
	if (c.kind == PACKED_XVA)
		*out = KIND_XVA;
	packed_content_fini(&c);
	return r;
}

int file_kind_of(enum file_kind *out, const char *path, struct err *e)
{
	AUTO_CLOSE int fd = image_open(path);
	struct stat st;
	char head[HEAD_BYTES + 1] = "", element[64];
	uint64_t ignored;
	ssize_t n;

	if (fd < 0)
		return fd == -EINVAL ? err_set(e, EINVAL, "%s is not a regular file", path) : err_sys(e, -fd, "cannot open %s", path);
	*out = KIND_IMAGE;
	if (!fstat(fd, &st) && S_ISBLK(st.st_mode))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (described_ends_with(path, refused[i].ending))
			return err_set(e, EINVAL, "%s: %s", path, refused[i].why);
	n = pread(fd, head, HEAD_BYTES, 0);
	if (n < 0)
		return err_sys(e, errno, "cannot read %s", path);
	if (!memcmp(head, "bplist00", 8))
		return err_set(e, EINVAL, "%s is a property list that is not XML: make XML of it on a Mac (plutil -convert xml1 FILE)",
			       path);
	if (tarred_disk_is((const uint8_t *)head, (size_t)n, &ignored))
		return 0;
	if (n >= (ssize_t)XVA_HEAD && xva_is((const uint8_t *)head))
		*out = KIND_XVA;
	else if (n > 262 && !memcmp(head + 257, "ustar", 5))
		*out = KIND_OVA;
	else if (described_ends_with(path, ".vmx"))
		*out = KIND_VMX;
	else if (outermost(head, (size_t)n, element, sizeof(element))) {
		for (size_t i = 0; i < ARRAY_LEN(readers); i++)
			if (readers[i].element && !strcmp(readers[i].element, element))
				*out = readers[i].kind;
		if (!strcmp(element, "plist"))
			return look_at_plist(out, fd, path, e);
		if (*out == KIND_IMAGE && (!strcmp(element, "domstatus") || !strcmp(element, "domainsnapshot")))
			return err_set(
				e, EINVAL,
				"%s is what libvirt keeps of a guest that %s (<%s>): have it print the guest's definition, and import that (virsh "
				"dumpxml --inactive NAME)",
				path, element[3] == 's' ? "runs" : "has a snapshot", element);
		if (*out == KIND_IMAGE)
			return err_set(e, EINVAL, "%s is XML, but describes no guest that is known: it begins with <%s>", path, element);
	} else if (described_ends_with(path, ".ova") || described_ends_with(path, ".ovf") || described_ends_with(path, ".xml")) {
		return err_set(e, EINVAL, "%s is not what its name says", path);
	} else {
		look_at_text(out, fd);
	}
	return *out == KIND_IMAGE ? look_at_archive(out, path, head, e) : 0;
}

/* ---- directories ---- */

#define ENTRIES_MAX 1000u

static bool describes(const char *path, enum file_kind *kind)
{
	struct stat st;
	struct err ignored;

	return !lstat(path, &st) && S_ISREG(st.st_mode) && !file_kind_of(kind, path, &ignored) && *kind != KIND_IMAGE;
}

/* Adds a name to a list for people. */
static void list_name(char **list, const char *name)
{
	char *longer = xasprintf("%s%s%.100s", *list ? *list : "", *list ? ", " : "", name);

	free(*list);
	*list = longer;
}

static int judge_found(const char *dir, size_t found, const char *names, struct err *e)
{
	if (found > 1)
		return err_set(e, EINVAL, "%s has several descriptions of guests: name one of %s", dir, names);
	return found ? 0
		     : err_set(e, ENOENT,
			       "%s has no " BUNDLE_MANIFEST
			       ", so it is not a bundle, or one that was not finished; and no description of a guest "
			       "is in it",
			       dir);
}

int file_kind_in(char **path, enum file_kind *kind, const char *dir, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	AUTO_FREE char *names = NULL;
	size_t found = 0, n = 0;
	int r;

	*path = NULL;
	if (!d)
		return err_sys(e, errno, "cannot open %s", dir);
	while (n++ < ENTRIES_MAX && found < 10 && (entry = readdir(d))) {
		AUTO_FREE char *this = xasprintf("%s/%s", dir, entry->d_name);
		enum file_kind is;

		if (!describes(this, &is))
			continue;
		found++;
		list_name(&names, entry->d_name);
		*kind = is;
		free(*path);
		*path = this;
		this = NULL;
	}
	closedir(d);
	r = judge_found(dir, found, names, e);
	if (r) {
		free(*path);
		*path = NULL;
	}
	return r;
}

description_read_fn file_kind_reader(enum file_kind kind)
{
	size_t i;

	for (i = 0; readers[i].kind != kind; i++)
		;
	return readers[i].read;
}
