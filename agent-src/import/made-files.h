/* made-files.h: files that an import or an export makes: hidden until all are complete, and removed if it fails. A hidden file is locked while its process
 * lives, and marked (an extended attribute); leftovers of a killed process are removed by the next one with the same name. */
#ifndef VMFERRY_MADE_FILES_H
#define VMFERRY_MADE_FILES_H

#include "err.h"
#include "journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Kinds of journal entries (life_own()), and of notes: the file that gets its name last, and that all have their names. */
#define MADE_DRAFT "draft"
#define MADE_FILE  "made"
#define MADE_LAST  "last"
#define MADE_WHOLE "whole"

struct made_file {
	char *path, *draft;
	dev_t dev;
	ino_t ino;
	bool is_named;
	int fd; /* holds the lock */
};

struct made {
	struct made_file *files;
	size_t n;
	uint32_t number; /* unpredictable part of the hidden names */
	bool is_whole;	 /* the files are whole, and the journal says so */
};

void made_init(struct made *m);
/* Makes an empty file, mode 0600, that is to get the name path. *draft: its hidden name, owned by m. Reports leftovers of others that it
 * removes. */
int made_add(struct made *m, const char *path, const char **draft, struct err *e);
/* Gives all files their names, in order, without replacing any; durable on success. -EEXIST. */
int made_name(struct made *m, struct err *e);
/* Removes the files, except those whose names others have taken, or that are in use. Each one left becomes a leftover of the command;
 * returns their number. */
size_t made_undo(struct made *m);
void made_fini(struct made *m);

/* True if all files got their names, by the journal of a command that was cut off: then they are the user's. */
bool made_is_whole(const struct journal *j, bool rebooted);
/* Removes a regular file that a command of ours has made and not finished, and no process of which is alive. */
void made_remove_stale(const char *path);

#endif
