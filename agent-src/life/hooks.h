/*
 * hooks.h: programs of this host's owner that hear of moves and replicas: /etc/vmferry/hooks/{before,after,failed,replica}.d ($VMFERRY_HOOKS names another directory; empty: none
 * are run), in the order of their names. Each has the event (plan, or result) on its standard input, and VMFERRY_GUEST, VMFERRY_DESTINATION and VMFERRY_KIND
 * in its environment. What others could have written is not run.
 */
#ifndef VMFERRY_HOOKS_H
#define VMFERRY_HOOKS_H

#include "err.h"

#include <jansson.h>

#define HOOK_MS 30000 /* each */

struct hook_about {
	const char *guest, *destination, *how; /* each may be NULL, here and below */
	const char *health, *health_before;    /* health of a replica: VMFERRY_HEALTH and VMFERRY_HEALTH_BEFORE */
	/* Hears of a file that is no program: it was not run. */
	void (*skipped)(void *ctx, const char *path);
	void *ctx;
};

/* Runs those of that directory ("before.d"), up to the first that fails: -EPERM: others could have written it; -ETIMEDOUT; -EACCES: its exit code is not 0.
 * *e names it, with the last line that it printed. Blocks. */
int hooks_run(const char *kind, const struct hook_about *about, const json_t *event, struct err *e);

#endif
