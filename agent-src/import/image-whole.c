/* image-whole.c: see image-whole.h. The formats: docs/interop/qcow2.txt and block/vpc.c of QEMU. */
#include "image-whole.h"
#include "be.h"
#include "convert.h"
#include "image-base.h"
#include "qcow2-end.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define SECTOR	   512u
#define LINE_BYTES 512u
#define COPY_BLOCK 65536u

static int cut_off(struct err *e, const char *why)
{
	return err_set(e, EINVAL, "cut off: %s; copy it again", why);
}

static int read_at(const struct image_source *s, void *to, size_t n, uint64_t at, struct err *e)
{
	AUTO_CLOSE int fd = image_open(s->path);
	size_t got = 0;

	if (fd < 0)
		return err_sys(e, -fd, "cannot open it");
	if (at > s->size || n > s->size - at)
		return cut_off(e, "the file is shorter than its header");
	while (got < n) {
		ssize_t r = pread(fd, (uint8_t *)to + got, n - got, (off_t)(s->offset + at + got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return err_sys(e, r ? errno : EIO, "cannot read it");
		got += (size_t)r;
	}
	return 0;
}

/* ---- what qemu-img finds ---- */

/* Output of qemu-img is read a line at a time. */
struct lines {
	char line[LINE_BYTES];
	size_t n;
	bool answered;
	uint64_t leaks, clusters_end; /* results for qcow2: clusters that nothing refers to, and where the last one ends */
	uint64_t errors;	      /* errors of "qemu-img check" */
	uint64_t end;		      /* result of "qemu-img map": end of the disk's data in the file */
};

static uint64_t member(const char *line, const char *name)
{
	AUTO_FREE char *key = xasprintf("\"%s\":", name);
	const char *p = strstr(line, key);
	unsigned long long n = 0;

	return p && sscanf(p + strlen(key), " %llu", &n) == 1 ? n : 0;
}

static void take_line(struct lines *l)
{
	uint64_t at = member(l->line, "offset"), length = member(l->line, "length");

	l->leaks += member(l->line, "leaks");
	l->clusters_end += member(l->line, "image-end-offset");
	l->answered |= strstr(l->line, "\"check-errors\"") != NULL;
	l->errors += member(l->line, "corruptions") + member(l->line, "check-errors");
	if (at && !member(l->line, "depth") && length < UINT64_MAX - at) /* data at another depth lies in a base */
		l->end = MAX(l->end, at + length);
}

static void take_text(void *ctx, const char *text, size_t n)
{
	struct lines *l = ctx;

	for (size_t i = 0; i < n; i++) {
		if (text[i] != '\n' && l->n < sizeof(l->line) - 1) {
			l->line[l->n++] = text[i];
			continue;
		}
		if (text[i] != '\n')
			continue;
		l->line[l->n] = '\0';
		l->n = 0;
		take_line(l);
	}
}

static int run(const char *qemu_img, const char *command, const struct image_source *s, struct lines *l, struct err *e)
{
	AUTO_FREE char *name = image_source_name(s);
	char *argv[] = {(char *)qemu_img, (char *)command, "--output=json", "--", name, NULL};

	*l = (struct lines){.n = 0};
	return name ? convert_run(argv, s, NULL, 0, take_text, l, e) : err_set(e, EILSEQ, "the name is not UTF-8 text");
}

/* Clusters that nothing refers to make qemu-img fail, too, and are not a loss. */
static int check_tables(const char *qemu_img, const struct image_source *s, struct err *e)
{
	struct lines l;
	int r = run(qemu_img, "check", s, &l, e);

	if (r && r != -EIO)
		return r;
	if (l.leaks && l.clusters_end > s->size) /* the table that refers to them reads as zeros */
		return cut_off(e, "the last cluster is not whole, and some are referred to by nothing");
	if (!r || (l.answered && !l.errors))
		return 0;
	if (l.errors)
		return err_set(e, EINVAL, "cut off or damaged: qemu-img check finds %llu errors in it; copy it again, or repair it there",
			       (unsigned long long)l.errors);
	e->code = EINVAL;
	return err_prefix(e, "cut off or damaged");
}

static int read_for_tables(void *ctx, void *to, size_t n, uint64_t at, struct err *e)
{
	return read_at(ctx, to, n, at, e);
}

/* Compressed clusters are checked apart: neither `check` nor `map` of qemu-img says how far they reach. */
static int check_compressed(const struct image_source *s, struct err *e)
{
	struct image_source copy = *s;
	uint64_t end;
	int r = qcow2_compressed_end(read_for_tables, &copy, s->size, &end, e);

	return r || !end || end < s->size ? r : cut_off(e, "the last compressed cluster is not whole");
}

/* Checks that the disk has no data beyond the end of the file. */
static int check_map(const char *qemu_img, const struct image_source *s, struct err *e)
{
	AUTO_FREE char *why = NULL;
	struct lines l;
	int r = run(qemu_img, "map", s, &l, e);

	if (r || l.end <= s->size)
		return r;
	why = xasprintf("the data reaches to byte %llu, and the file has %llu bytes", (unsigned long long)l.end,
			(unsigned long long)s->size);
	return cut_off(e, why);
}

/* ---- what headers say ---- */

/* A footer is the last of every VHD; that of Virtual PC's first ones has a byte less. */
static int check_vhd_end(const struct image_source *s, struct err *e)
{
	uint8_t end[SECTOR];
	uint64_t size;
	int r = read_at(s, end, sizeof(end), s->size - MIN(s->size, SECTOR), e);

	if (r)
		return r;
	if (!memcmp(end + 1, "conectix", 8))
		memmove(end, end + 1, SECTOR - 1);
	if (memcmp(end, "conectix", 8) != 0)
		return cut_off(e, "a VHD ends with a footer, and this one has none there");
	size = be64(end + 48);
	if (be32(end + 60) == 2 && size > s->size - SECTOR)
		return cut_off(e, "the footer speaks of a larger disk");
	return 0;
}

static int check_raw(const struct image_source *s, const struct disk_content *c, bool is_said, struct err *e)
{
	static const char hint[] = "--raw FILE takes it for a raw disk as it is";

	if (s->is_raw)
		return 0;
	if (!is_said && c->other)
		return err_set(e, EINVAL, "not a disk: it is %s (%s)", c->other, hint);
	if (!is_said && !c->is_disk)
		return err_set(
			e, EINVAL,
			"nothing in it says that it is a disk: it begins with no boot sector, partition table or file system that is "
			"known (%s)",
			hint);
	if (c->end <= s->size)
		return 0;
	return err_set(e, EINVAL, "cut off: its %s to byte %llu, and it has %llu; copy it again (%s)",
		       c->is_volume ? "file system reaches" : "partitions reach", (unsigned long long)c->end, (unsigned long long)s->size,
		       hint);
}

/* ---- content ---- */

/* The beginning of the disk, through a file in memory, as qemu-img writes to files alone. */
static int copy_start(const char *qemu_img, const struct image_source *s, size_t max, int fd, struct err *e)
{
	AUTO_FREE char *name = image_source_name(s), *from = xasprintf("if=%s", name ? name : ""), *to = xasprintf("of=/dev/fd/%d", fd);
	AUTO_FREE char *block = xasprintf("bs=%u", COPY_BLOCK), *count = xasprintf("count=%zu", max / COPY_BLOCK);
	char *argv[] = {(char *)qemu_img, "dd", "-O", "raw", block, count, from, to, NULL};

	return name ? convert_run(argv, s, NULL, max, NULL, NULL, e) : err_set(e, EILSEQ, "the name is not UTF-8 text");
}

int image_start(const char *qemu_img, const struct image_source *s, size_t max, uint8_t *to, size_t *n, struct err *e)
{
	AUTO_CLOSE int memory = -1, fd = -1;
	ssize_t got;
	int r;

	*n = (size_t)MIN(s->size, max);
	if (!strcmp(s->driver, "raw"))
		return read_at(s, to, *n, 0, e);
	memory = memfd_create("head", MFD_CLOEXEC);
	fd = memory < 0 ? -1 : fcntl(memory, F_DUPFD, PROGRAM_INHERITED); /* qemu-img inherits this descriptor */
	if (fd < 0)
		return err_sys(e, errno, "cannot create a file in memory");
	r = copy_start(qemu_img, s, max, fd, e);
	if (r)
		return r;
	got = pread(fd, to, max, 0);
	*n = got < 0 ? 0 : (size_t)got;
	return got < 0 ? err_sys(e, errno, "cannot read a file in memory") : 0;
}

static int check_container(const char *qemu_img, const struct image_source *s, struct err *e)
{
	/* a VHD's tables cannot be checked by qemu-img */
	int r = strcmp(s->driver, "vpc") ? check_tables(qemu_img, s, e) : check_vhd_end(s, e);

	if (!r && !strcmp(s->driver, "qcow2"))
		r = check_compressed(s, e);
	if (!r && s->size % SECTOR && !strcmp(s->driver, "vmdk") && !s->extent_count)
		r = cut_off(e, "the file ends within a sector");
	return r || s->extent_count ? r : check_map(qemu_img, s, e);
}

/* A raw file that the user has not named is not read as a disk unless it begins as one. */
static int check_bases(const char *qemu_img, const struct image_source *s, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < s->base_count; i++) {
		const struct image_source b = image_base_source(s, i);
		struct disk_content ignored;

		r = image_check_whole(qemu_img, &b, s->bases[i].is_named, &ignored, e);
	}
	return r;
}

int image_check_whole(const char *qemu_img, const struct image_source *s, bool is_said, struct disk_content *out, struct err *e)
{
	AUTO_FREE uint8_t *head = xcalloc(1, DISK_CONTENT_BYTES);
	bool is_raw = !strcmp(s->driver, "raw");
	size_t n = 0;
	int r = is_raw ? 0 : check_container(qemu_img, s, e);

	if (!r && s->may) /* each of them is looked at alone */
		r = check_bases(qemu_img, s, e);
	r = r ?: image_start(qemu_img, s, DISK_CONTENT_BYTES, head, &n, e);
	if (!r) {
		disk_content_read(out, head, n);
		r = is_raw ? check_raw(s, out, is_said, e) : 0;
	}
	return r ? err_prefix(e, "%s", image_source_label(s)) : 0;
}
