/*
 * made.h: the files that an import has made so far: hidden until all are whole, and removed again unless it succeeds. A hidden one is locked for as
 * long as its process lives, and marked (an extended attribute): what one that was killed has left the next of the same name removes.
 */
#ifndef VMFERRY_IMPORT_MADE_H
#define VMFERRY_IMPORT_MADE_H

#include "err.h"
#include "journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Kinds of what is journaled (life_own()), and notes: of the file that gets its name last, and whether all have theirs. */
#define MADE_DRAFT "draft"
#define MADE_FILE  "made"
#define MADE_LAST  "last"
#define MADE_WHOLE "whole"

struct made_file {
	char *path, *draft;
	dev_t dev;
	ino_t ino;
	bool is_named;
	int fd; /* has the lock */
};

struct made {
	struct made_file *files;
	size_t n;
	uint32_t number; /* part of the hidden names: nobody knows it before */
	bool is_whole;	 /* so it is journaled */
};

void made_init(struct made *m);
/* An empty file, mode 0600, that is to be called path. *draft: where it is until then, owned by m. Says what of others it has removed. */
int made_add(struct made *m, const char *path, const char **draft, struct err *e);
/* Gives all of them their names, in order, where nobody has them; durable when 0 is returned. -EEXIST. */
int made_name(struct made *m, struct err *e);
/* Removes them, unless others have taken their names, or use what has one. Each that is left becomes a leftover of the command; how many. */
size_t made_undo(struct made *m);
void made_fini(struct made *m);

/* Reads the journal of a command that was cut off: true if all files got their names, and so are the user's. */
bool made_is_whole(const struct journal *j, bool rebooted);
/* Removes a MADE_DRAFT, if it is one, and nobody's who lives. */
void made_remove_draft(const json_t *detail);

#endif
