/* disks-private.h: between the files of the disks: disks.c, disks-plan.c and disks-chain.c (before anything is touched), disks-dirty.c, disks-throttle.c and
 * disks-writeback.c. */
#ifndef VMFERRY_DISKS_PRIVATE_H
#define VMFERRY_DISKS_PRIVATE_H

#include "disks.h"
#include "util.h"

#define DISKS_MAX 64

static inline struct disks *disks_of(struct part *p)
{
	return container_of(p, struct disks, part);
}

int disks_examine(struct part *p, struct err *e);
/* Each that the user has named is one of them. */
int disks_check_words(struct disks *ds, struct err *e);
/* The user says so: "shared", "copy", "empty". */
bool disk_is_to(const struct disks *ds, const struct guest_disk *d, const char *word);
/* The user says that an empty one is to take its place. */
bool disk_is_left_behind(const struct disks *ds, const struct guest_disk *g);
/* No point of its replica has it, to which the guest goes as it runs. */
bool disk_is_left_out(const struct disks *ds, const struct guest_disk *g);
/* If so: can it be? */
int disks_check_left(const struct disks *ds, const struct guest_disk *g, struct err *e);
int disks_prepare(struct part *p, struct err *e);
int disks_begin(struct part *p, struct err *e);
int disks_undo_nbd_server(struct part *p, const json_t *detail, struct err *e);
int disks_undo_bitmaps(struct part *p, const json_t *detail, struct err *e);
int disks_undo_exports(struct part *p, const json_t *detail, struct err *e);
int disks_event(struct part *p, const struct event *ev, struct err *e);
uint32_t disks_reached(const struct part *p);
void disks_tell(const struct part *p, enum part_tale tale, json_t *out);
void disks_fini(struct part *p);
int disks_describe(struct part *p, json_t *out, struct err *e);
/* Nobody asks any more whether both hosts see them. */
void disks_unmark(struct disks *ds);
int disks_agree(struct part *p, const json_t *accept, struct err *e);
json_t *disk_tell_plan(const struct disks *ds, const struct disk *d);
/* Is its backing chain to be the same there? Else it becomes one image. */
bool disk_keeps_chain(const struct disks *ds, const struct guest_disk *d);
/* Of its recording bitmap in that generation. */
void disk_bitmap_name(const struct disks *ds, char out[48], const struct disk *d, unsigned generation);
/* What is in the bitmaps now. Nobody may have switched them off: what was written since would be left behind. */
int disks_look_at_bitmaps(struct disks *ds, struct err *e);
/* Dirty bitmaps of the guest's own (disks-bitmaps.c): those that go along, and a word of those that do not. -ENOTSUP: one that is in an image would
 * be lost. */
int disks_find_bitmaps(struct disks *ds, struct err *e);
/* This kind of move takes them along. */
bool disks_carry_bitmaps(const struct disks *ds);
/* Of DESCRIBE; NULL: none. */
json_t *disk_describe_bitmaps(const struct disk *d);
/* disks-chain.c: what the image itself says of the one below, and all that are below, as files. `parent` of each is the file that refers to it, as an
 * index, or -1 for the disk itself. */
json_t *disk_describe_backing(const struct disk *d);
int disk_describe_chain(const struct disks *ds, const struct disk *d, json_t *files, struct err *e);
/* said: what ACCEPT has of the disk. */
int disk_agree_bitmaps(struct disks *ds, struct disk *d, const json_t *said, struct err *e);
/* Their names, for a plan; NULL: none. */
json_t *disk_tell_bitmaps(const struct disk *d);
/* Into the transaction in which the copy begins: copies of what is in them in that moment. */
int disks_copy_bitmaps(struct disks *ds, json_t *actions, struct err *e);
/* Then: what is in these goes to the destination. All exports first, those of the first round, too: no client may come or go beside a change of them. */
int disks_export_bitmaps(struct disks *ds, struct err *e);
int disks_send_bitmaps(struct disks *ds, struct err *e);
/* Once the first round is over. */
void disks_clean_bitmaps(struct disks *ds);
/* The guest is stopped: those that somebody has changed are not made there. */
int disks_check_bitmaps(struct disks *ds, struct err *e);
void disk_forget_bitmaps(struct disk *d);
/* Waits for what is under way still. */
void disks_end_writeback(struct disks *ds);
int disks_undo_throttle(struct part *p, const json_t *detail, struct err *e);

/* disks-frozen.c: what ACCEPT says of a point that is to come. */
int disks_agree_on_point(struct disks *ds, const json_t *accept, struct err *e);
/* The point is there, as POINT says: what is to be known of it. */
int disks_take_point(struct disks *ds, const struct event *ev, struct err *e);

/* disks-alike.c: is it asked for; what has the destination of it, and is that worth looking through? */
bool disks_ask_alike(const struct disks *ds);
void disks_agree_alike(struct disks *ds, const json_t *accept);
/* Disks that other images there may have some of are read first (where: how). Then the answer is waited for. */
int disks_want(struct disks *ds, void (*where)(const struct disks *ds, const struct disk *d, struct want_disk *out), struct err *e);
bool disks_wait_for_alike(const struct disks *ds);
/* disks-at-rest.c: round 0 of all. */
void disks_read_at_rest(struct disks *ds);

/* disks-at-rest.c: what the last pass of a head start has left of it at the destination, a new one; NULL: that is not known. */
struct have *disks_known(const struct disks *ds, const struct guest_disk *g);

#endif
