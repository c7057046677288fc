/* named-images.c: see named-images.h. */
#include "named-images.h"

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>

/* A block device counts by its number: its file in /dev may be made anew. */
static json_t *identity(const struct stat *st)
{
	return S_ISBLK(st->st_mode) ? json_pack("{s:I}", "block", (json_int_t)st->st_rdev)
				    : json_pack("{s:I,s:I}", "device", (json_int_t)st->st_dev, "inode", (json_int_t)st->st_ino);
}

bool named_image_note(json_t *noted, const char *name)
{
	struct stat st;

	return !stat(name, &st) && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) && !json_object_set_new(noted, name, identity(&st));
}

/* 1: the path leads to the file of that entry; 0: to another; -errno: that cannot be told. */
static int is(const json_t *entry, const char *path)
{
	struct stat st;
	json_auto_t *now = NULL;

	if (stat(path, &st))
		return -errno;
	now = identity(&st);
	return json_equal(now, entry);
}

bool named_image_is(const json_t *entry, const char *path)
{
	return is(entry, path) > 0;
}

const char *named_image_lost(const json_t *noted, const char **why)
{
	const char *name;
	json_t *entry;

	json_object_foreach((json_t *)(uintptr_t)noted, name, entry) {
		int r = is(entry, name);

		if (r > 0)
			continue;
		*why = !r ? "was replaced by another file" : r == -ENOENT || r == -ENOTDIR ? "was removed" : "cannot be looked at any more";
		return name;
	}
	return NULL;
}
