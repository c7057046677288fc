/*
 * deleted-file.h: files that a process has open and that have lost their names: the kernel calls them "NAME (deleted)" in /proc/PID; an
 * existing file may have such a name, too.
 */
#ifndef VMFERRY_DELETED_FILE_H
#define VMFERRY_DELETED_FILE_H

#include <sys/types.h>

/* The name that its program's file has, or had (it may have been replaced by an upgrade of its package): malloc'ed; NULL: it cannot be
 * told. */
char *process_program(pid_t pid);
/* A path below /proc at which a file can be read that had this name when the process opened it, and has none any more. Malloc'ed; NULL:
 * there is none, or more than one. */
char *process_holds_deleted(pid_t pid, const char *path);

#endif
