/*
 * primary-note.h: what this host knows as the primary of a guest's replica, for whoever hears that it is not that any more, or is that again: STATE_DIR/replica/
 * NAME.conf, by which points are made, and NAME.json, what became of the last ones (replica-conf.h). Both agents call it.
 */
#ifndef VMFERRY_PRIMARY_NOTE_H
#define VMFERRY_PRIMARY_NOTE_H

#include "err.h"

#include <stdint.h>

/* Another host is the primary of that pair, in that term, as it makes points here: if this host was, in a lower one, it makes no more, and knows that it was replaced. */
int primary_note_replaced(const char *state_dir, const char *guest, const char *pair, uint64_t term, struct err *e);
/* The guest is here again: that it was taken over elsewhere is not so any more. */
void primary_note_back(const char *state_dir, const char *guest);

#endif
