/*
 * history.h: the results of this host's attempts, to be read when the terminal is gone: STATE_DIR/history, one JSON object a line, the
 * newest last:
 *
 *     {"at": seconds since 1970, "guest": "web1", "destination": "root@host-b", "how": "live", "plan": {…}, "result": {…}}
 *
 * plan and result are events (docs/report.md). Only the last HISTORY_KEPT entries are kept, up to 3 MiB. STATE_DIR/totals counts all
 * attempts ever, for monitoring. Nothing depends on either: they are not journals.
 */
#ifndef VMFERRY_HISTORY_H
#define VMFERRY_HISTORY_H

#include "err.h"

#include <jansson.h>

#define HISTORY_KEPT 200

/* Adds an entry (borrowed; "at" is set here) to the file, and a line about it to the system's log (syslog(3)). The file is whole at any
 * moment, and two agents do not lose each other's entries. An error is one of the file. */
int history_add(const char *state_dir, json_t *entry, struct err *e);
/* Counts an entry in the totals only: for frequent events that have a list of their own. */
int history_count(const char *state_dir, json_t *entry, struct err *e);
/* A new reference to an array, the newest last: of that guest, or of all (NULL). Empty where there is no file; what cannot be read in it is
 * left out. */
json_t *history_read(const char *state_dir, const char *guest);
/* Appends to a file of its own, for which the caller keeps others away: an entry more (borrowed), of which the last HISTORY_KEPT stay.
 * The second function reads all that it has: a new reference. */
int history_append(const char *path, json_t *entry, struct err *e);
json_t *history_lines(const char *path);
/* Sums over all attempts that have ended on this host, by kind and exit code: an array of {"how", "exit_code", "count", "seconds", "bytes",
 * "downtime_s", "leftovers", "last_at"}, a new reference; empty where there are none. */
json_t *history_totals(const char *state_dir);
/* "web1 -> root@host-b, 2026-11-28 03:00:41: migrated (live) in 9.2 s, stood still 135 ms", printable, malloc'ed. */
char *history_line(const json_t *entry);

#endif
