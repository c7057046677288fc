/* bench-content.c: what the guest's disks are filled with: the contents of real files, noise, or zeros. */
#include "bench.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE	   4096
#define FILE_BYTES (4 * MIB) /* bytes of one file at most: a few large ones are not to be all */
#define FILES_MAX  200000

struct file {
	uint64_t order;
	char *path;
};

struct content {
	enum bench_content kind;
	struct file *files;
	size_t count, at;
	int fd; /* file that is being read, or -1 */
	uint64_t left;
	uint64_t noise, written;
};

/* ---- real files ---- */

/* FNV-1a: kinds of files come mixed, and in the same order each time. */
static uint64_t order_of(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325U;

	for (; *path; path++)
		hash = (hash ^ (uint8_t)*path) * 0x100000001b3U;
	return hash ^ hash >> 29;
}

static int by_order(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	return x->order < y->order ? -1 : x->order > y->order ? 1 : strcmp(x->path, y->path);
}

static void content_add(struct content *c, const char *path)
{
	if ((c->count & (c->count - 1)) == 0)
		c->files = xrealloc(c->files, MAX(c->count * 2, (size_t)1) * sizeof(*c->files));
	c->files[c->count++] = (struct file){order_of(path), xstrdup(path)};
}

static int content_list(struct content *c, const char *dir, struct err *e)
{
	char *dirs[] = {(char *)dir, NULL};
	FTS *tree = fts_open(dirs, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	const FTSENT *entry;

	if (!tree)
		return err_sys(e, errno, "cannot read %s", dir);
	while (c->count < FILES_MAX && (entry = fts_read(tree)))
		if (entry->fts_info == FTS_F && S_ISREG(entry->fts_statp->st_mode) && entry->fts_statp->st_size >= PAGE &&
		    !access(entry->fts_path, R_OK))
			content_add(c, entry->fts_path);
	fts_close(tree);
	if (!c->count)
		return err_set(e, ENOENT, "there is nothing to fill disks with in %s", dir);
	qsort(c->files, c->count, sizeof(*c->files), by_order);
	return 0;
}

static void next_file(struct content *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = open(c->files[c->at].path, O_RDONLY | O_CLOEXEC);
	c->at = (c->at + 1) % c->count;
	c->left = FILE_BYTES;
}

/* Contents of each file are padded with zeros to whole pages. */
static void read_files(struct content *c, uint8_t *to, size_t bytes)
{
	size_t at = 0, fruitless = 0;

	while (at < bytes) {
		ssize_t n = c->fd < 0 || !c->left ? 0 : read(c->fd, to + at, MIN(bytes - at, c->left));
		size_t padding = n > 0 ? (PAGE - (size_t)n % PAGE) % PAGE : 0;

		if (n <= 0) {
			if (fruitless++ > c->count) /* the files have gone meanwhile */
				n = (ssize_t)(bytes - at), memset(to + at, 0x5a, bytes - at);
			else
				next_file(c);
		} else {
			fruitless = 0;
			c->left -= MIN(c->left, (uint64_t)n);
		}
		memset(to + at + MAX(n, 0), 0, padding);
		at += (size_t)MAX(n, 0) + padding;
	}
}

/* ---- noise ---- */

static void read_noise(struct content *c, uint8_t *to, size_t bytes)
{
	size_t i, j;
	uint64_t word;

	for (i = 0; i < bytes; i += PAGE) {
		bool plain = c->written / PAGE % 4 == 0;

		for (j = 0; j < PAGE; j += 8) {
			c->noise ^= c->noise << 13, c->noise ^= c->noise >> 7, c->noise ^= c->noise << 17;
			word = plain ? c->written / 512 + j / 512 : c->noise;
			memcpy(to + i + j, &word, 8);
		}
		c->written += PAGE;
	}
}

/* ---- all ---- */

int content_open(struct content **out, enum bench_content kind, const char *dir, struct err *e)
{
	struct content *c = xcalloc(1, sizeof(*c));
	int r = 0;

	c->kind = kind;
	c->fd = -1;
	c->noise = 88172645463325252U;
	if (kind == CONTENT_LIVING)
		r = content_list(c, dir, e);
	if (r) {
		content_close(c);
		return r;
	}
	*out = c;
	return 0;
}

void content_read(struct content *c, uint8_t *to, size_t bytes)
{
	switch (c->kind) {
	case CONTENT_LIVING:
		read_files(c, to, bytes);
		break;
	case CONTENT_NOISE:
		read_noise(c, to, bytes);
		break;
	case CONTENT_ZEROS:
		memset(to, 0, bytes);
		break;
	}
}

void content_close(struct content *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++)
		free(c->files[i].path);
	free(c->files);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}
