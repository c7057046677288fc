/*
 * same-file.h: two names, or a name and a descriptor, of one file (also of one directory, socket or namespace). Links are followed.
 */
#ifndef VMFERRY_SAME_FILE_H
#define VMFERRY_SAME_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

static inline bool path_leads_to(const char *path, const struct stat *file)
{
	struct stat st;

	return !stat(path, &st) && st.st_dev == file->st_dev && st.st_ino == file->st_ino;
}

static inline bool paths_lead_to_one(const char *a, const char *b)
{
	struct stat st;

	return !stat(a, &st) && path_leads_to(b, &st);
}

/* True if path still leads to the open file: it may have been removed, or replaced by another. */
static inline bool file_has_name(int fd, const char *path)
{
	struct stat st;

	return !fstat(fd, &st) && path_leads_to(path, &st);
}

static inline bool path_is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* The bytes that a file takes on its file system; 0: it is missing. */
static inline uint64_t path_allocated(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

#endif
