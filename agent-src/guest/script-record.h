/* script-record.h: what a script starts that is more than plain words: it is run where it can do nothing, with a QEMU that only prints its words. */
#ifndef VMFERRY_SCRIPT_RECORD_H
#define VMFERRY_SCRIPT_RECORD_H

#include "qemu-discover.h"

/* Fills line, cwd, env and tpm of *g, and adds a note that says so. -ENOTSUP: it starts no QEMU there, or several; -EPERM: others could have written it. */
int script_record(const char *path, struct guest *g, struct err *e);
/* Checks that nobody but root and this user may write to the file at path. 0; -EPERM: others may. */
int script_check_owner(const char *path, struct err *e);
/* The guest's line, for people; malloc'ed. */
char *script_shown_line(const struct guest *g);
/* The same from records (record.h), n bytes. Pure. */
int script_take_records(const char *path, const char *records, size_t n, struct guest *g, struct err *e);

#endif
