/* script-record.h: what a script starts that is more than plain words: it is run where it can do nothing, with a QEMU that only prints its words. */
#ifndef VMFERRY_SCRIPT_RECORD_H
#define VMFERRY_SCRIPT_RECORD_H

#include "qemu-discover.h"

/* The program that is run: a script, or another program that starts a guest. */
struct script_call {
	char *const *words; /* the program's whole path, its words, and a NULL */
	const char *dir;    /* NULL: ours */
	char *const *env;   /* "NAME=VALUE", and a NULL; NULL: ours */
};

/* Fills line, cwd, env and tpm of *g, and adds a note that says so. -ENOTSUP: it starts no QEMU there, or several; -EPERM: others could have written it. */
int script_record(const struct script_call *c, struct guest *g, struct err *e);
/* True if the program is a QEMU, by its name. */
bool script_is_qemu(const char *program);
/* Checks that nobody but root and this user may write to the file at path. 0; -EPERM: others may. */
int script_check_owner(const char *path, struct err *e);
/* The guest's line, for people; malloc'ed. */
char *script_shown_line(const struct guest *g);
/* again: what a second run has found. Adds a note of the words that are other ones then, as of a MAC address made up. Pure. */
void script_note_changes(struct guest *g, const struct guest *again, const char *path);
/* The guest's line is taken from records (record.h), n bytes. said: what the script wrote meanwhile; NULL: nothing. Pure. */
int script_take_records(const char *path, const char *records, size_t n, const char *said, struct guest *g, struct err *e);

#endif
