/*
 * started-by.h: the process that runs a guest's QEMU and may start it again when that ends: a loop of a script's, a supervisor. Not one that systemd runs, nor
 * a shell that somebody types into, or a shell script that also runs this vmferry.
 */
#ifndef VMFERRY_STARTED_BY_H
#define VMFERRY_STARTED_BY_H

#include "start-marks.h"

#include <stdbool.h>
#include <sys/types.h>

/* *words: how it is called, printable, malloc'ed. 0: none that is known. STARTED_FROM_OUTSIDE: it is outside of the container that we are in, and so is
 * whoever runs that, and *words is NULL. */
#define STARTED_FROM_OUTSIDE (-1)
pid_t started_by(pid_t qemu, char **words);
/*
 * Another process that may start the guest again, though its QEMU does not descend from it: one whose command line, or whose script, starts the guest
 * (start-marks.h); or, of a guest that is shut down, any that has one of its images on its command line. Processes of the unit do not count
 * (NULL: there is none); those of other users do who may write to its images. As started_by().
 */
pid_t started_by_another(const struct guest *g, const struct guest_unit *unit, struct start_marks *m, char **words);
/* True if a program between them, or main_pid itself, has other children, as a supervisor does. Everything else that a script starts
 * belongs to what it starts. False, too, if the one does not descend from the other. */
bool started_beside_others(pid_t qemu, pid_t main_pid);

#endif
