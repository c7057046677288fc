/*
 * partial.h: what has arrived of a disk when its move ended before its time, kept where the source asked for that (--keep-partial): beside
 * the disk's place, under a name of the attempt's that nobody takes for a disk, until a moment that the journal has. The next move of that
 * very disk to that place begins with it, and believes nothing of it (PROTOCOL.md, "What is kept").
 *
 * Its journal is over, and is locked by whoever plans to use the file, is about to remove it, or looks at it: so there is one of them at a time.
 */
#ifndef VMFERRY_PARTIAL_H
#define VMFERRY_PARTIAL_H

#include "target.h"

#define PARTIAL_SUFFIX "-partial" /* of its name */

/* Of moves of one guest, those that keep something, locked. */
struct partials {
	struct journal **at;
	size_t count;
};

struct partial {
	struct journal *journal; /* that it is kept by, of partials; NULL: no more, or there is none */
	json_t *known;		 /* NULL: there is none */
};

/* ---- keeping ---- */

/* What a disk of DESCRIBE must be the same in to go on from it; a new reference, or NULL: of such a disk nothing is kept. */
json_t *partial_kind(const json_t *description, const json_t *disk);
/* Into the journal, before the files are made: those at these places are such disks. of: partial_kind() by place. */
int partial_note(struct attempt *a, json_t *of /* stolen */, struct err *e);
/*
 * Once nobody writes to the image at path any more: all that was written to it is on stable storage. fd: open since before the first write, so that no
 * writeback has failed meanwhile of which fsync(2) would not tell it.
 */
void partial_note_whole(struct target *t, const char *path, int fd);
/* When "file" is undone: is it a disk that is to be kept? */
bool partial_is_to_be_kept(const struct target *t, const json_t *file);
/* Then that, in place of removing it. a->kept says so. */
int partial_keep(struct target *t, const json_t *file, struct err *e);
/* Undoes "partial": when its time is over, or nobody wants it any more. ATTEMPT_KEPT: it stays. */
int partial_undo(struct target *t, const json_t *detail, struct err *e);

/* ---- going on from it ---- */

void partials_open(struct partials *ps, const char *state_dir, const char *guest);
/* What has nothing left is settled. */
void partials_close(struct partials *ps);
/* The guest of the description is here: what is kept of its disks, wherever they were to go, is nobody's. */
void partials_remove(struct target *t, const char *state_dir);
/* For the disk that goes to place, if nobody has it open. is_raw: it may have been written to: that is seen. */
void partial_find(struct partial *p, const struct partials *ps, const char *place, const json_t *kind, bool is_raw);
/* Bytes of the file system that it takes; 0: there is none. */
uint64_t partial_bytes(const struct partial *p);
/* Where it lies until it is taken; NULL: there is none. */
const char *partial_path(const struct partial *p);
/* It was kept of the attempt of that id (hex; NULL: of none), whole, and nobody has written to it since. */
bool partial_is_as_left(const struct partial *p, const char *attempt);
/* It becomes the file at path, ours, and all that is in it is durable. raw_bytes: to be so long; 0: it is an image, and is left as it is. */
int partial_take(struct attempt *a, struct partial *p, const char *path, uint64_t raw_bytes, struct err *e);
void partial_fini(struct partial *p);

#endif
