/* script-read.h: reads the script that starts a guest again, as vmferry leaves one (NAME.sh): what it would run, without running it. */
#ifndef VMFERRY_SCRIPT_READ_H
#define VMFERRY_SCRIPT_READ_H

#include "err.h"
#include "qemu-discover.h"

/* Fills g's line and env. -ENOTSUP: it does more than such a script: its command line must be given by itself; -errno. */
int script_read(const char *path, struct guest *g, struct err *e);
/* The same of its text. Pure; path is for messages. */
int script_parse(const char *path, const char *text, struct guest *g, struct err *e);

#endif
