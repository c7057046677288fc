/* foreign-image.c: see foreign-image.h. The formats: docs/interop/qcow2.txt and block/{vmdk,vdi,vpc,vhdx}.c of QEMU. */
#include "foreign-image.h"
#include "be.h"
#include "disk-content.h"
#include "image-base.h"
#include "json-text.h"
#include "open-regular.h"
#include "ova.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_BYTES	    512u
#define DESCRIPTOR_MAX	    (64u << 10)
#define QEMU_DESCRIPTOR_MAX ((1u << 20) - 1)
#define EXTENTS_MAX	    1024u
#define IMAGE_VIRTUAL_MAX   (64ULL << 40) /* bytes; VMware and Hyper-V have no larger disks */
#define VMDK_TEXT	    "# Disk DescriptorFile"

static int read_part(int fd, const struct image_source *s, void *to, size_t n, uint64_t at, struct err *e)
{
	uint8_t *p = to;

	if (at > s->size || n > s->size - at)
		return err_set(e, EINVAL, "cut off");
	for (at += s->offset; n;) {
		ssize_t r = pread(fd, p, n, (off_t)at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r ? err_sys(e, errno, "cannot read it") : err_set(e, EINVAL, "cut off");
		p += r;
		n -= (size_t)r;
		at += (uint64_t)r;
	}
	return 0;
}

/* A larger disk cannot be held here, and going through its map would take for ever. */
static int check_size(uint64_t bytes, struct err *e)
{
	return bytes <= IMAGE_VIRTUAL_MAX ? 0
					  : err_set(e, EFBIG, "the disk has %llu bytes, and no disk may have more than %llu TiB",
						    (unsigned long long)bytes, IMAGE_VIRTUAL_MAX >> 40);
}

/* ---- VMDK ---- */

/* Value of KEY=VALUE, up to the end of its line; NULL: none. Searched as QEMU does: anywhere. */
static const char *descriptor_value(const char *text, const char *key)
{
	const char *p = strcasestr(text, key);

	return p ? p + strlen(key) : NULL;
}

/* A sparse extent with no capacity has a list of extents of its own, which QEMU follows. end: bytes that a flat one must have. */
static int check_extent(const char *path, const char *name, uint64_t end, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	uint8_t head[20];
	struct stat st;

	if (fd < 0)
		return err_sys(e, errno, "cannot open its extent %s", name);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "the extent %s is not a regular file", name);
	if ((uint64_t)st.st_size < end)
		return err_set(e, EINVAL, "the extent %s is cut off: it has %lld bytes of %llu", name, (long long)st.st_size,
			       (unsigned long long)end);
	if (pread(fd, head, sizeof(head), 0) == sizeof(head) && !memcmp(head, "KDMV", 4) && !le64(head + 12))
		return err_set(e, EINVAL, "the extent %s has extents of its own", name);
	return 0;
}

/* RW 4192256 SPARSE "disk-s001.vmdk" [OFFSET] */
static int check_line(struct image_source *s, const char *line, size_t n, unsigned *extents, struct err *e)
{
	AUTO_FREE char *text = xasprintf("%.*s", (int)n, line), *path = NULL;
	char access[16], type[16], name[256];
	int dir = (int)(strrchr(s->path, '/') - s->path), fields;
	unsigned long long sectors, from = 0;
	bool is_flat;

	fields = sscanf(text, " %15s %llu %15s \"%255[^\"\n]\" %llu", access, &sectors, type, name, &from);
	if (fields < 1 || (strcmp(access, "RW") && strcmp(access, "RDONLY") && strcmp(access, "NOACCESS")))
		return 0; /* not an extent's line */
	if (fields < 3)	  /* QEMU would go on in the next one */
		return err_set(e, EINVAL, "the line of one of its extents is cut off");
	if (sectors > IMAGE_VIRTUAL_MAX / 512)
		return check_size(sectors > UINT64_MAX / 512 ? UINT64_MAX : sectors * 512, e);
	if (++*extents > EXTENTS_MAX)
		return err_set(e, EINVAL, "the image has more than %u extents", EXTENTS_MAX);
	if (!strcmp(type, "ZERO") && fields == 3)
		return 0;
	if (!strcmp(type, "VMFSRDM") || !strcmp(type, "VMFSRAW"))
		return err_set(e, EINVAL, "the image stands for a disk of the host that it comes from (%s): make an image of it there",
			       type);
	if (fields < 4 || !plain_file_name(name))
		return err_set(e, EINVAL, "the extent '%.100s' is not the name of a file beside it", fields >= 4 ? name : "?");
	if (s->is_slice)
		return err_set(e, EINVAL, "the extents are not in it");
	path = xasprintf("%.*s/%s", dir, s->path, name);
	words_add(&s->extents, &s->extent_count, xstrdup(name));
	is_flat = !strcmp(type, "FLAT") || !strcmp(type, "VMFS");
	if (sectors > UINT64_MAX / 1024 || from > UINT64_MAX / 1024)
		return err_set(e, EINVAL, "the extent %s is longer than can be", name);
	return check_extent(path, name, is_flat ? (sectors + from) * 512 : 0, e);
}

