/*
 * whereabouts.h: the place of the newest copy of a guest, as far as this host knows: STATE_DIR/guests/NAME.json, an array of entries, the
 * newest last:
 *
 *     {"at": seconds since 1970, "guest": "vm1", "attempt": hex, "gone_to": "root@host-b", "instance": …, "disks": [path …],
 *      "shared": [path …]}
 *     {"at": …, "guest": "vm1", "attempt": hex, "came_from": "host-a", "disks": [path …], "known": [hex …]}
 *
 * instance: host_instance() of the host that it went to, or missing; disks: copies that became outdated here when the guest left, or that
 * the guest uses since it came; shared: disks that both hosts see; known: the attempts of all entries that existed when the move began. An
 * entry replaces those that name one of its disks. Both agents write it as the last thing that a move's journal owns, so that a move
 * without a journal has its entry.
 */
#ifndef VMFERRY_WHEREABOUTS_H
#define VMFERRY_WHEREABOUTS_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>

#define WHEREABOUTS_KEPT 16 /* entries of a name */

/* Malloc'ed, UTF-8 if state_dir is. */
char *whereabouts_path(const char *state_dir, const char *guest);
/* Adds an entry (borrowed; "at" is set here), durably; the same attempt's again is no matter. The file is whole at any moment. A guest that
 * has left since is not noted as one that has come (whereabouts_has_left_since()): an agent that died may be late. */
int whereabouts_add(const char *path, json_t *entry, struct err *e);
/* Notes copies ("gone_to") that are outdated while the guest is here by another way, on other disks: those that no entry names; the newest entry stays that. */
int whereabouts_add_old(const char *path, json_t *entry, struct err *e);
/* *out: a new array, empty where there is no file. -EBADMSG: the file is damaged. */
int whereabouts_read(const char *path, json_t **out, struct err *e);
/* "vm1 went to root@host-b (2026-11-29 20:40:00)", if that is the newest that is known of a guest of that name; malloc'ed. NULL: it is not,
 * or that cannot be read. state_dir: as state_dir_get() takes it. */
char *whereabouts_gone(const char *state_dir, const char *guest);
/* The newest entry that has one of these disks; borrowed, NULL: none has. *shared: that disk is one that both hosts see. */
const json_t *whereabouts_of_disks(const json_t *all, const json_t *disks, bool *shared);
/* The attempts of all entries: a new array. */
json_t *whereabouts_attempts(const json_t *all);
/* The entry is of a guest that came, and one of its disks has left by another attempt, which its "known" does not have: so that was later,
 * whatever the clocks say. An entry without "known" does not tell. */
bool whereabouts_has_left_since(const json_t *all, const json_t *entry);

#endif
