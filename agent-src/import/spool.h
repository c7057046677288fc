/*
 * spool.h: a directory of one process's own, for what only passes through. It is locked for as long as that process lives: what one that was
 * killed has left the next that makes one of that name removes, if it has the mark of one in it: a bundle that a user calls so has none.
 */
#ifndef VMFERRY_IMPORT_SPOOL_H
#define VMFERRY_IMPORT_SPOOL_H

#include "err.h"

#include <jansson.h>
#include <stddef.h>

#define SPOOL "spool" /* as it is journaled (life_own()) */

struct spool {
	char *path; /* NULL: there is none */
	int fd;	    /* has the lock */
};

/* template: a path with a directory in it that ends in XXXXXX (mkdtemp(3)). Says what of others it has removed. */
int spool_make(struct spool *s, const char *template, struct err *e);
/* The spool of an import, in that directory, into which its guest comes. */
int spool_make_in(struct spool *s, const char *dir, struct err *e);
/* Removes the directory with all files in it. 1: something is left, and is a leftover of the command. */
size_t spool_remove(struct spool *s);
/* Removes the directory that the journal of a command that was cut off names, unless that command is alive. */
void spool_remove_stale(const json_t *detail);
/* It stays, for the next to remove. A zeroed one: nothing happens. */
void spool_fini(struct spool *s);

#endif
