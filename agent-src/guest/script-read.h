/* script-read.h: reads the script that starts a guest again, as vmferry leaves one (NAME.sh): what it would run, without running it. */
#ifndef VMFERRY_SCRIPT_READ_H
#define VMFERRY_SCRIPT_READ_H

#include "err.h"
#include "qemu-discover.h"

/* Fills g's line and env, and cwd if it says that. -ENOTSUP: it does more than such a script: its command line must be given by itself; -errno. */
int script_read(const char *path, struct guest *g, struct err *e);
/* Does the same as script_read(); *text, malloc'ed, is the whole script; the line that runs QEMU begins at *exec_at of it, and is the
 * last one. */
int script_read_text(const char *path, struct guest *g, char **text, size_t *exec_at, struct err *e);
/* Does the same as script_read() with the text of path. Looks at nothing but whether a directory exists that the script changes to. */
int script_parse(const char *path, const char *text, struct guest *g, struct err *e);

#endif
