/*
 * replica-note.h: what a primary notes of each attempt to make a point: in STATE_DIR/replica/NAME.json, which status shows, and in NAME.history beside it, a JSON object
 * a line, of which the last ones stay (history.h).
 *
 *     {"at", "exit_code", "total_ms", "bytes_wire", "point", "at_ms", "delta_bytes", "whole", "frozen", "reason"}
 */
#ifndef VMFERRY_REPLICA_NOTE_H
#define VMFERRY_REPLICA_NOTE_H

#include "replica-conf.h"

/* After an attempt that ended with that code. Hooks of this host (replica.d) hear of it if the replica's health is another than it was. */
void replica_note(const struct replica_conf *c, const char *guest, int code);
/* Whether this attempt is to ask if the guest would start there: at most once a minute, and each time while it would not. */
bool replica_asks_plan(const struct replica_conf *c, const char *guest);
/* The attempts, the newest last; a new reference. dir, here and below: settings_dir. */
json_t *replica_history(const char *dir, const char *guest);
/* Nothing of them is known any more. */
void replica_forget(const char *dir, const char *guest);
/* A descriptor, for close(), held while what is known of a guest is read and changed; -1: it cannot be locked. */
int replica_note_lock(const char *dir, const char *guest);

#endif
