/*
 * newest-copy.h: does this host have the newest copy of a guest, so that it may be started here? Judges by the disks that the guest would
 * start from, the journals of both agents' unfinished moves, and what this host remembers (whereabouts.h). Changes nothing, and asks no
 * other host.
 */
#ifndef VMFERRY_NEWEST_COPY_H
#define VMFERRY_NEWEST_COPY_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct newest_question {
	const char *state_dir, *guest;
	const json_t *disks; /* disks that the guest would start from; NULL: those remembered for a guest of that name */
	bool fenced;	     /* the caller vouches that the guest runs on no other host */
};

/* Answer in the form that programs need. Zero it first; free with newest_answer_fini(). */
struct newest_answer {
	char *known;	 /* sentence about a guest that may be started here; NULL: it may not */
	char *gone_to;	 /* host that has the guest; NULL: it has not left, or that is not known */
	int64_t gone_at; /* seconds since 1970; 0: not known */
	int64_t came_at; /* time at which a move brought the guest that may be started here; 0: none has */
	bool shared;	 /* the guest left with disks that both hosts see, so `fenced` would suffice */
	bool unsettled;	 /* a move of the guest, or a change of its disks, has not ended: vmferry recover */
};
void newest_answer_fini(struct newest_answer *a);

/* 0: this host has the guest, and no one has its disks open. -ENOENT: nothing is known about it. -errno: another host has it, or that is
 * not known: *e says why. */
int newest_copy_is_here(const struct newest_question *q, struct newest_answer *a, struct err *e);
/* -EBUSY: a move of the guest to or from this host, or a change of its disks here, has not ended, however far it has come. -errno: not
 * known. */
int newest_copy_is_not_moving(const struct newest_question *q, struct err *e);

#endif
