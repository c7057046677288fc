/*
 * journal-file.h: the bytes of a journal, durable. Only journal.c calls this; what the bytes mean is its matter.
 *
 * The file is opened O_DSYNC, so what was appended is durable when the call returns. It is preallocated: behind its end are zeros. A
 * journal that is created, or written anew, has another name until it is whole, so that of its name there is at any moment one whole
 * journal.
 */
#ifndef VMFERRY_JOURNAL_FILE_H
#define VMFERRY_JOURNAL_FILE_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define JOURNAL_FILE_MAX_BYTES (16 * 1024 * 1024)

struct journal_file {
	int fd;
	char *path;
	off_t end;		   /* where the next bytes go */
	off_t allocated;	   /* bytes of the file */
	bool broken;		   /* a write failed: what is on disk is not known */
	bool refused;		   /* but of that write certainly nothing */
	uint64_t writes, write_ns; /* at the end: how many, and how long they took together */
};

/* Under another name, until journal_file_publish. Whatever is returned, f is to be closed. */
int journal_file_create(struct journal_file *f, const char *path, struct err *e);
/* Durable under its own name; -EEXIST when somebody has that. */
int journal_file_publish(struct journal_file *f, struct err *e);
/* What journal_file_create made goes again. */
void journal_file_discard(struct journal_file *f);
/* Locked; f is to be closed whatever is returned. On a read-only file system it can be read, and counts as broken and refused. -EBUSY:
 * another process holds it. The caller sets the end. */
int journal_file_open(struct journal_file *f, const char *path, struct err *e);
/* See journal.h. */
int journal_file_want(const char *path);
bool journal_file_wanted(const struct journal_file *f);
/* NULL path: nothing to close. */
void journal_file_close(struct journal_file *f);

/* All of an open journal; the caller frees *out. -EBADMSG: it is none, or larger than a journal can be. */
int journal_file_read(int fd, const char *path, uint8_t **out, size_t *size, struct err *e);
/* Durable when 0 is returned; nothing is written when that would make the journal longer than limit bytes (-EFBIG). */
int journal_file_append(struct journal_file *f, const uint8_t *buf, size_t len, off_t limit, struct err *e);
/* Zeros from the end on. */
int journal_file_zero_tail(struct journal_file *f, struct err *e);
/*
 * These bytes in place of all that is in it. *done: they are; false with 0: there is no room for a second one, say, and the journal is
 * as before.
 */
int journal_file_rewrite(struct journal_file *f, const uint8_t *buf, size_t len, bool *done, struct err *e);
/* Renames it to PATH.done, or deletes it. */
int journal_file_remove(struct journal_file *f, bool keep, struct err *e);

#endif
