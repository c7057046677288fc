/*
 * tpm.h: the guest's TPM, where a swtpm emulates it (-tpmdev emulator). What it holds QEMU carries in its own stream, as a device's state; the
 * destination is told what kind of swtpm must be there before its QEMU begins. Of a guest that boots there, or is shut down, what the TPM keeps
 * is a file in its directory, which is sent once nothing changes it any more. Nothing is changed here: it goes on if the guest does.
 */
#ifndef VMFERRY_SRC_TPM_H
#define VMFERRY_SRC_TPM_H

#include "source.h"
#include "swtpm-args.h"

#include <sys/stat.h>

struct tpm {
	struct part part;
	struct source *src;
	char *socket; /* absolute; NULL: the guest has no such TPM */
	pid_t pid;
	struct swtpm swtpm;
	char *kept;	  /* state file; NULL: not needed */
	struct stat sent; /* the state file's stat when it was sent; no inode: there was no file */
	char *taken;	  /* state that tpm_take() read, in hexadecimal digits; NULL: none */
};

void tpm_init(struct tpm *t, struct source *src);
/* Sends the TPM's state; the guest is shut down. */
int tpm_send(struct tpm *t, struct err *e);
/* Reads the TPM's state while the guest runs: swtpm replaces its file by a rename. */
int tpm_take(struct tpm *t, struct err *e);
/* State that was read, as POINT has it: a new reference; NULL: no TPM. */
json_t *tpm_taken(const struct tpm *t);
/* 0: the state is still as it was sent. */
int tpm_unchanged(const struct tpm *t, struct err *e);

#endif
