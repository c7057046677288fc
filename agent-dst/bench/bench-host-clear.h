/* bench-host-clear.h: takes away what a bench has left on this host. For bench-host.c alone. */
#ifndef VMFERRY_BENCH_HOST_CLEAR_H
#define VMFERRY_BENCH_HOST_CLEAR_H

/* Ends what the bench has started, here or by an agent of its own, with a path within folder on its command line. */
void processes_end(const char *folder);
/* Ends the same processes and the agents that work in dir, and removes dir. May take some seconds. */
void clear_all(const char *dir);

#endif
