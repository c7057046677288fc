/*
 * arriving-tpm.h: the guest's TPM, where a swtpm emulates it: one of its own here, with an empty directory, which listens before the guest's QEMU is
 * started. That QEMU fills it with what the source's held, as it loads a device's state; of a guest that boots here, or is shut down, what
 * the source's keeps arrives as a file. It ends with its QEMU, and its directory is the guest's, as its disks are.
 */
#ifndef VMFERRY_ARRIVING_TPM_H
#define VMFERRY_ARRIVING_TPM_H

#include "swtpm-args.h"
#include "target.h"

struct tpm {
	struct part part;
	struct target *target;
	const char *from; /* socket of the swtpm at the source; NULL: the guest has no such TPM */
	char *exe;
	char *above;	    /* directory that libvirt has for the TPM of a guest of its own; NULL: any other guest */
	struct swtpm swtpm; /* swtpm here, in a directory that only this attempt can have made */
	struct qemu_proc proc;
	bool awaited;  /* the TPM's file is still on its way */
	uint8_t *kept; /* contents of the file, as far as they are here */
	size_t kept_bytes;
};

void tpm_init(struct tpm *t, struct target *target);
/* Starts the swtpm: it listens, and no client has connected. */
int tpm_start(struct tpm *t, struct err *e);
/* Ends it again, and removes its traces. */
int tpm_forget(struct tpm *t, struct err *e);
/* Writes the state of the source's TPM for ours, before it is started. */
int tpm_fill(struct tpm *t, struct err *e);
/* Checks, after loading or filling, that it is alive, if it was started, and syncs its state. */
int tpm_settle(struct tpm *t, struct err *e);
/* The command that starts it again before the guest: words and a NULL (free_words); NULL: the guest has no TPM. */
char **tpm_start_line(const struct tpm *t);

#endif
