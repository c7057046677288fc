/*
 * line.h: the command line that runs the guest here, what that needs of this host and nobody brings, and whether the QEMU here would take it.
 * The last part of the plan: it needs to know where disks and files go.
 */
#ifndef VMFERRY_LINE_H
#define VMFERRY_LINE_H

#include "arriving-files.h"
#include "arriving-tpm.h"

struct line {
	struct part part;
	struct target *target;
	const struct disks *disks;
	const struct files *files;
	const struct tpm *tpm;
	json_t *findings; /* findings of preflight, in words; NULL: not asked yet */
	json_t *kept;	  /* files that QEMU makes here under the same name as at the source: path to role */
	json_t *cautions; /* cautions, in words, which do not prevent the move but should be known before; NULL: not asked yet */
	json_t *bridges;  /* bridges here that take the place of the guest's: {"br0": "br7"}; NULL: none */
	char *qemu_version;
	bool is_part;	  /* some of it cannot be carried, and is left out: it is looked at, and not tried */
	double start_ms;  /* time that a QEMU takes here to start */
	bool wants_names; /* names of the CPU's features are wanted: its numbers do not fit */
	bool asked;	  /* the source was asked for the names */
};

void line_init(struct line *l, struct target *target, const struct disks *disks, const struct files *files, const struct tpm *tpm);
/* Examines the line again with the names in description; everything else stays as it was. */
int line_examine_again(struct line *l, const json_t *description, struct err *e);

#endif
