/*
 * conductor.h: runs a table of stages over one queue of events. Both agents have a conductor; it knows nothing of their stages.
 *
 * Everything that happens to an agent (a frame, a QMP event, a worker's word, a timer, the user) is recorded as an event
 * by whatever callback sees it, and dealt with later, in order, by the current stage. Stages may therefore wait in
 * place (qmp_call pumps the loop) without being entered twice. Meanwhile a peer's frames are taken, and acknowledged, up to a
 * bound: what is beyond waits on the wire until some of them have been dealt with.
 */
#ifndef VMFERRY_CONDUCTOR_H
#define VMFERRY_CONDUCTOR_H

#include "channel.h"
#include "qmp.h"

enum event_kind {
	EVENT_FRAME,	    /* type, bytes: a message on the control channel */
	EVENT_CONTROL_LOST, /* err */
	EVENT_CONTROL_CUT,  /* err: its connection is gone, and it waits for another */
	EVENT_CONTROL_BACK, /* the new connection is there */
	EVENT_QMP,	    /* name, json: an event of our QEMU */
	EVENT_QMP_LOST,	    /* err: our QEMU died or closed its monitor */
	EVENT_WORKER,	    /* type, bytes or ptr: from a thread of ours; the agent's own meaning */
	EVENT_USER,	    /* type: an order of the user; the agent's own meaning */
	EVENT_TICK,	    /* the conductor's timer */
};

struct event {
	struct event *next;
	enum event_kind kind;
	uint16_t type;
	uint64_t at_ns;
	char *name;
	json_t *json;
	void *ptr; /* memory of malloc(), freed with the event */
	struct err err;
	size_t n;
	uint8_t bytes[];
};

struct conductor;

struct stage {
	const char *name;
	/* enter and event return 0, or -errno with *e filled: the attempt is then rolled back. Either may be NULL. */
	int (*enter)(void *ctx, struct err *e);
	int (*event)(void *ctx, const struct event *ev, struct err *e);
};

struct conductor {
	struct loop *loop;
	const struct stage *stages; /* indexed by the agent's enum */
	unsigned stage;
	bool entered, finished;
	void *ctx;
	/* The one failure path: called once, with why; afterwards events still come to the stage it set. */
	void (*fail)(void *ctx, const struct err *why);
	struct event *head, **tail;
	size_t frame_bytes;	 /* bytes of the frames in the queue */
	struct channel *waiting; /* paused, as the queue is full; NULL: none is */
	struct timer tick;
	unsigned tick_ms;
};

void conductor_init(struct conductor *c, struct loop *l, const struct stage *stages, void *ctx,
		    void (*fail)(void *ctx, const struct err *why));
/* Begins at this stage instead of the first. It counts as entered, unless it is the first. */
void conductor_begin_at(struct conductor *c, unsigned stage);
void conductor_goto(struct conductor *c, unsigned stage);
void conductor_finish(struct conductor *c);
/* Ticks every ms from now on; 0: no more. */
void conductor_tick(struct conductor *c, unsigned ms);
/* Runs until conductor_finish(). 0, or -errno if the loop broke. */
int conductor_run(struct conductor *c, struct err *e);
void conductor_fini(struct conductor *c);

/* Recording. */
struct event *event_new(enum event_kind kind, uint16_t type, const void *bytes, size_t n);
void conductor_put(struct conductor *c, struct event *ev);
/* Was this QMP event recorded and not yet dealt with? */
bool conductor_has_qmp(const struct conductor *c, const char *name);

/* Handlers to plug in, with ctx = the conductor. */
extern const struct channel_handlers conductor_channel;
extern const struct qmp_handlers conductor_qmp;

#endif
