/* durable-file.h: files that are whole, and under their names, after the power has failed. Blocks the calling thread. */
#ifndef VMFERRY_DURABLE_FILE_H
#define VMFERRY_DURABLE_FILE_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Writes all n bytes at that offset of fd; they are durable after a sync. 0 or -errno. */
int pwrite_all(int fd, const void *p, size_t n, off_t at);
/* Renames a file unless the new name is taken (-EEXIST). The names must not be spellings of one path. If a file system cannot do that
 * atomically the file has both names for a moment; if it was left so, the old name is removed now. 0 or -errno. */
int rename_new(const char *from, const char *to);
/* A new directory with this mode, whatever the umask: an agent that came by SSH has 077. 0, or -1 with errno. */
int make_dir_as(const char *path, unsigned mode);
/* Makes a file's name durable: fsync of the directory that holds it. */
int sync_parent_dir(const char *path, struct err *e);
/* Makes a file's contents durable. Links are not followed. */
int sync_file(const char *path, struct err *e);
/* A new file with this text and mode (less the umask), durable when 0 is returned; -EEXIST when there is one of that name. An agent that
 * dies meanwhile leaves a part of it. */
int write_new_file(const char *path, unsigned mode, const char *text, struct err *e);
/* Replaces the file at path by one with the n bytes at p, durable when 0 is returned: at any moment there is the whole old file or the
 * whole new one. Its mode is 0666 less the umask. */
int replace_file(const char *path, const void *p, size_t n, struct err *e);

/* True if both names exist and are of one file (hard links of it, or the same name). Links are not followed. */
bool are_one_file(const char *a, const char *b);

#endif