/* Kinds that are a disk of their host's, or a part of one, whatever their extents say: VMware's Virtual Disk Format 5.0. */
static int check_type(const char *text, struct err *e)
{
	static const char *const of_host[] = {"vmfsRawDeviceMap", "vmfsPassthroughRawDeviceMap", "vmfsRaw", "fullDevice",
					      "partitionedDevice"};
	const char *value = descriptor_value(text, "createType=\"");
	size_t n = value ? strcspn(value, "\"\n") : 0, i;

	for (i = 0; i < ARRAY_LEN(of_host); i++)
		if (n == strlen(of_host[i]) && !strncasecmp(value, of_host[i], n))
			return err_set(e, EINVAL,
				       "the image stands for a disk of the host that it comes from (%s): make an image of it there",
				       of_host[i]);
	return 0;
}

static int check_descriptor(struct image_source *s, const char *text, bool extents, struct err *e)
{
	const char *parent = descriptor_value(text, "parentCID="), *line;
	unsigned n = 0;
	int r = check_type(text, e);

	if (r)
		return r;
	if (parent && strncasecmp(parent, "ffffffff", 8))
		return err_set(e, EINVAL, "a difference to another image: remove the guest's snapshots there first, or clone it");
	if (strcasestr(text, "parentFileNameHint"))
		return err_set(e, EINVAL, "the image names a parent image");
	for (line = text; !r && extents && *line; line += strcspn(line, "\n"), line += *line == '\n')
		r = check_line(s, line, strcspn(line, "\n"), &n, e);
	if (!r && extents && !n)
		return err_set(e, EINVAL, "the image has no extents");
	return r;
}

static int check_vmdk_text(struct image_source *s, int fd, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int r;

	if (s->size > DESCRIPTOR_MAX)
		return err_set(e, EINVAL, "the descriptor is longer than %u KiB", DESCRIPTOR_MAX >> 10);
	text = xcalloc(1, s->size + 1);
	r = read_part(fd, s, text, s->size, 0, e); /* a zero ends it, for QEMU, too */
	return r ?: check_descriptor(s, text, true, e);
}

/* The descriptor at that place, as far as there are so many bytes of it. */
static int check_embedded(struct image_source *s, int fd, uint64_t at, uint64_t bytes, bool extents, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t n;

	if (at > s->size)
		return err_set(e, EINVAL, "the descriptor is not where it says");
	n = (size_t)MIN(bytes, s->size - at);
	text = xcalloc(1, n + 1);
	return read_part(fd, s, text, n, at, e) ?: check_descriptor(s, text, extents, e);
}

static int check_vmdk(struct image_source *s, int fd, const uint8_t head[HEAD_BYTES], struct err *e)
{
	uint64_t capacity = le64(head + 12), at = le64(head + 28), sectors = le64(head + 36);
	int r = check_embedded(s, fd, 512, DESCRIPTOR_MAX, false, e); /* QEMU looks for a parent there, whatever the header says */
	if (!r)
		r = capacity > IMAGE_VIRTUAL_MAX / 512 ? check_size(capacity < UINT64_MAX / 512 ? capacity * 512 : UINT64_MAX, e) : 0;

	if (r || (!at && capacity))
		return r; /* the image has no descriptor */
	if (!at || !sectors || sectors > DESCRIPTOR_MAX / 512 || at > s->size / 512)
		return err_set(e, EINVAL, "the descriptor is not where it says");
	/* QEMU reads the descriptor of an image with extents up to a zero, however long the header says that it is */
	r = check_embedded(s, fd, at * 512, capacity ? sectors * 512 : QEMU_DESCRIPTOR_MAX, !capacity, e);
	if (!r && !capacity) /* a guest could have written this to a disk that is raw */
		r = err_set(
			e, EINVAL,
			"the file begins as an image, but consists of other files: give one that is whole, or a description of it as text");
	return r;
}

