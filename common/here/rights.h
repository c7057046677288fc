/*
 * rights.h: who may use a file: its owner, mode and access control list (acl(5)), read from one file and given to another.
 *
 * An access control list that cannot be given fails nothing: who made the file tells the user, and goes on. Owner and mode then say less than
 * the list did, never more.
 */
#ifndef VMFERRY_RIGHTS_H
#define VMFERRY_RIGHTS_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>

struct rights {
	long uid, gid;	   /* -1: as it was made; given by root alone */
	int mode;	   /* permission bits, rwx for three; -1: as it was made */
	uint8_t acl[1024]; /* value of the extended attribute */
	size_t acl_bytes;  /* 0: none */
};

#define RIGHTS_NONE ((struct rights){.uid = -1, .gid = -1, .mode = -1})

int rights_read(struct rights *r, const char *path, struct err *e);
/* The list alone; none if it cannot be read, or is too long. */
void rights_read_acl(struct rights *r, const char *path);
/* Gives the rights to the file at fd, which path names in sentences. 0; 1: all but the list, and *e says why; -errno. */
int rights_give(const struct rights *r, int fd, const char *path, struct err *e);

/* The list in hex, malloc'ed, or NULL for none; and back, which takes what is no list for none. */
char *rights_print_acl(const struct rights *r);
void rights_parse_acl(struct rights *r, const char *hex);

#endif
