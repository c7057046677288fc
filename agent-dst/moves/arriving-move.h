/* arriving-move.h: a move to this host, as a session begins it, and what is done about one whose session died. */
#ifndef VMFERRY_ARRIVING_MOVE_H
#define VMFERRY_ARRIVING_MOVE_H

#include "config.h"
#include "link.h"

/* Takes over the control link and cfg->listen_fd. */
int move_run(const struct move_config *cfg, struct link control, struct err *e);
/*
 * Takes up one journal of an earlier life, without a source. fenced: a person vouches that the source will never run the guest
 * again. 0: the guest runs here; 1: it does not, and nothing is left; with *e 4: something is; 6: it waits, or only a person
 * can tell.
 */
int move_settle(const struct move_config *cfg, const char *journal_path, bool fenced, struct err *e);
/* Everything that an earlier agent left and that needs no peer. Returns whether there is what a live one has still, which may be about to
 * end. */
bool move_recover_all(const struct move_config *cfg);

#endif