/* ---- others ---- */

static int check_qcow2(const uint8_t head[HEAD_BYTES], bool has_bases, struct err *e)
{
	uint32_t version = be32(head + 4);

	if (version != 2 && version != 3)
		return err_set(e, EINVAL, "qcow of version %u, which is not supported", version);
	if (be64(head + 8) && !has_bases)
		return err_set(e, EINVAL,
			       "the image has a backing file: make one image of both first (qemu-img convert -O qcow2 IMAGE NEW)");
	if (be32(head + 32))
		return err_set(e, EINVAL, "encrypted: decrypt it first (qemu-img convert)");
	if (version == 3 && (be64(head + 72) & 4))
		return err_set(e, EINVAL,
			       "the data is in another file: make one image of both first (qemu-img convert -O qcow2 IMAGE NEW)");
	return check_size(be64(head + 24), e);
}

#define SNAPSHOT_HEAD	40u
#define SNAPSHOTS_SHOWN 5u

/* docs/interop/qcow2.txt, "Snapshots": each entry has its extra data, its id and its name behind it, and ends at a multiple of 8. */
char *image_snapshot_names(const struct image_source *s)
{
	AUTO_CLOSE int fd = open_regular(s->path);
	uint8_t head[HEAD_BYTES], entry[SNAPSHOT_HEAD];
	char *names = xstrdup("");
	struct err ignored;
	uint64_t at;
	unsigned i;

	if (fd < 0 || read_part(fd, s, head, sizeof(head), 0, &ignored))
		return names;
	at = be64(head + 64);
	for (i = 0; i < s->snapshots && i < SNAPSHOTS_SHOWN && !read_part(fd, s, entry, sizeof(entry), at, &ignored); i++) {
		unsigned id = (unsigned)entry[12] << 8 | entry[13], n = (unsigned)entry[14] << 8 | entry[15];
		char name[256] = "", *longer;
		uint64_t behind = at + SNAPSHOT_HEAD + be32(entry + 36) + id;

		if (read_part(fd, s, name, MIN(n, sizeof(name) - 1), behind, &ignored))
			break;
		longer = xasprintf("%s%s%s", names, i ? ", " : "", name);
		free(names);
		names = longer;
		at = (behind + n + 7) & ~7ull;
	}
	if (i < s->snapshots && *names) {
		char *longer = xasprintf("%s …", names);

		free(names);
		names = longer;
	}
	return names;
}

/* A dynamic one begins with a copy of the footer that a fixed one has at its end only. 4: a difference. */
static int check_vpc(const uint8_t footer[HEAD_BYTES], struct err *e)
{
	uint32_t type = be32(footer + 60);

	return type == 2 || type == 3 ? check_size(be64(footer + 48), e)
				      : err_set(e, EINVAL, "a VHD of type %u%s", type,
						type == 4 ? ", a difference to another image: merge it there first" : "");
}

static bool is_vpc(int fd, const struct image_source *s, const uint8_t head[HEAD_BYTES], uint8_t footer[HEAD_BYTES])
{
	struct err ignored;

	memcpy(footer, head, HEAD_BYTES);
	if (!memcmp(head, "conectix", 8))
		return true;
	return s->size >= 2 * HEAD_BYTES && !read_part(fd, s, footer, HEAD_BYTES, s->size - HEAD_BYTES, &ignored) &&
	       !memcmp(footer, "conectix", 8) && be32(footer + 60) == 2;
}

