/* with-monitor.h: gives a guest's QEMU a QMP monitor for the time of a command, if it has none that can be used. */
#ifndef VMFERRY_WITH_MONITOR_H
#define VMFERRY_WITH_MONITOR_H

#include "lent-monitor.h"

#include <stdio.h>

/* vm NULL: the guest does not run. EXIT_REFUSED: the user asked to attach, which was not possible. Reports on stderr what was done, or
 * why not. */
int monitor_begin(struct lent_monitor *m, const char *vm, const struct lent_need *need);
/* Restores QEMU's working directory if it went into the background and its disks' relative names need the directory that it left. to:
 * gets a message; may be NULL. */
int monitor_directory(const struct guest *g, FILE *to, struct err *e);
/* Ends what monitor_begin() began; to be called in any case. */
void monitor_end(struct lent_monitor *m);

#endif
