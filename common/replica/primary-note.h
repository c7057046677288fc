/*
 * primary-note.h: the notes of this host as the primary of a guest's replica, for code that learns that the host is no longer the primary,
 * or is again: STATE_DIR/replica/ NAME.conf, the settings for making points, and NAME.json, the results of the last ones (replica-conf.h).
 * Both agents call it.
 */
#ifndef VMFERRY_PRIMARY_NOTE_H
#define VMFERRY_PRIMARY_NOTE_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define PRIMARY_NOTE_MAX 65536 /* bytes of NAME.conf that goes to another host */

/* STATE_DIR/replica/NAME.suffix; malloc'ed. */
char *replica_path(const char *state_dir, const char *guest, const char *suffix);
/* Notes that another host is the primary of that pair, in that term, as it makes points here: if this host was the primary in a lower term,
 * it makes no more points, and knows that it was replaced. */
int primary_note_replaced(const char *state_dir, const char *guest, const char *pair, uint64_t term, struct err *e);
/*
 * The guest is here, so what says that this host has its old copy alone goes, and with it the settings of that copy, whose disks are noted as such
 * (whereabouts.h); where they cannot be noted all stays. by_replica: it
 * was taken over from its replica, which is here; where this very host is its primary, too (--disk-dir at "local"), that one stays
 * replaced.
 */
void primary_note_here(const char *state_dir, const char *guest, bool by_replica);

/*
 * A guest that moves takes its replica along: {"conf": text of NAME.conf, "state": what is in NAME.json}, a new reference. NULL: this host
 * is not its primary.
 */
json_t *primary_note_read(const char *state_dir, const char *guest);
/* True if this host can be its primary from such a note, which another host has sent: it is whole, it has no settings that are not known
 * here, as those of a newer vmferry, and nothing here says otherwise, as settings of a guest of that name, or the replica itself, do. */
bool primary_note_fits(const char *state_dir, const char *guest, const json_t *note);
/* The guest has come: durably. What is there already stays. */
int primary_note_take(const char *state_dir, const char *guest, const json_t *note, struct err *e);
/* The guest has gone, and its note with it. */
void primary_note_gone(const char *state_dir, const char *guest);

#endif
