/*
 * swtpm-args.h: the command line of a swtpm, the process that emulates a guest's TPM: read, and written for one at another host. Pure: no
 * I/O.
 *
 * QEMU carries the state of such a TPM in its own migration stream, so the destination's swtpm begins with an empty directory.
 */
#ifndef VMFERRY_SWTPM_ARGS_H
#define VMFERRY_SWTPM_ARGS_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

struct swtpm {
	char *socket; /* socket at which QEMU reaches it, as in the line */
	char *state;  /* directory of its state, as in the line */
	bool tpm2;
	bool terminates; /* swtpm ends with QEMU */
	char *locality;	 /* values of the options that go along; NULL: not given */
	char *seccomp;
	char *left_out; /* options that do not, for people; NULL: none */
};

/* True if exe is swtpm, by the name of the program. */
bool swtpm_is(const char *exe);
/* 0; -ENOTSUP: an option cannot go along (a key, a user of its own, another kind of channel), or is not known: e says which. Nothing is
 * left in *out on failure. */
int swtpm_read(struct swtpm *out, char *const *argv, size_t argc, struct err *e);
/* The path of its socket, also from a line that swtpm_read() would refuse; malloc'ed, or NULL. */
char *swtpm_socket(char *const *argv, size_t argc);
/* True if a value that came over the network may stand in a line. */
bool swtpm_locality_is_known(const char *value);
bool swtpm_seccomp_is_known(const char *value);
/* The line that starts exe with s: words and a NULL; it ends with its QEMU. daemon: and returns when it can be reached. */
char **swtpm_line(const struct swtpm *s, const char *exe, bool daemon);
struct swtpm swtpm_copy(const struct swtpm *s);
void swtpm_fini(struct swtpm *s);

#endif
