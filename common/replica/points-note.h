/* points-note.h: where this host keeps the points of a guest: STATE_DIR/replicas/NAME.replica.json, {"guest", "dir"}. Both agents read it. */
#ifndef VMFERRY_POINTS_NOTE_H
#define VMFERRY_POINTS_NOTE_H

#include "err.h"

/* *dir, malloc'ed: the directory of its points; NULL: there are none. -EBADMSG: the note is damaged, so nobody can tell. */
int points_look_up(const char *state_dir, const char *guest, char **dir, struct err *e);
/* Returns the directory of points_look_up(); NULL, too, where nobody can tell. */
char *points_noted(const char *state_dir, const char *guest);
/* Malloc'ed: the guest that a file of STATE_DIR/replicas is about, by its name; NULL: it is no such note, as the rest of one that was being written. */
char *points_note_guest(const char *file);

#endif
