/*
 * replica-note.h: a primary's record of each attempt to make a point: STATE_DIR/replica/NAME.json, which status shows, and NAME.history
 * beside it, one JSON object per line, of which the last ones are kept (history.h).
 *
 *     {"at", "exit_code", "total_ms", "bytes_wire", "point", "at_ms", "delta_bytes", "whole", "frozen", "reason"}
 */
#ifndef VMFERRY_REPLICA_NOTE_H
#define VMFERRY_REPLICA_NOTE_H

#include "replica-conf.h"

/* Records an attempt that ended with that code. Runs this host's hooks (replica.d) if the replica's health has changed. */
void replica_note(const struct replica_conf *c, const char *guest, int code);
/* True if this attempt is to ask whether the guest would start there: at most once a minute, and each time while it would not. */
bool replica_asks_plan(const struct replica_conf *c, const char *guest);
/* Sentences about plan and points that the last attempts have told; a new array. */
json_t *replica_told(const struct replica_conf *c, const char *guest);
/* Attempts, the newest last; a new reference. dir, here and below: settings_dir. */
json_t *replica_history(const char *dir, const char *guest);
/* Deletes the record of all attempts. */
void replica_forget(const char *dir, const char *guest);
/* Waits until no other process makes a point of the guest, or takes it to its replica; returns a descriptor to close() when that is done here; -1: cannot
 * be told. */
int replica_take_turn(const char *dir, const char *guest);
/* Locks the record while it is read and changed; returns a descriptor to close(); -1: cannot be locked. */
int replica_note_lock(const char *dir, const char *guest);

#endif
