/*
 * old-read.h: reads the old copies of disks that are about to arrive, so that the source learns what need not travel: a hash of each block
 * that has contents (HAVE), in order. One thread for all; it only reads, with what the receivers leave of processors and disks: of a part
 * that is not told the contents travel meanwhile. What the source then takes from an old copy is read again, and verified (disk-receive.c).
 */
#ifndef VMFERRY_OLD_READ_H
#define VMFERRY_OLD_READ_H

#include "data-receive.h"

struct old_reader;

/* Starts a reader for the old copies of shared's disks, which reports to shared->events (RECEIVE_HAVE); for an unreadable copy it reports
 * that it has nothing. */
int old_reader_start(struct old_reader **out, struct receive_shared *shared, struct err *e);
/* Stops the reports about that disk. */
void old_reader_enough(struct old_reader *r, uint32_t object);
/* Ends and frees; NULL ok. */
void old_reader_stop(struct old_reader *r);

#endif
