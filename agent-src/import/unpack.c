/* unpack.c: see unpack.h: what runs that process, and hears it. */
#include "unpack.h"
#include "life.h"
#include "narrow.h"
#include "open-regular.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SAID_MAX  (5u << 20)
#define READ_S	  (4ULL << 20)	/* bytes: so many at least of an archive are read in a second of CPU time */
#define CPU_MAX_S 86400u	/* CPU seconds of the unpacker, even where an archive claims less */
#define MADE_S	  (64ULL << 20) /* bytes of its disks for a second of CPU time, as most may be holes */

struct heard {
	char *text; /* what was said, without progress */
	size_t n, line;
	size_t config;	/* bytes of a configuration that are to come: whatever they say */
	uint64_t bytes; /* bytes of the archive */
	bool is_told;	/* progress was told */
};

static void end_line(struct heard *h)
{
	unsigned long long taken;

	h->text[h->n] = '\0';
	if (sscanf(h->text + h->line, "taken %llu", &taken) == 1) {
		if (h->is_told && h->bytes)
			life_percent(life_now(), 100.0 * (double)taken / (double)h->bytes);
		h->n = h->line;
	}
	if (sscanf(h->text + h->line, "config %zu", &h->config) != 1)
		h->config = 0;
	h->line = h->n;
}

static void take_config_byte(struct heard *h)
{
	h->config--;
	h->line = h->n;
}

static void hear(void *ctx, const char *text, size_t n)
{
	struct heard *h = ctx;

	for (size_t i = 0; i < n && h->n < SAID_MAX; i++) {
		h->text[h->n++] = text[i];
		if (h->config)
			take_config_byte(h);
		else if (text[i] == '\n')
			end_line(h);
	}
	h->text[h->n] = '\0';
}

/* The child's last line says whether it could unpack. */
static int judge(const struct heard *h, const char *path, struct err *e)
{
	const char *end = h->text + h->n, *last = end;

	while (last > h->text && last[-1] == '\n')
		last--;
	while (last > h->text && last[-1] != '\n')
		last--;
	if (!strncmp(last, "ok\n", 3))
		return 0;
	if (!strncmp(last, "error ", 6))
		return err_set(e, EINVAL, "%s: %.*s", path, (int)strcspn(last + 6, "\n"), last + 6);
	return err_set(e, EIO, "%s: what unpacks it ended without a word", path);
}

/* A descriptor that the process inherits. */
static int inherited(int fd)
{
	int copy = fd < 0 ? -errno : fcntl(fd, F_DUPFD, PROGRAM_INHERITED);

	if (fd >= 0)
		close(fd);
	return copy;
}

/* Compressed content does not tell its size, so a part of the free room is left to others. */
static uint64_t room_beside(int fd)
{
	struct statvfs v;
	uint64_t bytes = fstatvfs(fd, &v) ? 0 : (uint64_t)v.f_bavail * v.f_frsize;

	return bytes - MAX(bytes / 20, MIN(GIB, bytes / 4));
}

static int run(const char *path, uint64_t room, char **argv /* [0], [3] and [4] are set */, struct narrow *n, struct heard *h,
	       struct err *e)
{
	AUTO_FREE char *self = realpath("/proc/self/exe", NULL), *number = NULL, *bound = xasprintf("room=%llu", (unsigned long long)room);
	AUTO_CLOSE int fd = -1;
	int opened = open_regular(path);
	struct stat st;

	if (opened < 0)
		return err_sys(e, -opened, "cannot open %s", path);
	fd = inherited(opened);
	if (!self || fd < 0 || fstat(fd, &st))
		return err_sys(e, errno, "cannot read %s", path);
	h->text = xcalloc(1, SAID_MAX + 1);
	h->bytes = (uint64_t)st.st_size;
	n->more_s = (unsigned)MIN(n->more_s + h->bytes / READ_S, CPU_MAX_S);
	argv[0] = self;
	argv[3] = number = xasprintf("%d", fd);
	argv[4] = bound;
	return narrow_run(argv, n, hear, h, e) ?: judge(h, path, e);
}

/* ---- what there is ---- */

static void take_disk(struct packed_content *c, const char *line)
{
	unsigned long long bytes;
	unsigned number;
	char name[101];

	if (c->disk_count < UNPACK_DISKS_MAX && sscanf(line, "disk %u %llu %100s", &number, &bytes, name) == 3)
		c->disks[c->disk_count++] = (struct packed_disk){number, bytes, xstrdup(name)};
}

