/*
 * journal-kinds.h: what agents of this host keep journals of, a row each: what such a journal begins with, what it is called, and
 * who takes it up when its agent has died. `vmferry recover`, `vmferry journal` and the guard look here, and ask for no kind by
 * name.
 */
#ifndef VMFERRY_CLI_JOURNAL_KINDS_H
#define VMFERRY_CLI_JOURNAL_KINDS_H

#include "guard.h"
#include "life.h"
#include "move.h"

struct journal_kind {
	const char *member; /* member that only this kind's journals have in their beginning */
	json_type type;	    /* type of that member */
	const char *name;   /* "this move" */
	bool apart;	    /* journals are settled independently, so a guest may have several */
	bool last;	    /* settled after the others, which need it */
	/* Settles the attempt; returns the exit code. u: the user's options. begin: the journal's beginning, which outlives it. Steals
	 * j, as guard does. */
	int (*recover)(const struct move_taken_up *u, const json_t *begin, struct journal *j);
	guard_take_up *guard; /* NULL: no guard */
};

/* Kind of a journal with this beginning; NULL: unknown to this vmferry. */
const struct journal_kind *journal_kind_of(const json_t *begin);
/* Combines the journal's way to the destination with the user's options, which take precedence. The result refers to strings of u and
 * begin. */
struct move_taken_up move_taken_up_of(const struct move_taken_up *u, const json_t *begin);

#endif
