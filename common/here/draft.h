/* draft.h: a file that is made under a hidden name, and has its own once it is whole. Whoever makes one owns it in a journal before. */
#ifndef VMFERRY_DRAFT_H
#define VMFERRY_DRAFT_H

#include "err.h"

#include <stddef.h>
#include <sys/types.h>

/* Writes n bytes to the empty file that is there; durable, with this mode, when 0 is returned. */
int draft_write(const char *draft, const void *p, size_t n, mode_t mode, struct err *e);
/* Gives the draft its name, unless somebody has that (-EEXIST), at once where the file system can do that. sync_parent_dir() makes it durable. */
int draft_publish(const char *draft, const char *path, struct err *e);

#endif
