/*
 * started-by.h: the process that runs a guest's QEMU and may start it again when that ends: a loop of a script's, a supervisor. Not one that systemd runs, nor
 * a shell that somebody types into, or a shell script that also runs this vmferry.
 */
#ifndef VMFERRY_STARTED_BY_H
#define VMFERRY_STARTED_BY_H

#include "guest-scripts.h"

#include <stdbool.h>
#include <sys/types.h>

/* *words: how it is called, printable, malloc'ed. 0: none that is known. */
pid_t started_by(pid_t qemu, char **words);
/*
 * The process of a shell that runs one of the scripts, though it is not QEMU's parent (any more): it may be about to start the guest again; or, of a guest
 * that is shut down, any that has one of its images on its command line (count 0: not looked for). As started_by().
 */
pid_t started_by_script(const struct guest_scripts *scripts, const char *const *images, size_t count, char **words);
/* True if a program between them, or main_pid itself, has other children, as a supervisor does. Everything else that a script starts
 * belongs to what it starts. False, too, if the one does not descend from the other. */
bool started_beside_others(pid_t qemu, pid_t main_pid);

#endif