static void take_content(struct packed_content *c, const struct heard *h)
{
	const char *p = h->text, *end = h->text + h->n;
	size_t bytes;

	for (; p < end; p += strcspn(p, "\n"), p += p < end) {
		if (!strncmp(p, "vma\n", 4))
			c->kind = PACKED_VMA;
		if (!strncmp(p, "xva\n", 4))
			c->kind = PACKED_XVA;
		if (!strncmp(p, "tar\n", 4))
			c->kind = PACKED_TAR;
		if (!strncmp(p, "tarred-disk\n", 12))
			c->kind = PACKED_DISK;
		take_disk(c, p);
		if (sscanf(p, "config %zu", &bytes) != 1)
			continue;
		p += strcspn(p, "\n") + 1;
		if (p > end || bytes > (size_t)(end - p))
			return;
		c->config = xcalloc(1, bytes + 1);
		memcpy(c->config, p, bytes);
		c->config_bytes = bytes;
		return;
	}
}

int unpack_look(struct packed_content *c, const char *path, struct err *e)
{
	char *argv[] = {NULL, (char *)UNPACK_WORD, (char *)"look", NULL, NULL, NULL};
	struct narrow n = {.write_bytes = 0};
	struct heard h = {.text = NULL};
	int r;

	*c = (struct packed_content){.kind = PACKED_OTHER};
	r = run(path, 0, argv, &n, &h, e);
	if (!r)
		take_content(c, &h);
	free(h.text);
	return r;
}

void packed_content_fini(struct packed_content *c)
{
	free(c->config);
	while (c->disk_count)
		free(c->disks[--c->disk_count].name);
	*c = (struct packed_content){.kind = PACKED_OTHER};
}

/* ---- its disks ---- */

static int open_target(const struct unpack_target *t, int *fd, struct err *e)
{
	*fd = inherited(open(t->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
	return *fd < 0 ? err_sys(e, errno, "cannot make %s", t->path) : 0;
}

static int unpack_as(const char *word, const char *path, const struct unpack_target *targets, size_t count, uint64_t disk_bytes_max,
		     uint64_t disk_bytes_all, struct err *e)
{
	char *argv[UNPACK_DISKS_MAX + 6] = {NULL, (char *)UNPACK_WORD, (char *)word};
	struct narrow n = {.write_bytes = disk_bytes_max, .more_s = (unsigned)MIN(disk_bytes_all / MADE_S, CPU_MAX_S)};
	struct heard h = {.is_told = true};
	int files[UNPACK_DISKS_MAX], r = 0;
	size_t i, made;

	if (count > UNPACK_DISKS_MAX)
		return err_set(e, EINVAL, "%s: it has more than %d disks", path, UNPACK_DISKS_MAX);
	if (disk_bytes_max > UNPACK_DISK_BYTES)
		return err_set(e, EFBIG, "%s: it says that one of its disks has %llu bytes, and none may have more than %llu TiB", path,
			       (unsigned long long)disk_bytes_max, UNPACK_DISK_BYTES >> 40);
	for (made = 0; made < count && !r; made++) {
		r = open_target(&targets[made], &files[made], e);
		argv[5 + made] =
			r ? NULL : xasprintf("%u=%d=%llu", targets[made].number, files[made], (unsigned long long)targets[made].bytes);
	}
	r = r ?: run(path, made ? room_beside(files[0]) : 0, argv, &n, &h, e);
	for (i = 0; i < made; i++) {
		if (files[i] >= 0)
			close(files[i]);
		free(argv[5 + i]);
	}
	free(h.text);
	return r;
}

int unpack_vma(const char *path, const struct unpack_target *targets, size_t count, uint64_t disk_bytes_max, uint64_t disk_bytes_all,
	       struct err *e)
{
	return unpack_as("vma", path, targets, count, disk_bytes_max, disk_bytes_all, e);
}

int unpack_xva(const char *path, const struct unpack_target *targets, size_t count, struct err *e)
{
	uint64_t max = 0, all = 0;

	for (size_t i = 0; i < count; i++) {
		max = MAX(max, targets[i].bytes);
		all += MIN(targets[i].bytes, UINT64_MAX / 2 - all);
	}
	return unpack_as("xva", path, targets, count, max, all, e);
}

int unpack_tarred_disk(const char *path, const struct unpack_target *t, struct err *e)
{
	return unpack_as("tarred-disk", path, t, 1, t->bytes, t->bytes, e);
}

int unpack_plain(const char *path, const char *to, uint64_t bytes_max, struct err *e)
{
	const struct unpack_target t = {.number = 1, .path = to};

	return unpack_as("plain", path, &t, 1, bytes_max, bytes_max, e);
}
