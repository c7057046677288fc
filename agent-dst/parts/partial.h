/*
 * partial.h: what has arrived of a disk when its move ended before its time, kept where the source asked for that (--keep-partial): beside
 * the disk's place, under a name of the attempt's that nobody takes for a disk, until a moment that the journal has. The next move of that
 * very disk to that place begins with it, and believes nothing of it (PROTOCOL.md, "What is kept").
 *
 * The file's journal is over. Whoever plans to use the file, is about to remove it, or looks at it locks that journal: one at a time.
 */
#ifndef VMFERRY_PARTIAL_H
#define VMFERRY_PARTIAL_H

#include "target.h"

#define PARTIAL_SUFFIX "-partial" /* suffix of its name */

/* The locked journals of a guest's moves that keep partial copies. */
struct partials {
	struct journal **at;
	size_t count;
};

struct partial {
	struct journal *journal; /* journal, one of partials, that keeps the copy; NULL: none, or no more */
	json_t *known;		 /* NULL: there is none */
};

/* ---- keeping ---- */

/* The properties in which a disk of DESCRIBE must match to go on from a copy; a new reference, or NULL: copies of such a disk are not
 * kept. */
json_t *partial_kind(const json_t *description, const json_t *disk);
/* Notes the disks in the journal, before the files are made. of: partial_kind() by place. */
int partial_note(struct attempt *a, json_t *of /* stolen */, struct err *e);
/*
 * Notes that the image at path is complete, with all writes on stable storage; call it when nobody writes to it any more. fd: open since
 * before the first write, so that fsync(2) reports every failed writeback.
 */
void partial_note_whole(struct target *t, const char *path, int fd);
/* True if the "file" that is undone is a disk to be kept. */
bool partial_is_to_be_kept(const struct target *t, const json_t *file);
/* Keeps it instead of removing it; a->kept says so. */
int partial_keep(struct target *t, const json_t *file, struct err *e);
/* Undoes "partial": when its time is over, or nobody wants it any more. ATTEMPT_KEPT: it stays. */
int partial_undo(struct target *t, const json_t *detail, struct err *e);

/* ---- going on from it ---- */

void partials_open(struct partials *ps, const char *state_dir, const char *guest);
/* Closes the journals, and settles those that keep nothing any more. */
void partials_close(struct partials *ps);
/* Removes all partial copies of the guest's disks, wherever they were to go, once the guest is here. */
void partials_remove(struct target *t, const char *state_dir);
/* Finds the copy for the disk that goes to place, unless a process has it open. is_raw: it may have been written to since, as its contents
 * are compared. */
void partial_find(struct partial *p, const struct partials *ps, const char *place, const json_t *kind, bool is_raw);
/* Bytes of the file system that it takes; 0: there is none. */
uint64_t partial_bytes(const struct partial *p);
/* The path of the partial file until it is taken; NULL: there is none. */
const char *partial_path(const struct partial *p);
/* True if it was kept by the attempt of that id (hex; NULL: false), complete, and nobody has written to it since. */
bool partial_is_as_left(const struct partial *p, const char *attempt);
/* Makes the copy our file at path, with durable contents. raw_bytes: its new length; 0: it is an image, and keeps its length. */
int partial_take(struct attempt *a, struct partial *p, const char *path, uint64_t raw_bytes, struct err *e);
void partial_fini(struct partial *p);

#endif
