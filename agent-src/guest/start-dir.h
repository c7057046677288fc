/*
 * start-dir.h: where a QEMU was started that has put itself into the background (-daemonize), and is in / now.
 *
 * The shell's PWD in its environment says so, if it was started by one that had gone there; not after sudo, in a cron job or in a shell that does not export it.
 * What it has open does: a file whose name ends as a word of the command line does, which has no directory, or one that is against where QEMU was.
 */
#ifndef VMFERRY_START_DIR_H
#define VMFERRY_START_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Finds the start directory by the files that the process has open. Malloc'ed; NULL: none has a name that is relative on the line, or
 * they do not agree. */
char *start_dir_find(pid_t pid, char *const *argv, size_t argc);
/* Pure: true, and *end is the end of the directory in path, if a value on the line is a relative name of that file. */
bool start_dir_of_file(const char *path, char *const *argv, size_t argc, size_t *end);

#endif
