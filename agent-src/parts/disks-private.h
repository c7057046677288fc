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
/* Checks that every disk the user has named exists. */
int disks_check_words(struct disks *ds, struct err *e);
/* True if the user asked for this disk to be `word`: "shared", "copy" or "empty". */
bool disk_is_to(const struct disks *ds, const struct guest_disk *d, const char *word);
/* True if the user asked for an empty disk in its place. */
bool disk_is_left_behind(const struct disks *ds, const struct guest_disk *g);
/* True if the guest moves, as it runs, to its replica and no point there has this disk. */
bool disk_is_left_out(const struct disks *ds, const struct guest_disk *g);
/* Checks that a disk that is left behind or out may be so. */
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
/* Removes the marks: the destination has said which disks both hosts see. */
void disks_unmark(struct disks *ds);
int disks_agree(struct part *p, const json_t *accept, struct err *e);
json_t *disk_tell_plan(const struct disks *ds, const struct disk *d);
/* True if the backing chain is kept at the destination; else it becomes one image. */
bool disk_keeps_chain(const struct disks *ds, const struct guest_disk *d);
/* Name of the disk's recording bitmap of that generation. */
void disk_bitmap_name(const struct disks *ds, char out[48], const struct disk *d, unsigned generation);
/* Asks QEMU how much each bitmap holds. Fails if one no longer records: writes since then would be lost. */
int disks_look_at_bitmaps(struct disks *ds, struct err *e);
/* Finds the guest's own dirty bitmaps (disks-bitmaps.c): notes those that are carried, reports those that are not. -ENOTSUP: a bitmap in
 * an image would be lost. */
int disks_find_bitmaps(struct disks *ds, struct err *e);
/* True if this kind of move carries them. */
bool disks_carry_bitmaps(const struct disks *ds);
/* The bitmaps' entry in DESCRIBE; NULL: none. */
json_t *disk_describe_bitmaps(const struct disk *d);
/* disks-chain.c: the image's own reference to its backing file, and all files of the chain. `parent` of each is the index of the file
 * that refers to it, or -1 for the disk itself. */
json_t *disk_describe_backing(const struct disk *d);
int disk_describe_chain(const struct disks *ds, const struct disk *d, json_t *files, struct err *e);
/* said: the disk's entry in ACCEPT. */
int disk_agree_bitmaps(struct disks *ds, struct disk *d, const json_t *said, struct err *e);
/* The bitmaps' names for the plan; NULL: none. */
json_t *disk_tell_bitmaps(const struct disk *d);
/* Adds to the transaction that begins the copy: copies of the bitmaps as they are then. */
int disks_copy_bitmaps(struct disks *ds, json_t *actions, struct err *e);
/* Exports those copies and sends them. Call after the first round's exports: no client may connect or disconnect while exports change. */
int disks_export_bitmaps(struct disks *ds, struct err *e);
int disks_send_bitmaps(struct disks *ds, struct err *e);
/* Removes the copies, once the first round is over. */
void disks_clean_bitmaps(struct disks *ds);
/* Drops bitmaps that another client has changed; call once the guest is stopped. */
int disks_check_bitmaps(struct disks *ds, struct err *e);
void disk_forget_bitmaps(struct disk *d);
/* Waits for writeback that is under way. */
void disks_end_writeback(struct disks *ds);
int disks_undo_throttle(struct part *p, const json_t *detail, struct err *e);

/* disks-frozen.c: takes ACCEPT's answer about the point to be made. */
int disks_agree_on_point(struct disks *ds, const json_t *accept, struct err *e);
/* Takes POINT: the destination has the point. */
int disks_take_point(struct disks *ds, const struct event *ev, struct err *e);

/* disks-alike.c: whether blocks of other images there are to be used; what the destination has, and whether searching that is worth it. */
bool disks_ask_alike(const struct disks *ds);
void disks_agree_alike(struct disks *ds, const json_t *accept);
/* Reads first the disks of which other images there may hold blocks (`where` tells how). disks_wait_for_alike(): the answer is still to
 * come. */
int disks_want(struct disks *ds, void (*where)(const struct disks *ds, const struct disk *d, struct want_disk *out), struct err *e);
bool disks_wait_for_alike(const struct disks *ds);
/* disks-at-rest.c: reads round 0 of all disks. */
void disks_read_at_rest(struct disks *ds);

/* disks-at-rest.c: what the head start's last pass has left of the disk at the destination, a new one; NULL: not known. */
struct have *disks_known(const struct disks *ds, const struct guest_disk *g);

#endif
