/* alike-images.c: see alike-images.h. */
#include "alike-images.h"
#include "util.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAST	    MIB	 /* size of the smallest file that is looked at */
#define ENTRIES_MAX 4096 /* entries of one directory */

/* Points of one directory. */
struct looking {
	struct alike_images *im;
	const char *dir;
	int fd;
	long owner;
};

static bool is_known(const struct alike_images *im, const struct stat *st)
{
	for (unsigned i = 0; i < im->count; i++)
		if (im->list[i].device == st->st_dev && im->list[i].inode == st->st_ino)
			return true;
	return false;
}

/* Ours, or, as root may read everybody's, of whom the disk is to belong to: QEMU often runs as another user. */
static bool is_no_stranger_s(const struct looking *l, const struct stat *st)
{
	return st->st_uid == geteuid() || (!geteuid() && l->owner >= 0 && st->st_uid == (uid_t)l->owner);
}

static bool is_candidate(const struct looking *l, const char *name, struct stat *st)
{
	return !strstr(name, ".vmferry-") && !fstatat(l->fd, name, st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st->st_mode) &&
	       (uint64_t)st->st_size >= LEAST && is_no_stranger_s(l, st) && !faccessat(l->fd, name, R_OK, AT_EACCESS) &&
	       !is_known(l->im, st);
}

/* Inserts an image by its age; the oldest goes if there are too many. */
static void insert(struct alike_images *im, char *path /* stolen */, const struct stat *st)
{
	int64_t written_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	unsigned at, i;

	for (at = 0; at < im->count && im->written_ns[at] >= written_ns; at++)
		;
	if (at == ALIKE_IMAGES_MAX) {
		free(path);
		return;
	}
	if (im->count == ALIKE_IMAGES_MAX)
		free(im->list[--im->count].path);
	for (i = im->count++; i > at; i--) {
		im->list[i] = im->list[i - 1];
		im->written_ns[i] = im->written_ns[i - 1];
	}
	im->list[at] = (struct alike_image){path, st->st_dev, st->st_ino, (uint64_t)st->st_size};
	im->written_ns[at] = written_ns;
}

/* Calls fn with each name in it. */
static void each_in(struct looking *l, void (*fn)(struct looking *l, const char *name))
{
	DIR *d = opendir(l->dir);
	struct dirent *entry;
	unsigned n = 0;

	if (!d)
		return;
	l->fd = dirfd(d);
	while (n++ < ENTRIES_MAX && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			fn(l, entry->d_name);
	closedir(d);
}

static void take_file(struct looking *l, const char *name)
{
	struct stat st;

	if (is_candidate(l, name, &st))
		insert(l->im, xasprintf("%s/%s", l->dir, name), &st);
}

/* A link leads to who knows where. */
static void take_dir(struct looking *l, const char *name)
{
	AUTO_FREE char *dir = xasprintf("%s/%s", l->dir, name);
	struct looking below = {.im = l->im, .dir = dir, .owner = l->owner};
	struct stat st;

	if (!fstatat(l->fd, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISDIR(st.st_mode))
		each_in(&below, take_file);
}

void alike_images_add(struct alike_images *im, const char *path, const char *guest, long owner)
{
	AUTO_FREE char *copy = xstrdup(path), *last = NULL, *above = NULL;
	struct looking l = {.im = im, .dir = dirname(copy), .owner = owner};

	each_in(&l, take_file);
	last = xstrdup(l.dir);
	above = xstrdup(l.dir);
	if (guest && !strcmp(basename(last), guest)) {
		l.dir = dirname(above);
		each_in(&l, take_dir);
	}
}

uint64_t alike_images_bytes(const struct alike_images *im)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < im->count; i++)
		sum += im->list[i].bytes;
	return sum;
}

void alike_images_fini(struct alike_images *im)
{
	while (im->count)
		free(im->list[--im->count].path);
}
