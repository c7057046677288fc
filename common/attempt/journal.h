/*
 * journal.h: a record of what one agent has promised and created in one attempt; it survives the agent and the host.
 *
 * A journal is a file per attempt and side, STATE_DIR/ATTEMPT_ID-src.journal or -dst.journal: append-only (and rewritten before it
 * becomes long, so that short-lived entries never fill it), preallocated, O_DSYNC, held under an exclusive flock by the agent that
 * writes it. journal.c describes the format. Not thread-safe: the loop thread owns it. Every function that appends is durable when
 * it returns 0; after an error the journal refuses further writes (-EIO) and the caller behaves as if it had crashed (handoff.h).
 */
#ifndef VMFERRY_JOURNAL_H
#define VMFERRY_JOURNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "attempt-id.h"
#include "err.h"
#include "handoff.h"

#define JOURNAL_PAYLOAD_MAX (32 * 1024)

struct journal;

/*
 * A new journal in state BEGUN. begin: an object with the guest's identity, the peer's address,
 * boot_id, the QEMU's pid and start time, as the caller likes; borrowed. -EEXIST if there is one
 * already.
 */
int journal_create(struct journal **out, const char *dir, const uint8_t attempt_id[ATTEMPT_ID_LEN], bool source, json_t *begin,
		   struct err *e);
/* Replays a journal, and keeps it open for appending, or on a read-only file system for reading: every write then fails. -EBUSY: a live
 * agent holds it. -EBADMSG: damaged (more than a torn tail). */
int journal_open(struct journal **out, const char *path, struct err *e);
/* Asks the live agent that holds it (-EBUSY of journal_open) to let go of it if it only waits. Returns a descriptor, and asks for as long
 * as that is open; -1: asking is not possible. */
int journal_want(const char *path);
/* True while another process asks for it. */
bool journal_wanted(const struct journal *j);
/* Closes the file, keeps it on disk. NULL is allowed. */
void journal_close(struct journal *j);
/*
 * The attempt has ended (ACT_FINISHED): closes and frees j. keep: renames the file to .done,
 * keeping the last 20 of each role; otherwise deletes it. Frees j in any case.
 */
int journal_remove(struct journal *j, bool keep, struct err *e);

/* Records the state of the hand-off. -EINVAL for a state of the other role. */
int journal_state(struct journal *j, enum handoff_state s, struct err *e);
/* True if no byte of the last, failed write is on disk or ever will be: readers of the journal find its earlier contents. */
bool journal_refused(const struct journal *j);
/*
 * "I am about to create or change this": file, process, socket, setting … detail (borrowed, may be
 * NULL) says what and how to undo it. journal_disown("undone" or "not ours any more") names the
 * same kind and an equal detail; the newest such entry goes. -ENOENT from journal_disown if there
 * is none.
 */
int journal_own(struct journal *j, const char *kind, json_t *detail, struct err *e);
int journal_disown(struct journal *j, const char *kind, json_t *detail, struct err *e);
/* Anything worth finding after a crash that is neither state nor ownership (a QEMU's pid, the
 * plan); last one of a kind wins, and the same again is not written. */
int journal_note(struct journal *j, const char *kind, json_t *detail, struct err *e);

enum handoff_state journal_last_state(const struct journal *j);
/* The average time for a record to reach stable storage, in ms; 0: none was written. */
double journal_write_ms(const struct journal *j);
const uint8_t *journal_attempt_id(const struct journal *j);
const char *journal_path(const struct journal *j);
const json_t *journal_begin(const struct journal *j); /* borrowed */
/* The last note of that kind, borrowed; NULL if there is none. */
const json_t *journal_last_note(const struct journal *j, const char *kind);
/* The entries that are still owned, newest first: [{"kind": …, "detail": …}]. A new reference. 0 or -ENOMEM. */
int journal_owned(const struct journal *j, json_t **array);

/* Paths of all unfinished journals in dir, sorted by name. The caller frees each and the array
 * (journal_list_free). */
int journal_list(const char *dir, char ***paths, size_t *count, struct err *e);
void journal_list_free(char **paths, size_t count);
/* Lists finished journals. journal_look() opens one for reading only; journal_close(). */
int journal_list_finished(const char *dir, char ***paths, size_t *count, struct err *e);
int journal_look(struct journal **out, const char *path, struct err *e);
/* Opens the finished journal that had this path before; only the newest are kept. -ENOENT. */
int journal_look_finished(struct journal **out, const char *path, struct err *e);
/* True if path ends as a source's journal does (source), or as a destination's. */
bool journal_path_is(const char *path, bool source);

/*
 * Reads a journal's first record (journal_begin) and its attempt's id in hex, if that much can be read. Takes no lock: a live
 * journal may be read. The caller decrefs *begin.
 */
int journal_peek(const char *path, char attempt[2 * ATTEMPT_ID_LEN + 1], json_t **begin, struct err *e);

/*
 * Prints a readable line per record, then one for the state. Takes no lock: a live journal may be read.
 * A damaged journal is printed up to the damage and -EBADMSG returned.
 */
int journal_dump(const char *path, FILE *to, struct err *e);

#endif
