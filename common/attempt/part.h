/*
 * part.h: a part is something that a transfer carries or changes, at one end: the guest's QEMU, its memory, its disks, files, the unit that
 * starts it. A recipe puts parts together, and the stages walk over them in its order; operations that a part lacks are NULL.
 *
 *   source        examine  describe: DESCRIBE  agree: ACCEPT   prepare  ready: COPY_READY  begin
 *   destination   examine  describe: ACCEPT    agree: PREPARE  prepare  ready: COPY_READY  begin
 */
#ifndef VMFERRY_PART_H
#define VMFERRY_PART_H

#include "conductor.h"

struct attempt;
struct obstacles;
struct part;

enum { PART_NOT_MINE = 1 };

/* The events of docs/report.md in which parts report. */
enum part_tale { TELL_PLAN, TELL_PROGRESS, TELL_STATUS, TELL_RESULT };

/* A kind of thing that the journal owns. */
struct part_undo {
	const char *kind; /* kind of the entry in the journal; NULL ends a table */
	const char *name; /* name for people */
	/* Undoes an entry from the journal alone, in this life or a later one. Returns as attempt_ops.undo; things in a QEMU that has ended
	 * are gone. */
	int (*undo)(struct part *p, const json_t *detail, struct err *e);
};

struct part_ops {
	const char *name;
	bool apart; /* even if it cannot be moved, the other parts can be described */
	/* May it be moved? Changes nothing. */
	int (*examine)(struct part *p, struct err *e);
	/* Adds to what the other side is told. */
	int (*describe)(struct part *p, json_t *out, struct err *e);
	/* Takes the other side's answer. */
	int (*agree)(struct part *p, const json_t *said, struct err *e);
	/* The first changes; each is journaled before. */
	int (*prepare)(struct part *p, struct err *e);
	/* The destination is ready to receive. */
	int (*ready)(struct part *p, const json_t *said, struct err *e);
	int (*begin)(struct part *p, struct err *e);
	/* 0, PART_NOT_MINE, or -errno. */
	int (*event)(struct part *p, const struct event *ev, struct err *e);
	/* Milestones of the blackout that it has reached: bits, the agent's own. */
	uint32_t (*reached)(const struct part *p);
	const struct part_undo *undo;
	void (*tell)(const struct part *p, enum part_tale tale, json_t *out);
	void (*fini)(struct part *p);
};

struct part {
	const struct part_ops *ops;
	struct attempt *a;
};

#define PARTS_MAX 10

/* The parts of a transfer, in the recipe's order. */
struct parts {
	struct part *at[PARTS_MAX];
	unsigned count;
};

void parts_add(struct parts *ps, struct part *p);

/* These call each part in turn, up to the first error. */
int parts_examine(const struct parts *ps, struct err *e);
/* Examines all parts; each error goes to found, which says whether to go on. 0; 1: an error that the other side need not hear of; 2: one
 * after which the whole cannot be described. */
int parts_look(const struct parts *ps, bool (*found)(void *ctx, const struct err *e), void *ctx);
int parts_describe(const struct parts *ps, json_t *out, struct err *e);
/* Passes the answer to all parts, also after an error. Returns the first error; each goes to the list. */
int parts_agree(const struct parts *ps, const json_t *said, struct obstacles *o, struct err *e);
int parts_prepare(const struct parts *ps, struct err *e);
int parts_ready(const struct parts *ps, const json_t *said, struct err *e);
int parts_begin(const struct parts *ps, struct err *e);
/* Passes the event to the part that it belongs to; PART_NOT_MINE: no part takes it. */
int parts_event(const struct parts *ps, const struct event *ev, struct err *e);
uint32_t parts_reached(const struct parts *ps);
/* The undo of a kind; *of: the part that has it, or NULL. */
const struct part_undo *parts_undo(const struct parts *ps, const char *kind, struct part **of);
void parts_tell(const struct parts *ps, enum part_tale tale, json_t *out);
/* Frees the parts, the last first. */
void parts_fini(struct parts *ps);

#endif
