/* with-monitor.h: before and after a command that asks a guest's QEMU: it is given a QMP monitor for that time, if none that it has can be used. */
#ifndef VMFERRY_WITH_MONITOR_H
#define VMFERRY_WITH_MONITOR_H

#include "lent-monitor.h"

#include <stdio.h>

/* vm NULL: it runs nowhere. 0; EXIT_REFUSED: the user wanted it to be attached to, which was not possible. stderr says what was done, and why not. */
int monitor_begin(struct lent_monitor *m, const char *vm, const struct lent_need *need);
/* A QEMU that has put itself into the background, and whose disks have names that lead nowhere without the directory that it left, is put back there. to: who is
 * told so; NULL: nobody. */
int monitor_directory(const struct guest *g, FILE *to, struct err *e);
/* In any case. */
void monitor_end(struct lent_monitor *m);

#endif
