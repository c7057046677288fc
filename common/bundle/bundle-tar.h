/*
 * bundle-tar.h: a bundle as a stream: a tar (POSIX.1 ustar; sizes of 8 GiB and more in base 256, as GNU has it) whose first member is the
 * manifest. Every other is a regular file that the manifest names, or the README.
 */
#ifndef VMFERRY_BUNDLE_TAR_H
#define VMFERRY_BUNDLE_TAR_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAR_BLOCK      512u
#define TAR_NAME_MAX   100 /* bytes: of a name in a header */
#define TAR_PREFIX_MAX 155
#define TAR_MAGIC_AT   257 /* offset at which a header has "ustar" */

struct tar_member {
	char name[TAR_NAME_MAX + 1];
	char prefix[TAR_PREFIX_MAX + 1]; /* directory before the name, with a '/' between; "": nothing */
	uint64_t size;
	char type; /* '0' and NUL: a file */
};

/* Pure. */
void tar_header(uint8_t out[TAR_BLOCK], const char *name, uint64_t size, uint64_t mtime);
/* 0: the end of the archive; 1: *m, whatever its name and type are; -EINVAL, without words: it is no header, or a damaged one. */
int tar_header_read(const uint8_t h[TAR_BLOCK], struct tar_member *m);
/* Does the same as tar_header_read(); -EINVAL, in words: it is no header of a plain file with a plain name. */
int tar_header_parse(const uint8_t h[TAR_BLOCK], struct tar_member *m, struct err *e);
/* Number of bytes of zeros that follow so many of contents. */
unsigned tar_padding(uint64_t size);

/* A field of a header: octal digits, after blanks, up to a blank or NUL; or, with the highest bit set, a big-endian number. False: neither, or larger
 * than 64 bits hold. */
bool tar_number(const uint8_t *field, size_t n, uint64_t *out);

#endif
