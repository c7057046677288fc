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
	char *kept;	  /* the file of what it keeps; NULL: nobody needs to know */
	struct stat sent; /* as it was when it was sent; no inode: there was none */
	char *taken;	  /* by tpm_take(): its bytes in hexadecimal digits; NULL: none were */
};

void tpm_init(struct tpm *t, struct source *src);
/* What it keeps, of a guest that is shut down by now. */
int tpm_send(struct tpm *t, struct err *e);
/* Reads what it keeps now, while the guest runs: a swtpm writes the file anew, and renames it. */
int tpm_take(struct tpm *t, struct err *e);
/* A new reference: what was taken, as POINT has it; NULL: the guest has none. */
json_t *tpm_taken(const struct tpm *t);
/* 0: that is what was sent, still. */
int tpm_unchanged(const struct tpm *t, struct err *e);

#endif
