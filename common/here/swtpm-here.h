/* swtpm-here.h: the TPM of a guest on this host: its swtpm begun, and the directory of what that keeps filled and emptied. Both agents call this. */
#ifndef VMFERRY_SWTPM_HERE_H
#define VMFERRY_SWTPM_HERE_H

#include "qemu-launch.h"
#include "swtpm-args.h"

/* Malloc'ed: the path of the program; NULL: it is not installed. */
char *swtpm_program(void);
/* Malloc'ed: the file in its directory that has all that it keeps. */
char *swtpm_kept_path(const struct swtpm *s);
/* Makes that file, with these bytes: before it is begun. */
int swtpm_fill(const struct swtpm *s, const void *bytes, size_t n, struct err *e);
/* Begins it, and waits (pumping the loop) until it listens at its socket; nobody has connected to it then. Other arguments as of qemu_launch(). */
int swtpm_begin(struct qemu_proc *p, const struct swtpm *s, const char *exe, char *const *scope, qemu_born_fn born, void *ctx,
		struct loop *l, struct err *e);
/* Removes what a swtpm makes in such a directory, and nothing else; a directory that is not there is empty. */
int swtpm_dir_empty(const char *path, struct err *e);
/* Removes the directory, too, after swtpm_dir_empty(). -ENOTEMPTY: something else is in it. */
int swtpm_dir_remove(const char *path, struct err *e);

#endif
