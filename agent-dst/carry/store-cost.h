/*
 * store-cost.h: how fast what is written in a directory gets onto stable storage, which a move waits for at its end (estimate-model.h). What a
 * device or a server keeps in memory of its own for a while is not seen through: it is an upper bound.
 */
#ifndef VMFERRY_STORE_COST_H
#define VMFERRY_STORE_COST_H

/*
 * Bytes a second; 0: not known, as no file without a name can be had there, or so little is free that writing to it might be felt. For some 0.3 s, on
 * storage that is very slow for as long as it takes to sync 256 KiB, this thread writes to a file without a name, 64 MiB at most.
 */
double store_bps(const char *dir);

#endif
