/*
 * names.h: the names here for the guest's sockets, pidfile and logs, which QEMU makes anew.
 *
 * Theory of operation. People and programs know these files by their names, so each keeps its name from the source if possible: if its
 * directory exists here, and belongs to nobody who could replace the file; if nothing of value is at that name; and if no other move is
 * about to make a file there. The journal owns such a name (kind "name") while the move is under way, as nothing else shows others that
 * it is taken while its file is hidden (monitors.h), or not made yet. All other files are made beside the disks, and the plan says so
 * and why.
 */
#ifndef VMFERRY_NAMES_H
#define VMFERRY_NAMES_H

#include "target.h"

/* The reason why a file that QEMU makes cannot have that name here, in words, malloc'ed; NULL: it can. */
char *names_why_not(const char *state_dir, enum args_role role, const char *path);
/* Checks that QEMU, which replaces any file at the names that it uses, harms nobody. -EEXIST: another guest's monitor, say, or its log, has
 * that name. */
int names_check_unused(const struct args_file *f, struct err *e);
/* -ENOENT: QEMU would find no pipe (-serial pipe:PATH: PATH.in and PATH.out, or PATH for both ways). */
int names_check_fifo(const struct args_file *f, struct err *e);
/* -EACCES: QEMU cannot run that program, which is there. */
int names_check_program(const struct args_file *f, const char *path, struct err *e);
/* Adds a sentence for each reason why something has another name here than at the source, and for each socket that QEMU waits for. */
void names_tell(const char *state_dir, const struct args_result *line, json_t *sentences);
/* The directories, other than dir, of files that QEMU makes, which do not survive a reboot by themselves: words, and a NULL, malloc'ed. */
char **names_fleeting_dirs(const struct args_result *line, const char *dir);

#endif
