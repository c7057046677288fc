/*
 * own-file.h: is the file at a path still the one that a journal means? If so, and if nobody uses it, it can be removed.
 *
 * A path is used again by whoever comes later, and a file system gives an inode's number away again at once. What a file is known by is its
 * device, its inode, its time of birth (statx(2)), which nobody can set, and which no clock is asked about later, and its handle
 * (name_to_handle_at(2)), which has the inode's generation. A file system may lack one of the last two; where it has neither, it cannot be
 * told, and the file stays. After a reboot a device may have another number and a file another handle: then the time of birth decides
 * alone.
 *
 * What anybody has open is not removed, whatever it is known by.
 */
#ifndef VMFERRY_OWN_FILE_H
#define VMFERRY_OWN_FILE_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>

/* {"path": as, and what the file at path is known by}; a new reference. */
int own_file_know(const char *path, const char *as, json_t **out, struct err *e);
/* And what tells whether it was written to since: its size in bytes, and when it was "written" (ns since 1970). */
int own_file_know_contents(const char *path, const char *as, json_t **out, struct err *e);

/*
 * Removes the file that known (of own_file_know) means. With a path alone, which must have an attempt's id: whatever is
 * there. 0: it is not there any more (perhaps another has its name). 1: it is somebody's now, who has it open, or its directory is gone, and
 * perhaps renamed: *e says so. Or why it is still there: -errno.
 */
int own_file_remove(const json_t *known, bool rebooted, struct err *e);

/* 0: the file that known (of own_file_know) means is at its path. 1: it is not, or another is. -errno: that cannot be told. */
int own_file_look(const json_t *known, bool rebooted, struct err *e);
/* The file at its path has the size and the time of its last write that own_file_know_contents() found. */
bool own_file_is_unwritten(const json_t *known);
/* The file that known (of own_file_know) means is at its path, and can be told from any other. */
bool own_file_is_there(const json_t *known, bool rebooted);

/* Gives a file another name, unless that is taken, durably. */
int own_file_set_aside(const char *path, const char *aside, struct err *e);
/* And its own back, unless that is taken. known: what own_file_know() said of it before, with the name `path` that it had meanwhile. */
int own_file_put_back(const json_t *known, const char *place, struct err *e);

/* -EBUSY: somebody has it open, or a QEMU has locked it. */
int own_file_unused(const char *path, struct err *e);

#endif
