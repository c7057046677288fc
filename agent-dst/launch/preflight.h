/*
 * preflight.h: would the destination's QEMU take this guest? Asked of that QEMU itself, started for a moment with the guest's
 * machine type, accelerator and CPU, and without anything of its own.
 */
#ifndef VMFERRY_PREFLIGHT_H
#define VMFERRY_PREFLIGHT_H

#include "err.h"
#include "loop.h"
#include "qemu-args-words.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct preflight {
	const char *exe;
	char *const *env;
	char *const *argv; /* the destination's command line */
	size_t argc;
	const char *work_dir;	   /* an empty directory */
	const json_t *description; /* DESCRIBE: cpu, accel, qemu_version; each may be missing */
	bool takes_state;	   /* the guest goes on here, instead of booting */
	json_t *cautions;	   /* an array: what should be known before is added to it, in words */
	double start_ms;	   /* out, if started: it took so long to start, and to be asked */
	bool started;		   /* out: its machine and processor can be had here, whatever else is in the way */
	struct args_words words;   /* out, if has_words: which of the line's words that not every QEMU knows it does */
	bool has_words;
	bool wants_names; /* out: it is refused for its CPU, and the names of that one's features would say why */
};

/* 0 and findings in words for the plan (*notes, a new reference to an array of strings), and the QEMU's version ("10.0.2",
 * malloc'ed); -ENOTSUP and the reason why the guest cannot run there. */
int preflight_qemu(struct preflight *p, struct loop *l, json_t **notes, char **version, struct err *e);

#endif
