/* bench-host-clear.h: takes away what a bench has left on this host. For bench-host.c alone. */
#ifndef VMFERRY_BENCH_HOST_CLEAR_H
#define VMFERRY_BENCH_HOST_CLEAR_H

/* Ends all processes that have a path within folder on their command line. */
void processes_end(const char *folder);
void folder_remove(const char *folder);
/* These two, and agents that work there. May take some seconds. */
void clear_all(const char *dir);

#endif
