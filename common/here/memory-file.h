/*
 * memory-file.h: a file behind a guest's memory that QEMU maps shared: all guests whose lines name it have one memory. A directory is none: each QEMU makes a file of its
 * own there, without a name.
 */
#ifndef VMFERRY_MEMORY_FILE_H
#define VMFERRY_MEMORY_FILE_H

#include "qemu-args.h"

#include <sys/types.h>

/* True if f is memory that would be in a file with that path, which is there, or would be made. */
bool memory_file_is_shared(const struct args_file *f, const char *path);
/* A process that has that file open; 0: none that we may see, or the memory is in no such file. */
pid_t memory_file_user(const struct args_file *f, const char *path);

#endif
