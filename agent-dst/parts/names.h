/*
 * names.h: the names that the guest's sockets, pidfile and logs have here, which QEMU makes anew.
 *
 * Theory of operation. People and programs know them by their names, so each has here the one that it has at the source, if that can be: its
 * directory is here, and is nobody's who could put something else in its place; nothing is there that anybody would miss; and no other move
 * is about to make something there. Such a name is owned in the journal (kind "name") for as long as the move is under way, as nothing
 * else tells others that it is taken while what has it is hidden (monitors.h), or is not made yet. All others are made beside the disks,
 * and the plan says so and why.
 */
#ifndef VMFERRY_NAMES_H
#define VMFERRY_NAMES_H

#include "target.h"

/* The reason why a file that QEMU makes cannot have that name here, in words, malloc'ed; NULL: it can. */
char *names_why_not(const char *state_dir, enum args_role role, const char *path);
/* QEMU replaces whatever has the name of a file that it makes. -EEXIST: that would be another guest's monitor, say, or the log that it writes. */
int names_check_unused(const struct args_file *f, struct err *e);
/* -ENOENT: QEMU would find no pipe (-serial pipe:PATH: PATH.in and PATH.out, or PATH for both ways). */
int names_check_fifo(const struct args_file *f, struct err *e);
/* Adds a sentence for each reason why something has another name here than at the source. */
void names_tell(const char *state_dir, const struct args_result *line, json_t *sentences);
/* Directories of what the line has QEMU make, but for dir, that are gone after a reboot unless somebody makes them: words, and a NULL, malloc'ed. */
char **names_fleeting_dirs(const struct args_result *line, const char *dir);

#endif