/* The size alone: image-whole.h decides whether the content is that of a disk. */
static int check_raw(struct image_source *s, int fd, struct err *e)
{
	AUTO_FREE uint8_t *head = NULL;
	struct disk_content c;
	size_t n = (size_t)MIN(s->size, DISK_CONTENT_BYTES);
	int r;

	s->driver = "raw";
	if (s->size && s->size % 512 == 0)
		return 0;
	if (!s->size)
		return err_set(e, EINVAL, "not a disk image: empty");
	head = xmalloc(n);
	r = read_part(fd, s, head, n, 0, e);
	if (r)
		return r;
	disk_content_read(&c, head, n);
	if (c.other)
		return err_set(e, EINVAL, "not a disk image: it is %s", c.other);
	return c.is_disk ? err_set(e, EINVAL, "cut off: the %llu bytes end within a sector; copy it again", (unsigned long long)s->size)
			 : err_set(e, EINVAL, "not a disk image, or cut off: the header is unknown, and the %llu bytes end within a sector",
				   (unsigned long long)s->size);
}

static int examine(struct image_source *s, int fd, const char *format, struct err *e)
{
	static const char *const refused[][2] = {
		{"\x1f\x8b", "compressed (gzip): unpack it first"},
		{"\xfd"
		 "7zXZ",
		 "compressed (xz): unpack it first"},
		{"BZh", "compressed (bzip2): unpack it first"},
		{"\x28\xb5\x2f\xfd", "compressed (zstd): unpack it first"},
		{"\x89LZO", "compressed (lzop): unpack it first (lzop -d FILE)"},
		{"\x04\"M\x18", "compressed (lz4): unpack it first (lz4 -d FILE)"},
		{"PK\x03\x04", "a zip archive: unpack it first (unzip FILE), and import what was in it"},
		{"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first (7z x FILE), and import what was in it"},
		{"Rar!\x1a\x07", "a RAR archive: unpack it first (7z x FILE), and import what was in it"},
		{"QED", "an image of format qed, which is no longer maintained: convert it with qemu-img convert"},
	};
	uint8_t head[HEAD_BYTES] = {0}, footer[HEAD_BYTES];
	int r;

	if (s->is_raw || s->was_raw || s->is_block || (format && !strcmp(format, "raw")))
		return check_raw(s, fd, e);
	r = read_part(fd, s, head, MIN(s->size, HEAD_BYTES), 0, e);
	if (r)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (!memcmp(head, refused[i][0], strlen(refused[i][0])))
			return err_set(e, EINVAL, "%s", refused[i][1]);
	if (!memcmp(head, "QFI\xfb", 4)) {
		s->driver = "qcow2";
		s->snapshots = be32(head + 60);
		r = check_qcow2(head, s->may && !s->is_slice, e);
		return r || !s->may || s->is_base || s->is_slice ? r : image_find_bases(s, e);
	}
	if (!memcmp(head, "KDMV", 4) || !memcmp(head, VMDK_TEXT, strlen(VMDK_TEXT))) {
		s->driver = "vmdk";
		return *head == 'K' ? check_vmdk(s, fd, head, e) : check_vmdk_text(s, fd, e);
	}
	if (!memcmp(head, "COWD", 4))
		return err_set(e, EINVAL, "a part of a disk of an ESX server's: give the file that describes the disk");
	if (!memcmp(head, "vhdxfile", 8)) {
		s->driver = "vhdx"; /* QEMU refuses differences */
		return 0;
	}
	if (le32(head + 0x40) == 0xbeda107f) {
		s->driver = "vdi"; /* QEMU refuses differences */
		return check_size(le64(head + 0x170), e);
	}
	if (is_vpc(fd, s, head, footer)) {
		s->driver = "vpc";
		s->by_size = memcmp(footer + 28, "vpc ", 4) && memcmp(footer + 28, "qemu", 4); /* the program that made it decides */
		return check_vpc(footer, e);
	}
	return check_raw(s, fd, e);
}

