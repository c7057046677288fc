/*
 * trial.h: does the destination's QEMU start with the guest's command line? It is started for a moment, with all that the line has but what is the
 * guest's own or another process's (qemu-args-trial.h), so that whatever this host lacks is found before anything of the guest is touched.
 */
#ifndef VMFERRY_TRIAL_H
#define VMFERRY_TRIAL_H

#include "err.h"
#include "loop.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct trial {
	const char *exe;
	char *const *env;
	char *const *argv; /* the destination's command line */
	size_t argc;
	const char *work_dir; /* an empty directory */
	const json_t *rings;  /* virtio_rings_used() of the source's QEMU; NULL: not known */
	const json_t *roms;   /* rom_sizes_ask() of the source's QEMU; NULL: not known */
	bool own_bios;	      /* the line names a file of the guest's for its BIOS, which is not loaded for a trial */
	bool takes_state;     /* the guest comes with the state of its devices, which this QEMU must be able to take */
};

/* Reasons why a QEMU that starts cannot load this guest. */
struct trial_misfits {
	char *rings;	 /* malloc'ed; NULL: no reason is known */
	char *roms;	 /* malloc'ed; NULL: no reason is known */
	json_t *devices; /* a new reference to an array of sentences, of each device whose state it cannot take; or NULL */
};

/*
 * A new reference to an array of sentences, each a reason why it does not start, with what to do; empty if it does. A QEMU that neither starts nor ends
 * in time counts as one that starts: the machine is busy.
 */
json_t *trial_reasons(const struct trial *t, struct loop *l, struct trial_misfits *misfits);
/* The sentence for what QEMU said when it ended: with the remedy, if there is a known one. Malloc'ed. For tests. */
char *trial_reason(const char *said);

#endif
