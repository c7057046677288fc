/*
 * own-file.h: tells whether the file at a path is still the one that a journal means. If so, and if nobody uses it, it can be removed.
 *
 * Paths are reused, and a file system reuses an inode's number at once. A file is identified by its device, its inode, its time of birth
 * (statx(2)), which nobody can set, and which needs no clock later, and its handle (name_to_handle_at(2)), which has the inode's
 * generation. A file system may lack one of the last two; if it has neither, the file cannot be identified, and stays. After a reboot a
 * device may have another number and a file another handle: then the time of birth decides alone.
 *
 * A file that any process has open is not removed, whatever its identity.
 */
#ifndef VMFERRY_OWN_FILE_H
#define VMFERRY_OWN_FILE_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>

/* {"path": as, and the identity of the file at path}; a new reference. */
int own_file_know(const char *path, const char *as, json_t **out, struct err *e);
/* Does the same as own_file_know(), with members that show whether the file was written to since: its size in bytes, and when it was
 * "written" (ns since 1970). */
int own_file_know_contents(const char *path, const char *as, json_t **out, struct err *e);

/*
 * Removes the file that known (of own_file_know) means. If known has a path alone, which must contain an attempt's id: any file
 * there. 0: it is gone (perhaps another has its name). 1: not ours any more, as *e says: a process has it open. -errno: it could not be
 * removed.
 */
int own_file_remove(const json_t *known, bool rebooted, struct err *e);

/* 0: the file that known (of own_file_know) means is at its path. 1: it is not, or another is. -errno: that cannot be told. */
int own_file_look(const json_t *known, bool rebooted, struct err *e);
/* The file at its path has the size and the time of its last write that own_file_know_contents() found. */
bool own_file_is_unwritten(const json_t *known);
/* The file that known (of own_file_know) means is at its path, and can be told from any other. */
bool own_file_is_there(const json_t *known, bool rebooted);

/* True if there is no directory any more where the file was: whoever has renamed that has the file still, and *e says so. */
bool own_file_has_lost_its_directory(const json_t *known, struct err *e);

/* Gives a file another name, unless that is taken, durably. */
int own_file_set_aside(const char *path, const char *aside, struct err *e);
/* Gives the file its own name back, unless that is taken. known: the result of own_file_know() before, with the name `path` that it had
 * meanwhile. */
int own_file_put_back(const json_t *known, const char *place, struct err *e);

/* 0: nobody uses the file. -EBUSY: a process has it open, or a QEMU has locked it. */
int own_file_unused(const char *path, struct err *e);

#endif