int image_open(const char *path)
{
	struct stat st;
	int fd;

	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return open_regular(path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

const char *image_source_label(const struct image_source *s)
{
	return s->packed ?: s->path;
}

int image_examine(struct image_source *s, const char *format, struct err *e)
{
	AUTO_CLOSE int fd = image_open(s->path);
	struct stat st;
	int r;

	if (fd < 0)
		return fd == -EINVAL ? err_set(e, EINVAL, "%s is neither a regular file nor a block device", s->path)
				     : err_sys(e, -fd, "cannot open %s", s->path);
	if (fstat(fd, &st))
		return err_sys(e, errno, "cannot read %s", s->path);
	s->is_block = S_ISBLK(st.st_mode);
	if (!s->is_slice)
		s->size = s->is_block ? (uint64_t)lseek(fd, 0, SEEK_END) : (uint64_t)st.st_size;
	r = examine(s, fd, format, e);
	return r ? err_prefix(e, "%s", image_source_label(s)) : 0;
}

/* QEMU's probe for a VMDK descriptor: comments and empty lines, then its version. */
static bool is_vmdk_text(const char *text)
{
	const char *p = text;

	for (p += strspn(p, " \r\n"); *p == '#'; p += strspn(p, " \r\n"))
		p += strcspn(p, "\n");
	return !strncmp(p, "version=", 8) && p[8] >= '1' && p[8] <= '3' && (p[9] == '\n' || p[9] == '\r');
}

int image_check_alone(const char *path, struct err *e)
{
	static const char *const magics[] = {"QFI\xfb", "QED", "KDMV", "COWD"};
	AUTO_CLOSE int fd = open_regular(path);
	struct image_source s = {.path = NULL};
	char head[HEAD_BYTES + 1] = "";
	bool may;
	int r;

	if (fd < 0)
		return err_sys(e, -fd, "cannot open %s", path);
	if (pread(fd, head, HEAD_BYTES, 0) < 0)
		return err_sys(e, errno, "cannot read %s", path);
	may = is_vmdk_text(head);
	for (size_t i = 0; i < ARRAY_LEN(magics); i++)
		may |= !memcmp(head, magics[i], strlen(magics[i]));
	if (!may)
		return 0;
	s.path = xstrdup(path);
	r = image_examine(&s, NULL, e);
	if (!r && strcmp(s.driver, "qcow2"))
		r = err_set(e, EINVAL, "%s begins as an image that may name other files", path);
	image_source_fini(&s);
	return r;
}

/* QEMU is told that the last one is on none, whatever may be in it by then. NULL: a name is not UTF-8. */
static json_t *bases_as_json(const struct image_source *s)
{
	const char *last = s->base_count ? s->bases[s->base_count - 1].driver : s->driver;
	json_t *on = strcmp(last, "qcow2") ? NULL : json_null();

	for (size_t i = s->base_count; i-- > 0;) {
		json_t *base = json_pack("{s:s,s:{s:s,s:s}}", "driver", s->bases[i].driver, "file", "driver", "file", "filename",
					 s->bases[i].path);

		if (!base) {
			json_decref(on);
			return NULL;
		}
		if (on)
			json_object_set_new(base, "backing", on);
		on = base;
	}
	return on;
}

char *image_source_name(const struct image_source *s)
{
	json_t *file = json_pack("{s:s,s:s}", "driver", s->is_block ? "host_device" : "file", "filename", s->path), *slice, *all;
	char *text, *name;

	if (s->is_slice) {
		/* a member of a tar archive is padded to whole sectors, which alone QEMU takes */
		slice = json_pack("{s:s,s:I,s:I,s:o}", "driver", "raw", "offset", (json_int_t)s->offset, "size",
				  (json_int_t)((s->size + 511) / 512 * 512), "file", file);
		file = slice;
	}
	all = json_pack("{s:s,s:o,s:s*}", "driver", s->driver, "file", file, "force_size_calc", s->by_size ? "current_size" : NULL);
	/* the chain of one's own image is what the image itself says */
	if (s->base_count || (!s->is_own && !strcmp(s->driver, "qcow2"))) {
		json_t *on = bases_as_json(s);

		if (!on || json_object_set_new(all, "backing", on)) {
			json_decref(all);
			return NULL;
		}
	}
	text = json_text_dump(all, JSON_COMPACT);
	json_decref(all);
	if (!text)
		return NULL;
	name = xasprintf("json:%s", text);
	free(text);
	return name;
}

void image_source_fini(struct image_source *s)
{
	for (size_t i = 0; i < s->extent_count; i++)
		free(s->extents[i]);
	for (size_t i = 0; i < s->base_count; i++)
		free(s->bases[i].path);
	free(s->bases);
	s->bases = NULL;
	s->base_count = 0;
	free(s->extents);
	s->extents = NULL;
	s->extent_count = 0;
	free(s->path);
	free(s->packed);
	s->path = s->packed = NULL;
}
