/*
 * import-turn.h: the turn of a guest that is imported among those that come to this host (ticket.h, host-settings.h), and what it takes here of memory and room
 * that others on their way were not promised (promised.h). Moves that come are counted with imports, whoever began them.
 */
#ifndef VMFERRY_IMPORT_TURN_H
#define VMFERRY_IMPORT_TURN_H

#include "import.h"
#include "ticket.h"

/* Begins zeroed. */
struct import_turn {
	struct ticket *ticket; /* NULL: none is needed (a trial), or could be had */
	json_t *files;	       /* what it is about to write, as in a note; NULL: that is not known yet */
	uint64_t memory;       /* and to take */
	uint64_t keep_memory;
};

/*
 * Takes a ticket, and waits for its turn, unless the user passes all, or whoever sends it (stream) would have to wait with it: then it is only counted. Blocks; a
 * signal or `vmferry cancel` ends it: -ECANCELED. -errno: this host's file cannot be read.
 */
int import_turn_wait(struct import_turn *u, struct life *l, const struct import_options *o, bool stream, struct err *e);
/* A file that it is about to write, and how much of it. */
void import_turn_needs(struct import_turn *u, const char *path, uint64_t bytes);
/* Tells others of all these, which are in dir, and of memory (0: it is not started). -ENOMEM, -ENOSPC: others were promised too much of that. */
int import_turn_promise(struct import_turn *u, const struct life *l, uint64_t memory, const char *dir, struct err *e);
/* A file of these is written under another name. */
void import_turn_is_written(struct import_turn *u, const struct life *l, const char *path, const char *draft);
/* The files are there, all of them, or the import begins to say anew what it needs. */
void import_turn_has_written(struct import_turn *u, const struct life *l);
/* The guest has come, or will not. */
void import_turn_end(struct import_turn *u);

#endif
