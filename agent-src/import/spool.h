/*
 * spool.h: a directory for files that only pass through a process. The process holds a lock on it. If it is killed, the next process that
 * makes a spool of that name removes what is left, provided that our mark is in it: a user's bundle of the same name has no mark.
 */
#ifndef VMFERRY_IMPORT_SPOOL_H
#define VMFERRY_IMPORT_SPOOL_H

#include "err.h"

#include <jansson.h>
#include <stddef.h>

#define SPOOL "spool" /* kind in the journal (life_own()) */

struct spool {
	char *path; /* NULL: none */
	int fd;	    /* holds the lock */
};

/* template: a path with a directory in it that ends in XXXXXX (mkdtemp(3)). Reports which stale spools it has removed. */
int spool_make(struct spool *s, const char *template, struct err *e);
/* Makes an import's spool in `dir`, the guest's directory-to-be. */
int spool_make_in(struct spool *s, const char *dir, struct err *e);
/* Removes the directory with all files in it. 1: it could not be removed, and is a leftover of the command. */
size_t spool_remove(struct spool *s);
/* Removes a spool of ours, unless its process is alive. */
void spool_remove_stale(const char *path);
/* Leaves the directory for the next process to remove. Does nothing for a zeroed one. */
void spool_fini(struct spool *s);

#endif
