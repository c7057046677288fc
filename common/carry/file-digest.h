/*
 * file-digest.h: is a file on the other host the same as one here? A hash of all of it, or of its beginning, middle and end
 * only where it is larger than FILE_DIGEST_WHOLE: good enough not to copy an installation medium again, but not for what the
 * guest runs from, such as a backing file.
 */
#ifndef VMFERRY_FILE_DIGEST_H
#define VMFERRY_FILE_DIGEST_H

#include "err.h"

#include <stdbool.h>
#include <stdint.h>

#define FILE_DIGEST_WHOLE (256ULL << 20)
#define FILE_DIGEST_CHARS 32

/* The digest of a regular file; whole: of all of it, however large. *size in bytes. */
int file_digest(const char *path, bool whole, uint64_t *size, char hex[FILE_DIGEST_CHARS + 1], struct err *e);

#endif
