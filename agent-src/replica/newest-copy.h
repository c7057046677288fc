/*
 * newest-copy.h: does this host have the newest copy of a guest, so that it may be started here? By the disks that it would start from, journals of moves
 * that are not over (both agents'), and what this host remembers (whereabouts.h). Changes nothing, and asks no other host.
 */
#ifndef VMFERRY_NEWEST_COPY_H
#define VMFERRY_NEWEST_COPY_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct newest_question {
	const char *state_dir, *guest;
	const json_t *disks; /* that it would start from; NULL: those that are remembered of a guest of that name */
	bool fenced;	     /* the caller vouches that it runs at no other host */
};

/* What programs ask of an answer. Begins as zeros; free with newest_answer_fini(). */
struct newest_answer {
	char *known;	 /* what is known of the guest that may be started here; NULL: it may not */
	char *gone_to;	 /* the host that has it; NULL: it did not go, or that is not known */
	int64_t gone_at; /* seconds since 1970; 0: that is not known */
	bool shared;	 /* it went with disks that both hosts see, so `fenced` would do */
	bool unsettled;	 /* a move of it, or a change of its disks, is not over: vmferry recover */
};
void newest_answer_fini(struct newest_answer *a);

/* 0: this host has it, and nobody has it open. -ENOENT: nothing is known of it. -errno: another host has it, or that cannot be told: *e says why. */
int newest_copy_is_here(const struct newest_question *q, struct newest_answer *a, struct err *e);
/* 0, or -EBUSY: a move of the guest to this host or from it, or a change of its disks here, is not over, however far it has come. -errno: that cannot be told. */
int newest_copy_is_not_moving(const struct newest_question *q, struct err *e);

#endif
