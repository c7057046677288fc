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
	struct ticket *ticket; /* NULL: not needed (a trial), or not available */
	json_t *files;	       /* files to be written, as noted; NULL: not known yet */
	uint64_t memory;       /* memory to be used */
	uint64_t keep_memory;
};

/*
 * Takes a ticket, and waits for its turn, unless the user passes all, or whoever sends it (stream) would have to wait with it: then it is only counted. Blocks; a
 * signal or `vmferry cancel` ends it: -ECANCELED. -errno: this host's file cannot be read.
 */
int import_turn_wait(struct import_turn *u, struct life *l, const struct import_options *o, bool stream, struct err *e);
/* Adds a file to be written, and its size. */
void import_turn_needs(struct import_turn *u, const char *path, uint64_t bytes);
/* Promises all these files in dir, and memory (0: the guest is not started), so that others see it. -ENOMEM, -ENOSPC: too much was
 * promised to others. */
int import_turn_promise(struct import_turn *u, const struct life *l, uint64_t memory, const char *dir, struct err *e);
/* Tells that one of the files is written under another name. */
void import_turn_is_written(struct import_turn *u, const struct life *l, const char *path, const char *draft);
/* Tells that all files are written, or that the import states its needs anew. */
void import_turn_has_written(struct import_turn *u, const struct life *l);
/* Ends the turn: the guest has arrived, or will not. */
void import_turn_end(struct import_turn *u);

#endif
