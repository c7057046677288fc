/*
 * journal-file.h: the bytes of a journal, durable. Only journal.c calls this, and knows what the bytes mean.
 *
 * The file is opened O_DSYNC, so appended bytes are durable when the call returns. It is preallocated: zeros follow its end. A
 * journal that is created or rewritten has another name until it is complete, so that there is always one whole journal under its
 * own name.
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
	off_t end;		   /* offset where the next bytes go */
	off_t allocated;	   /* bytes of the file */
	bool broken;		   /* a write failed: the contents on disk are unknown */
	bool refused;		   /* broken, but certainly no byte of that write is on disk */
	uint64_t writes, write_ns; /* appends: how many, and how long they took together */
};

/* Creates the file under another name, until journal_file_publish. Close f whatever is returned. */
int journal_file_create(struct journal_file *f, const char *path, struct err *e);
/* Gives the file its own name, durably; -EEXIST: that is taken. */
int journal_file_publish(struct journal_file *f, struct err *e);
/* Deletes the file that journal_file_create made. */
void journal_file_discard(struct journal_file *f);
/* Opens and locks the file; close f whatever is returned. On a read-only file system it can be read, and counts as broken and refused.
 * -EBUSY: another process holds it. The caller sets the end. */
int journal_file_open(struct journal_file *f, const char *path, struct err *e);
/* See journal.h. */
int journal_file_want(const char *path);
bool journal_file_wanted(const struct journal_file *f);
/* NULL path: nothing to close. */
void journal_file_close(struct journal_file *f);

/* Reads an open journal; the caller frees *out. -EBADMSG: not a journal, or larger than one can be. */
int journal_file_read(int fd, const char *path, uint8_t **out, size_t *size, struct err *e);
/* Appends; durable when 0 is returned. Writes nothing if the journal would become longer than limit bytes (-EFBIG). */
int journal_file_append(struct journal_file *f, const uint8_t *buf, size_t len, off_t limit, struct err *e);
/* Writes zeros from the end on. */
int journal_file_zero_tail(struct journal_file *f, struct err *e);
/*
 * Replaces the contents by these bytes. *done: replaced; false with 0: that was not possible (no room for a second file, say), and the
 * journal is as before.
 */
int journal_file_rewrite(struct journal_file *f, const uint8_t *buf, size_t len, bool *done, struct err *e);
/* Renames it to PATH.done, or deletes it. */
int journal_file_remove(struct journal_file *f, bool keep, struct err *e);

#endif
