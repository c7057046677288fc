/*
 * old-copy.h: a file here that has some of what an arriving disk is to have: which one that is, and what becomes of it when the disk
 * takes its place.
 *
 * It is only ever read. One that stands where the disk goes is given another name meanwhile; if the guest does not come it has its own back, and
 * once the guest runs here it goes.
 */
#ifndef VMFERRY_OLD_COPY_H
#define VMFERRY_OLD_COPY_H

#include "target.h"

struct old_copy {
	char *path;		  /* name of the copy; NULL: there is none */
	char *at;		  /* path of the copy while the guest moves */
	bool replaced;		  /* the disk replaces this copy */
	bool packed;		  /* a disk of a bundle (bundle.h): a qcow2 image, whatever the disk is */
	uint64_t offset;	  /* offset in that file at which the copy begins */
	json_t *known;		  /* identity of the bundle's file when it was chosen */
	char *export_name, *node; /* names in our QEMU, if that reads the copy */
};

/*
 * wish: "auto", a file, or NULL for none; place: where the disk goes. -ENOENT, -EACCES, -EBUSY and the like: the file that was asked for
 * cannot be used.
 */
int old_copy_choose(struct old_copy *o, const char *state_dir, const char *guest, const char *wish, const char *place, struct err *e);
/* An old copy is taken out of a bundle, a directory or file here: that of the disk of that name. 0, and nothing chosen, where it has none. */
int old_copy_unpack(struct old_copy *o, const char *bundle, const char *real_path, const char *named, struct err *e);
/* True if an earlier move of that guest from here left the file at that path, and it is as it was then. */
bool old_copy_was_left(const char *state_dir, const char *guest, const char *path);
/* True if the copy is a qcow2 image that has all its contents in it; else it is read as raw bytes. Only for disks that are such images:
 * the guest's own bytes are no reason to take a file for one. */
bool old_copy_is_qcow2(const struct old_copy *o);
/* Out of the disk's way; journaled. */
int old_copy_move_aside(struct attempt *a, struct old_copy *o, struct err *e);
/* Undoes "old-copy". */
int old_copy_undo(struct target *t, const json_t *detail, struct err *e);
void old_copy_fini(struct old_copy *o);

#endif
