/*
 * test-handoff.c: the hand-off of handoff.c, walked exhaustively.
 * takes: 25
 *
 * A small world (two agents with their journals, two QEMUs, two links) is explored breadth first
 * from the moment both sides have BEGUN. Every action of a list is a step of its own, and an agent
 * may crash between any two, as often as it likes; a QEMU may die or fail at any time. A link is
 * the set of all states ever sent over it, each deliverable at any later time, any number of times,
 * in any order, or never. Rules are checked at every step; and from every state so reached a world
 * without further faults must come to rest with the guest running, unless its last QEMU is dead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <xxhash.h>
#include <cmocka.h>

#include "handoff.h"
#include "util.h"

enum src_vm { S_RUN, S_STOPPED, S_COMPLETED, S_DEAD };
enum dst_vm { D_PAUSED, D_RUN, D_STOPPED_AGAIN, D_DEAD };
enum cont_result { CONT_NONE, CONT_RAN, CONT_REFUSED };
#define SRC HO_SOURCE
#define DST HO_DESTINATION

/* All bytes are significant: hashed and compared as a block. */
struct side {
	uint8_t up, state, peer, disk;
	uint8_t alive, restarted, end_sent, shut_released;
	uint8_t finished, forgot, destroyed, revertible;
	uint8_t todo[HO_ACTIONS_MAX], n_todo;	  /* action + 1, next one first */
	uint8_t completed, failed, resumed, cont; /* events of QEMU that wait to be read */
	uint8_t held;				  /* source: ACT_HOLD_QEMU is done, and what QEMU said is read next */
	uint8_t asks;
};
struct world {
	struct side s[2];
	uint16_t sent[2]; /* by SRC, by DST: set of states */
	uint8_t src_vm, dst_vm;
	uint8_t end_out;  /* END left the source */
	uint8_t shut_out; /* SHUT reached the source QEMU */
	uint8_t ran_on;	  /* the source guest ran after END */
	uint8_t held;	  /* the source QEMU, by SIGSTOP: nobody can resume it but we */
	uint8_t dst_ran;  /* the destination guest ran */
	uint8_t forced;	  /* a person decided: may give up a guest, may not make two */
	uint8_t fenced;	  /* a person had the copy started while the source's host was down */
	uint8_t reverted; /* a person wants the guest back as it was when it was handed over */
	uint8_t down;	  /* the source's host, since its agent ended */
};

static struct {
	struct world *w;
	uint32_t *parent;
	char (*label)[24];
	uint32_t *table;
	size_t n, cap, table_size;
	bool persons; /* hosts are destroyed, persons fence and resume */
	/* the guest is shut down: S_RUN means that it may be started, S_STOPPED that it is set aside, which no end of an agent changes */
	bool cold;
	size_t cur;
	unsigned seen[HO_STATE_COUNT][HO_STATE_COUNT];
} x;

static void print_world(const struct world *w)
{
	for (int i = 0; i < 2; i++)
		print_message("  %s: up %d disk %s state %s alive %d restarted %d end %d shut %d "
			      "fin %d forgot %d\n",
			      i ? "dst" : "src", w->s[i].up, handoff_state_name(w->s[i].disk), handoff_state_name(w->s[i].state),
			      w->s[i].alive, w->s[i].restarted, w->s[i].end_sent, w->s[i].shut_released, w->s[i].finished, w->s[i].forgot);
	print_message("  src_vm %d dst_vm %d sent %x %x end_out %d shut_out %d ran_on %d dst_ran %d\n", w->src_vm, w->dst_vm, w->sent[0],
		      w->sent[1], w->end_out, w->shut_out, w->ran_on, w->dst_ran);
}

static void violated(const struct world *w, const char *what)
{
	uint32_t path[256];
	unsigned n = 0;

	for (size_t i = x.cur; n < ARRAY_LEN(path); i = x.parent[i]) {
		path[n++] = (uint32_t)i;
		if (!i)
			break;
	}
	while (n--)
		print_message("    %s\n", x.label[path[n]]);
	print_world(w);
	fail_msg("%s", what);
}

#define RULE(w, cond)                                                                                                                      \
	do {                                                                                                                               \
		if (!(cond))                                                                                                               \
			violated(w, #cond);                                                                                                \
	} while (0)

/* ---- the world's steps
 * ------------------------------------------------------------------------------------- */

static void pack(struct side *s, const struct handoff *h)
{
	s->state = (uint8_t)h->state;
	s->peer = (uint8_t)h->peer;
	s->alive = h->qemu_alive;
	s->restarted = h->restarted;
	s->end_sent = h->end_sent;
	s->shut_released = h->shut_released;
	s->finished = h->finished;
	s->revertible = h->revertible;
	s->asks = h->asks;
}

static struct handoff unpack(const struct side *s, enum handoff_role role)
{
	return (struct handoff){.role = role,
				.state = s->state,
				.peer = s->peer,
				.qemu_alive = s->alive,
				.restarted = s->restarted,
				.end_sent = s->end_sent,
				.shut_released = s->shut_released,
				.finished = s->finished,
				.revertible = s->revertible,
				.asks = s->asks};
}

/* -EPROTO leaves the world as it was. */
static int step(struct world *w, enum handoff_role role, enum handoff_event ev, enum handoff_state peer)
{
	struct side *s = &w->s[role];
	struct handoff h = unpack(s, role);
	struct handoff_actions out;
	int r = handoff_step(&h, ev, peer, &out);

	if (r)
		return r;
	pack(s, &h);
	for (unsigned i = 0; i < out.n; i++)
		s->todo[i] = (uint8_t)(out.a[i] + 1);
	s->n_todo = (uint8_t)out.n;
	return 0;
}

static bool idle(const struct side *s)
{
	return s->up && !s->n_todo && !s->forgot;
}

static bool src_runs(const struct world *w)
{
	return w->src_vm == S_RUN;
}

static void src_resumes(struct world *w)
{
	if (w->end_out)
		w->ran_on = 1;
	w->held = 0;
	w->src_vm = S_RUN;
}

static bool take_back_allowed(const struct world *w)
{
	uint8_t dst = w->s[DST].disk;

	return !(w->sent[SRC] & (1u << HO_SRC_COMMITTED)) || dst == HO_DST_NOVM || dst == HO_DST_ABORTED || w->s[DST].forgot;
}

/* First action of the list. refuse: QEMU says no to cont. */
static void act(struct world *w, enum handoff_role role, bool refuse)
{
	struct side *s = &w->s[role];
	enum handoff_action a = s->todo[0] - 1;

	memmove(s->todo, s->todo + 1, sizeof(s->todo) - 1);
	s->todo[HO_ACTIONS_MAX - 1] = 0;
	s->n_todo--;
	switch (a) {
	case ACT_JOURNAL:
		s->disk = s->state;
		if (s->disk == HO_DST_NOVM)
			RULE(w, !w->dst_ran || w->forced || w->reverted);
		if (s->disk == HO_SRC_REVERTING) {
			RULE(w, w->dst_ran && w->src_vm != S_RUN);
			w->reverted = 1;
		}
		if (s->disk == HO_SRC_COMMITTED)
			RULE(w, w->held || w->src_vm == S_DEAD); /* a guest that comes back to life has not run until now */
		if (s->disk == HO_SRC_COMMITTED)
			RULE(w, w->s[DST].disk == HO_DST_PREPARED || w->s[DST].disk == HO_DST_NOVM || w->s[DST].disk == HO_DST_ABORTED ||
					w->forced || w->reverted);
		break;
	case ACT_SEND_STATE:
		RULE(w, s->disk == s->state); /* messages tell only durable states */
		w->sent[role] |= (uint16_t)(1u << s->state);
		break;
	case ACT_RELEASE_SHUT:
		RULE(w, w->s[DST].disk != HO_DST_BEGUN);
		w->shut_out = 1;
		break;
	case ACT_HOLD_QEMU:
		RULE(w, w->s[SRC].disk == HO_SRC_BEGUN || w->s[SRC].disk == HO_SRC_COMMITTED || w->s[SRC].disk == HO_SRC_REVERTING);
		w->held = 1;
		s->held = s->disk == HO_SRC_BEGUN;
		break;
	case ACT_CONT_SOURCE:
		RULE(w, s->disk == HO_SRC_ABORTED);
		RULE(w, take_back_allowed(w) || w->forced);
		RULE(w, !w->dst_ran || w->forced || w->reverted);
		if (w->src_vm != S_DEAD)
			src_resumes(w);
		break;
	case ACT_END_SOURCE_QEMU:
		RULE(w, w->dst_ran || w->forced);
		w->src_vm = S_DEAD;
		break;
	case ACT_CONT_DESTINATION:
		RULE(w, s->disk == HO_DST_START);
		RULE(w, w->s[SRC].disk == HO_SRC_COMMITTED || w->forced || w->fenced);
		RULE(w, !w->ran_on || w->forced || w->fenced); /* the copy is not an old one of a guest that went on */
		if (w->dst_vm == D_DEAD)
			break;
		if (refuse && w->dst_vm != D_RUN) {
			s->cont = CONT_REFUSED;
			break;
		}
		w->dst_vm = D_RUN;
		w->dst_ran = 1;
		s->cont = CONT_RAN;
		break;
	case ACT_END_DESTINATION_QEMU:
		RULE(w, !w->dst_ran || w->forced || w->reverted);
		w->dst_vm = D_DEAD;
		break;
	case ACT_REMOVE_SCAFFOLDING:
		RULE(w, s->disk == HO_SRC_RELEASED || s->disk == HO_SRC_ABORTED || s->disk == HO_DST_DONE || s->disk == HO_DST_ABORTED);
		break;
	case ACT_UNDECIDED:
		RULE(w, w->forced || (s->disk == HO_DST_START && (w->dst_vm == D_DEAD || s->restarted)) ||
				(s->asks && (w->fenced || w->s[DST].forgot)) ||
				(((s->disk == HO_SRC_BEGUN && s->restarted) || s->disk == HO_SRC_REVERTING) && w->src_vm == S_DEAD) ||
				(s->disk == HO_SRC_ABORTED && w->reverted)); /* by a STARTED that overtook NOVM, as on no connection */
		break;
	case ACT_FINISHED:
		RULE(w, s->disk == HO_SRC_RELEASED || s->disk == HO_SRC_ABORTED || s->disk == HO_DST_DONE || s->disk == HO_DST_ABORTED);
		break;
	}
}

static void crash(struct world *w, enum handoff_role role)
{
	struct side *s = &w->s[role];
	struct side left = {.disk = s->disk, .forgot = s->forgot, .destroyed = s->destroyed};

	*s = left;
}

static void restart(struct world *w, enum handoff_role role)
{
	struct side *s = &w->s[role];
	struct handoff h;

	if (s->forgot) {
		s->up = 1;
		return;
	}
	assert_int_equal(handoff_restore(&h, role, s->disk, role == SRC ? w->src_vm != S_DEAD : w->dst_vm != D_DEAD), 0);
	h.asks = role == SRC && x.cold && w->end_out;
	w->down &= role != SRC;
	s->up = 1;
	pack(s, &h);
	if (role == SRC && s->disk == HO_SRC_REVERTING) { /* a new session: what the old one said has arrived, or is lost */
		w->sent[SRC] &= (uint16_t) ~(1u << HO_SRC_REVERTING);
		w->sent[DST] &= (uint16_t) ~(1u << HO_DST_STARTED);
	}
	assert_int_equal(step(w, role, EV_RECOVER, HO_NONE), 0);
}

static void deliver(struct world *w, enum handoff_role to, enum handoff_state st)
{
	if (w->s[to].forgot) {
		/* the newest that have finished are kept, and what has come to be here is told */
		if (w->s[to].disk == HO_DST_DONE)
			w->sent[to] |= 1u << HO_DST_DONE;
		if (w->s[to].disk == HO_DST_ABORTED && st == HO_SRC_BEGUN)
			w->sent[to] |= 1u << HO_DST_ABORTED;
		if (w->s[to].disk != HO_DST_DONE || !w->fenced || x.cold)
			w->sent[to] |= 1u << HO_NONE;
		return;
	}
	if (step(w, to, EV_PEER, st) && !w->forced) {
		print_message("%s in %s\n", handoff_state_name(st), handoff_state_name(w->s[to].state));
		violated(w, "a peer's message fits no rule");
	}
}

/* The source handles its QEMU's events, in their order; false: there is none. */
static bool read_qemu(struct world *w)
{
	struct side *s = &w->s[SRC];

	if (s->held) { /* QEMU stands: all that it said is there to be read */
		s->held = 0;
		step(w, SRC, s->resumed || s->failed ? EV_ABORT : EV_QEMU_HELD, HO_NONE);
	} else if (s->completed) {
		s->completed = 0;
		step(w, SRC, EV_QEMU_COMPLETED, HO_NONE);
	} else if (s->failed || s->resumed) {
		s->failed = s->resumed = 0;
		step(w, SRC, EV_ABORT, HO_NONE);
	} else if (w->src_vm == S_DEAD && s->alive) {
		step(w, SRC, EV_QEMU_DEAD, HO_NONE);
	} else {
		return false;
	}
	return true;
}

/* ---- exploration
 * ------------------------------------------------------------------------------------------- */

enum location { AT_SOURCE, AT_SOURCE_PAUSED, AT_DESTINATION, AT_UNDECIDED };

/* The guest's location as both journals tell; HO_NONE: that agent cannot be asked. */
static enum location guest_location(enum handoff_state src, enum handoff_state dst)
{
	static const enum location where[][7] = {
#define A AT_SOURCE
#define B AT_SOURCE_PAUSED
#define D AT_DESTINATION
#define U AT_UNDECIDED
		/* clang-format off */
		/* destination:        BEGUN PREPARED START STARTED DONE NOVM ABORTED */
		[HO_NONE] =          { A,    U,       U,    D,      D,   B,   A },
		[HO_SRC_BEGUN] =     { A,    A,       U,    U,      U,   A,   A },
		[HO_SRC_COMMITTED] = { U,    U,       U,    D,      D,   B,   B },
		[HO_SRC_RELEASED] =  { U,    U,       D,    D,      D,   U,   U },
		[HO_SRC_ABORTED] =   { A,    A,       U,    U,      U,   A,   A },
		[HO_SRC_REVERTING] = { U,    U,       U,    D,      D,   B,   B },
	/* clang-format on */
#undef A
#undef B
#undef D
#undef U
	};
	/* The destination cannot be asked. */
	static const enum location alone[] = {
		[HO_NONE] = AT_UNDECIDED,	    [HO_SRC_BEGUN] = AT_SOURCE,	  [HO_SRC_COMMITTED] = AT_UNDECIDED,
		[HO_SRC_RELEASED] = AT_DESTINATION, [HO_SRC_ABORTED] = AT_SOURCE, [HO_SRC_REVERTING] = AT_UNDECIDED,
	};

	if (src != HO_NONE && !handoff_state_of_role(src, HO_SOURCE))
		return AT_UNDECIDED;
	if (dst == HO_NONE)
		return alone[src];
	if (!handoff_state_of_role(dst, HO_DESTINATION))
		return AT_UNDECIDED;
	return where[src][dst - HO_DST_BEGUN];
}

static void check(const struct world *w)
{
	bool kept = w->fenced && w->s[DST].disk == HO_DST_DONE;
	enum location at =
		guest_location(w->s[SRC].forgot ? HO_NONE : w->s[SRC].disk, w->s[DST].forgot && !kept ? HO_NONE : w->s[DST].disk);

	RULE(w, !(src_runs(w) && w->dst_vm == D_RUN));
	if (w->forced)
		return;
	if (w->fenced && w->dst_ran)
		RULE(w, w->s[SRC].disk != HO_SRC_ABORTED);
	if (at == AT_SOURCE || at == AT_SOURCE_PAUSED)
		RULE(w, !w->dst_ran || w->reverted);
	if (at == AT_SOURCE_PAUSED)
		RULE(w, !src_runs(w) || w->s[SRC].forgot);
	if (at == AT_DESTINATION)
		RULE(w, w->dst_ran && !src_runs(w));
}

static void add(const struct world *w, const char *label)
{
	uint64_t i = XXH3_64bits(w, sizeof(*w)) & (x.table_size - 1);

	for (; x.table[i]; i = (i + 1) & (x.table_size - 1))
		if (!memcmp(&x.w[x.table[i] - 1], w, sizeof(*w)))
			return;
	if (x.n == x.cap)
		fail_msg("more than %zu states", x.cap);
	x.w[x.n] = *w;
	x.parent[x.n] = (uint32_t)x.cur;
	snprintf(x.label[x.n], sizeof(x.label[0]), "%s", label);
	x.table[i] = (uint32_t)++x.n;
	x.seen[w->s[SRC].disk][w->s[DST].disk]++;
	check(w);
}

/* A new world, changed by body, joins the set. */
#define NEXT(label, body)                                                                                                                  \
	do {                                                                                                                               \
		struct world n = *w;                                                                                                       \
		body;                                                                                                                      \
		add(&n, label);                                                                                                            \
	} while (0)
/* The same as NEXT, unless the machine returns -EPROTO. */
#define EVENT(role, ev)                                                                                                                    \
	do {                                                                                                                               \
		struct world n = *w;                                                                                                       \
		if (!step(&n, role, ev, HO_NONE))                                                                                          \
			add(&n, (role) == SRC ? "src " #ev : "dst " #ev);                                                                  \
	} while (0)

static void explore_agent(const struct world *w, enum handoff_role role)
{
	const struct side *s = &w->s[role];
	char label[24];

	if (s->destroyed)
		return;
	if (!s->up) {
		NEXT(role ? "dst restart" : "src restart", restart(&n, role));
		return;
	}
	NEXT(role ? "dst crash" : "src crash", crash(&n, role));
	if (s->n_todo) {
		snprintf(label, sizeof(label), "%s %s", role ? "dst" : "src", handoff_action_name(s->todo[0] - 1));
		NEXT(label, act(&n, role, false));
		if (s->todo[0] == ACT_CONT_DESTINATION + 1)
			NEXT("dst cont refused", act(&n, role, true));
		return;
	}
	for (unsigned st = 0; st < HO_STATE_COUNT; st++)
		if (w->sent[!role] & (1u << st)) {
			snprintf(label, sizeof(label), "%s<-%s", role ? "dst" : "src", handoff_state_name(st));
			NEXT(label, deliver(&n, role, st));
		}
	if (s->forgot)
		return;
	EVENT(role, EV_RESEND);
	EVENT(role, EV_ABORT);
	EVENT(role, EV_KEEP);
	EVENT(role, EV_REVERT);
	if (s->finished)
		NEXT(role ? "dst forget" : "src forget", {
			crash(&n, role);
			n.s[role].up = n.s[role].forgot = 1;
		});
}

static void explore_qemus(const struct world *w)
{
	const struct side *src = &w->s[SRC], *dst = &w->s[DST];

	/* Source. */
	if (x.cold && x.persons && !src->up && !src->forgot)
		NEXT("src host reboots", n.down = 1);
	if (!x.cold && w->src_vm != S_DEAD)
		NEXT("src QEMU dies", n.src_vm = S_DEAD);
	if (!x.cold && w->src_vm == S_STOPPED)
		NEXT("src QEMU fails", {
			src_resumes(&n);
			n.s[SRC].failed = src->up && !src->forgot;
		});
	if (w->src_vm == S_STOPPED) {
		if (w->shut_out && !w->held)
			NEXT("src QEMU completes", {
				n.src_vm = S_COMPLETED;
				n.s[SRC].completed = src->up && !src->forgot;
			});
	}
	if (!x.cold && w->src_vm == S_COMPLETED && !w->held) /* QEMU allows it */
		NEXT("src somebody's cont", {
			src_resumes(&n);
			n.s[SRC].resumed = src->up && !src->forgot;
		});
	if (idle(src)) {
		NEXT("src reads QEMU", read_qemu(&n));
		if (w->src_vm == S_RUN && src->state == HO_SRC_BEGUN && !src->end_sent)
			NEXT("src END", {
				assert_int_equal(step(&n, SRC, EV_END_SENT, HO_NONE), 0);
				n.src_vm = S_STOPPED;
				n.end_out = 1;
			});
	}

	/* Destination. */
	if (w->dst_vm != D_DEAD)
		NEXT("dst QEMU dies", n.dst_vm = D_DEAD);
	if (w->dst_vm == D_RUN)
		NEXT("dst guest stops", n.dst_vm = D_STOPPED_AGAIN);
	if (idle(dst)) {
		if (dst->cont)
			NEXT("dst cont answered", {
				n.s[DST].cont = CONT_NONE;
				step(&n, DST, dst->cont == CONT_RAN ? EV_CONT_OK : EV_CONT_FAILED_NEVER_RAN, HO_NONE);
			});
		if (w->dst_vm == D_DEAD && dst->alive && !dst->cont)
			EVENT(DST, EV_QEMU_DEAD);
		if (w->end_out && w->dst_vm == D_PAUSED)
			EVENT(DST, EV_PREPARED_OK);
	}
}

/* True if the source is down, and comes back. */
static bool is_down(const struct world *w)
{
	const struct side *s = &w->s[SRC];

	return !s->up && !s->destroyed && !s->forgot && (x.cold ? w->down : w->src_vm == S_DEAD) &&
	       (s->disk == HO_SRC_BEGUN || s->disk == HO_SRC_COMMITTED);
}

static void explore_persons(const struct world *w)
{
	for (int role = SRC; role <= DST; role++) {
		const struct side *s = &w->s[role];

		if (!s->destroyed && !w->s[!role].destroyed)
			NEXT(role ? "dst host burns" : "src host burns", {
				crash(&n, role);
				n.s[role].destroyed = 1;
				if (role == SRC)
					n.src_vm = S_DEAD;
				else
					n.dst_vm = D_DEAD;
			});
		if (!idle(s))
			continue;
		if (role == DST && is_down(w) && s->state == HO_DST_PREPARED && w->dst_vm != D_DEAD)
			NEXT("src host is down, dst FENCED", {
				n.fenced = 1;
				n.sent[SRC] = n.sent[DST] = 0; /* with the connections */
				crash(&n, DST);
				restart(&n, DST);
				while (n.s[DST].n_todo)
					act(&n, DST, false);
				n.sent[DST] = 0; /* no peer is there to hear it */
				step(&n, DST, EV_PEER_FENCED, HO_NONE);
			});
		if (role == DST && w->fenced && s->state == HO_DST_STARTED)
			NEXT("dst FENCED again", step(&n, DST, EV_PEER_FENCED, HO_NONE));
		if (w->s[!role].destroyed)
			NEXT(role ? "dst FENCED" : "src FENCED", {
				n.forced = 1;
				step(&n, role, EV_PEER_FENCED, HO_NONE);
			});
	}
}

/* ---- what must come true once faults end
 * ---------------------------------------------------------------------- */

static bool settle_agent(struct world *w, enum handoff_role role)
{
	struct side *s = &w->s[role];
	bool moved = false;

	if (s->destroyed)
		return false;
	if (!s->up) {
		restart(w, role);
		moved = true;
	}
	while (s->n_todo) {
		act(w, role, false);
		moved = true;
	}
	if (s->forgot || !s->up)
		return moved;
	if (role == SRC && read_qemu(w)) {
		return true;
	} else if (role == DST && s->cont) {
		enum handoff_event ev = s->cont == CONT_RAN ? EV_CONT_OK : EV_CONT_FAILED_NEVER_RAN;

		s->cont = CONT_NONE;
		step(w, DST, ev, HO_NONE);
	} else if (role == DST && w->dst_vm == D_DEAD && s->alive) {
		step(w, DST, EV_QEMU_DEAD, HO_NONE);
	} else if (role == SRC && w->src_vm == S_RUN && s->state == HO_SRC_BEGUN && !s->end_sent) {
		assert_int_equal(step(w, SRC, EV_END_SENT, HO_NONE), 0);
		w->src_vm = S_STOPPED;
		w->end_out = 1;
	} else if (role == DST && w->end_out && w->dst_vm == D_PAUSED && s->state == HO_DST_BEGUN) {
		step(w, DST, EV_PREPARED_OK, HO_NONE);
	} else if (role == SRC && s->revertible && s->state == HO_SRC_COMMITTED && s->peer == HO_DST_STARTED) {
		step(w, SRC, EV_KEEP, HO_NONE); /* the guest was not wanted back in time: STARTED is asked for again */
	} else {
		return moved;
	}
	return true;
}

static void settle_qemu(struct world *w)
{
	if (w->src_vm == S_STOPPED && w->shut_out) {
		w->src_vm = S_COMPLETED;
		w->s[SRC].completed = w->s[SRC].up && !w->s[SRC].forgot;
	}
}

static bool at_rest(const struct side *s)
{
	return s->forgot || s->finished || s->destroyed;
}

/* Links work, nobody crashes, no QEMU dies; what was in flight is lost, or arrives (in order of
 * state) first. */
static void settle(const struct world *from, bool stale)
{
	struct world w = *from;
	enum { IN_BEGUN_UNKNOWN = 1, IN_START_UNKNOWN = 2, IN_REVERTING_UNKNOWN = 3 } undecided = 0;
	uint16_t had[2];

	if (!stale)
		w.sent[SRC] = w.sent[DST] = 0;
	for (int round = 0; round < 12; round++) {
		bool moved = true;

		for (int i = 0; i < 50 && moved; i++) {
			moved = settle_agent(&w, SRC);
			moved = settle_agent(&w, DST) || moved;
			settle_qemu(&w);
			check(&w);
		}
		RULE(from, !moved);
		memcpy(had, w.sent, sizeof(had));
		w.sent[SRC] = w.sent[DST] = 0;
		for (unsigned st = 0; st < HO_STATE_COUNT; st++)
			for (int to = SRC; to <= DST; to++)
				if (had[!to] & (1u << st) && w.s[to].up && !w.s[to].destroyed) {
					deliver(&w, to, st);
					while (settle_agent(&w, to))
						;
				}
		if (at_rest(&w.s[SRC]) && at_rest(&w.s[DST]))
			break;
		for (int role = SRC; role <= DST && !w.sent[SRC] && !w.sent[DST]; role++)
			if (idle(&w.s[role]) && !w.s[role].finished)
				assert_int_equal(step(&w, role, EV_RESEND, HO_NONE), 0);
	}
	if (w.forced || w.s[SRC].destroyed || w.s[DST].destroyed)
		return;
	if (w.s[SRC].disk == HO_SRC_BEGUN && w.src_vm == S_DEAD && w.s[DST].disk == HO_DST_PREPARED)
		undecided = IN_BEGUN_UNKNOWN;
	if ((w.s[SRC].disk == HO_SRC_COMMITTED || (w.fenced && w.s[SRC].disk == HO_SRC_BEGUN)) && w.s[DST].disk == HO_DST_START &&
	    (w.s[DST].restarted || w.dst_vm == D_DEAD))
		undecided = IN_START_UNKNOWN;
	if (w.s[SRC].disk == HO_SRC_REVERTING && w.src_vm == S_DEAD)
		undecided = IN_REVERTING_UNKNOWN;
	if (w.s[SRC].disk == HO_SRC_BEGUN && w.s[SRC].asks && w.s[DST].forgot)
		undecided = IN_BEGUN_UNKNOWN;
	if (!undecided && !(at_rest(&w.s[SRC]) && at_rest(&w.s[DST]))) {
		print_world(&w);
		violated(from, "an agent never comes to rest");
	}
	if (undecided == IN_START_UNKNOWN)
		RULE(from, w.dst_vm == D_DEAD || w.fenced); /* the person may say it again, and it is tried again */
	/* A restarted source whose guest died while it was away may believe a late BEGUN, and calls
	 * the move off. */
	if (stale && from->src_vm == S_DEAD && (!from->s[SRC].up || from->s[SRC].restarted))
		return;
	if (!undecided && w.reverted && !src_runs(&w))
		RULE(from, from->src_vm == S_DEAD || w.s[SRC].disk == HO_SRC_RELEASED);
	if (!undecided && w.s[SRC].disk == HO_SRC_RELEASED) /* the guest was released to a destination that has it, or died by itself */
		RULE(from, w.s[DST].disk == HO_DST_DONE || w.s[DST].disk == HO_DST_STARTED);
	if (!undecided && !src_runs(&w) && !w.dst_ran) {
		RULE(from, from->src_vm == S_DEAD);
		/* The only copy then is the destination's: it must have been incomplete, out of
		 * date, dead or given up. */
		RULE(from, from->ran_on || from->dst_vm == D_DEAD || from->s[DST].disk != HO_DST_PREPARED ||
				   from->s[SRC].disk == HO_SRC_ABORTED || from->s[SRC].state == HO_SRC_ABORTED);
	}
}

static void explore(bool persons, bool revertible, bool cold, size_t cap)
{
	static const char *const places[] = {[AT_SOURCE] = "source",
					     [AT_SOURCE_PAUSED] = "source-paused",
					     [AT_DESTINATION] = "destination",
					     [AT_UNDECIDED] = "undecided"};
	struct world first = {.s = {{.up = 1, .disk = HO_SRC_BEGUN}, {.up = 1, .disk = HO_DST_BEGUN}}};
	struct handoff h;

	memset(&x, 0, sizeof(x));
	x.persons = persons;
	x.cold = cold;
	x.cap = cap;
	for (x.table_size = 1; x.table_size < 2 * cap; x.table_size *= 2)
		;
	x.w = xcalloc(cap, sizeof(*x.w));
	x.parent = xcalloc(cap, sizeof(*x.parent));
	x.label = xcalloc(cap, sizeof(*x.label));
	x.table = xcalloc(x.table_size, sizeof(*x.table));
	handoff_init(&h, SRC);
	h.revertible = revertible;
	pack(&first.s[SRC], &h);
	handoff_init(&h, DST);
	pack(&first.s[DST], &h);
	add(&first, "both begun");
	for (x.cur = 0; x.cur < x.n; x.cur++) {
		const struct world w = x.w[x.cur];

		explore_agent(&w, SRC);
		explore_agent(&w, DST);
		explore_qemus(&w);
		if (persons)
			explore_persons(&w);
		settle(&w, false);
		settle(&w, true);
	}
	print_message("%zu states\n", x.n);
	for (int s = 0; s < HO_STATE_COUNT; s++)
		for (int d = 0; d < HO_STATE_COUNT; d++)
			if (x.seen[s][d])
				print_message("  on disk %-13s %-12s %8u  guest: %s\n", handoff_state_name(s), handoff_state_name(d),
					      x.seen[s][d], places[guest_location(s, d)]);
	free(x.w);
	free(x.parent);
	free(x.label);
	free(x.table);
}

static void guest_never_runs_twice_and_is_never_lost_whatever_fails(void **state)
{
	(void)state;
	explore(false, false, false, 4000000);
}

static void guest_never_runs_twice_when_persons_fence_dead_hosts(void **state)
{
	(void)state;
	explore(true, false, false, 4000000);
}

static void guest_is_had_back_at_a_persons_wish_and_never_runs_twice(void **state)
{
	(void)state;
	explore(false, true, false, 8000000);
}

static void guest_that_is_shut_down_may_never_be_started_on_both_hosts(void **state)
{
	(void)state;
	explore(true, false, true, 4000000);
}

/* ---- single steps, as documentation
 * ----------------------------------------------------------------------------- */

static void expect(struct handoff *h, enum handoff_event ev, enum handoff_state peer, enum handoff_state to, const char *actions)
{
	struct handoff_actions out;
	char got[256] = "";

	assert_int_equal(handoff_step(h, ev, peer, &out), 0);
	for (unsigned i = 0; i < out.n; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? " " : "", handoff_action_name(out.a[i]));
	assert_string_equal(got, actions);
	assert_string_equal(handoff_state_name(h->state), handoff_state_name(to));
}

static void refuse(const struct handoff *h, enum handoff_event ev, enum handoff_state peer)
{
	struct handoff copy = *h;
	struct handoff_actions out = {.n = 77};

	assert_int_equal(handoff_step(&copy, ev, peer, &out), -EPROTO);
	assert_memory_equal(&copy, h, sizeof(copy));
	assert_int_equal(out.n, 77);
}

static void a_good_move_goes_by_the_book(void **state)
{
	struct handoff s, d;

	(void)state;
	handoff_init(&s, HO_SOURCE);
	handoff_init(&d, HO_DESTINATION);
	expect(&s, EV_END_SENT, 0, HO_SRC_BEGUN, "");
	expect(&d, EV_PREPARED_OK, 0, HO_DST_PREPARED, "JOURNAL SEND_STATE");
	expect(&s, EV_PEER, HO_DST_PREPARED, HO_SRC_BEGUN, "RELEASE_SHUT");
	expect(&s, EV_PEER, HO_DST_PREPARED, HO_SRC_BEGUN, "");
	expect(&s, EV_QEMU_COMPLETED, 0, HO_SRC_BEGUN, "HOLD_QEMU");
	expect(&s, EV_QEMU_HELD, 0, HO_SRC_COMMITTED, "JOURNAL SEND_STATE");
	expect(&d, EV_PEER, HO_SRC_COMMITTED, HO_DST_START, "JOURNAL CONT_DESTINATION");
	expect(&d, EV_PEER, HO_SRC_COMMITTED, HO_DST_START, "");
	expect(&d, EV_CONT_OK, 0, HO_DST_STARTED, "JOURNAL SEND_STATE");
	expect(&s, EV_PEER, HO_DST_STARTED, HO_SRC_RELEASED, "END_SOURCE_QEMU JOURNAL REMOVE_SCAFFOLDING SEND_STATE");
	expect(&d, EV_PEER, HO_SRC_RELEASED, HO_DST_DONE, "JOURNAL REMOVE_SCAFFOLDING SEND_STATE FINISHED");
	expect(&s, EV_PEER, HO_DST_DONE, HO_SRC_RELEASED, "FINISHED");
	expect(&d, EV_PEER, HO_SRC_RELEASED, HO_DST_DONE, "SEND_STATE");
	expect(&s, EV_PEER, HO_DST_DONE, HO_SRC_RELEASED, "");
}

static void what_may_not_happen_changes_nothing(void **state)
{
	struct handoff s, d;

	(void)state;
	handoff_init(&s, HO_SOURCE);
	handoff_init(&d, HO_DESTINATION);
	refuse(&s, EV_PEER, HO_DST_PREPARED); /* READY before END */
	refuse(&s, EV_QEMU_COMPLETED, 0);     /* SHUT still held */
	refuse(&s, EV_QEMU_HELD, 0);
	refuse(&s, EV_PEER, HO_DST_STARTED);
	refuse(&s, EV_PEER, HO_SRC_COMMITTED);
	refuse(&s, EV_PEER, (enum handoff_state)4711);
	refuse(&d, EV_PEER, HO_SRC_COMMITTED);
	refuse(&d, EV_CONT_OK, 0);
	assert_int_equal(handoff_restore(&d, HO_DESTINATION, HO_SRC_BEGUN, true), -EINVAL);
	assert_int_equal(handoff_restore(&d, HO_DESTINATION, HO_DST_PREPARED, true), 0);
	refuse(&d, EV_ABORT, 0);
	assert_int_equal(handoff_restore(&s, HO_SOURCE, HO_SRC_COMMITTED, true), 0);
	refuse(&s, EV_ABORT, 0);
}

/* A person fenced a destination that was alive after all: nothing that this side does by itself is right. */
static void a_source_that_gave_up_and_hears_that_the_guest_runs_there_is_undecided(void **state)
{
	struct handoff s;

	(void)state;
	assert_int_equal(handoff_restore(&s, HO_SOURCE, HO_SRC_ABORTED, true), 0);
	expect(&s, EV_PEER, HO_DST_STARTED, HO_SRC_ABORTED, "UNDECIDED");
	expect(&s, EV_PEER, HO_DST_DONE, HO_SRC_ABORTED, "UNDECIDED");
}

static void source_killed_before_committed_takes_the_guest_back(void **state)
{
	struct handoff s;

	(void)state;
	assert_int_equal(handoff_restore(&s, HO_SOURCE, HO_SRC_BEGUN, true), 0);
	expect(&s, EV_RECOVER, 0, HO_SRC_ABORTED, "JOURNAL CONT_SOURCE REMOVE_SCAFFOLDING SEND_STATE");
}

/* A guest that is shut down cannot have run by itself; but a person may have had its copy started. */
static void source_that_starts_anew_asks_before_it_takes_a_guest_back_that_is_shut_down(void **state)
{
	static const struct {
		enum handoff_state peer, to;
		const char *actions;
	} answers[] = {
		{HO_DST_BEGUN, HO_SRC_ABORTED, "JOURNAL CONT_SOURCE REMOVE_SCAFFOLDING SEND_STATE"},
		{HO_DST_PREPARED, HO_SRC_ABORTED, "JOURNAL CONT_SOURCE REMOVE_SCAFFOLDING SEND_STATE"},
		{HO_DST_START, HO_SRC_BEGUN, "UNDECIDED"},
		{HO_DST_STARTED, HO_SRC_RELEASED, "END_SOURCE_QEMU JOURNAL REMOVE_SCAFFOLDING SEND_STATE"},
		{HO_DST_DONE, HO_SRC_RELEASED, "END_SOURCE_QEMU JOURNAL REMOVE_SCAFFOLDING SEND_STATE FINISHED"},
		{HO_DST_NOVM, HO_SRC_ABORTED, "JOURNAL CONT_SOURCE REMOVE_SCAFFOLDING SEND_STATE"},
		{HO_DST_ABORTED, HO_SRC_ABORTED, "JOURNAL CONT_SOURCE REMOVE_SCAFFOLDING SEND_STATE FINISHED"},
		{HO_NONE, HO_SRC_BEGUN, "UNDECIDED"},
	};
	struct handoff s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		assert_int_equal(handoff_restore(&s, HO_SOURCE, HO_SRC_BEGUN, true), 0);
		s.asks = true;
		expect(&s, EV_RECOVER, 0, HO_SRC_BEGUN, "SEND_STATE");
		expect(&s, EV_ABORT, 0, HO_SRC_BEGUN, "");
		expect(&s, EV_PEER, answers[i].peer, answers[i].to, answers[i].actions);
	}
}

static void source_qemu_dead_after_ready_is_committed(void **state)
{
	struct handoff s;

	(void)state;
	handoff_init(&s, HO_SOURCE);
	expect(&s, EV_END_SENT, 0, HO_SRC_BEGUN, "");
	expect(&s, EV_PEER, HO_DST_PREPARED, HO_SRC_BEGUN, "RELEASE_SHUT");
	expect(&s, EV_QEMU_DEAD, 0, HO_SRC_COMMITTED, "JOURNAL SEND_STATE");
	/* A restored BEGUN that nobody watched is undecided: the guest may have run on by itself. */
	assert_int_equal(handoff_restore(&s, HO_SOURCE, HO_SRC_BEGUN, false), 0);
	expect(&s, EV_RECOVER, 0, HO_SRC_BEGUN, "SEND_STATE");
	expect(&s, EV_PEER, HO_DST_PREPARED, HO_SRC_BEGUN, "UNDECIDED");
}

static void source_whose_guest_was_resumed_by_somebody_is_never_committed(void **state)
{
	struct handoff s;

	(void)state;
	handoff_init(&s, HO_SOURCE);
	expect(&s, EV_END_SENT, 0, HO_SRC_BEGUN, "");
	expect(&s, EV_PEER, HO_DST_PREPARED, HO_SRC_BEGUN, "RELEASE_SHUT");
	expect(&s, EV_QEMU_COMPLETED, 0, HO_SRC_BEGUN, "HOLD_QEMU");
	expect(&s, EV_ABORT, 0, HO_SRC_ABORTED, "JOURNAL CONT_SOURCE REMOVE_SCAFFOLDING SEND_STATE");
	refuse(&s, EV_QEMU_HELD, 0);
}

static void only_a_durable_novm_gives_a_committed_guest_back(void **state)
{
	struct handoff s, d;

	(void)state;
	assert_int_equal(handoff_restore(&d, HO_DESTINATION, HO_DST_PREPARED, true), 0);
	expect(&d, EV_RECOVER, 0, HO_DST_PREPARED, "SEND_STATE");
	expect(&d, EV_PEER, HO_SRC_COMMITTED, HO_DST_START, "JOURNAL CONT_DESTINATION");
	expect(&d, EV_CONT_FAILED_NEVER_RAN, 0, HO_DST_NOVM, "JOURNAL END_DESTINATION_QEMU SEND_STATE");
	assert_int_equal(handoff_restore(&s, HO_SOURCE, HO_SRC_COMMITTED, true), 0);
	expect(&s, EV_RECOVER, 0, HO_SRC_COMMITTED, "HOLD_QEMU SEND_STATE");
	expect(&s, EV_PEER, HO_NONE, HO_SRC_COMMITTED, "UNDECIDED");
	expect(&s, EV_PEER, HO_DST_NOVM, HO_SRC_ABORTED, "JOURNAL CONT_SOURCE REMOVE_SCAFFOLDING SEND_STATE");
	expect(&d, EV_PEER, HO_SRC_ABORTED, HO_DST_ABORTED, "JOURNAL REMOVE_SCAFFOLDING SEND_STATE FINISHED");
	expect(&s, EV_PEER, HO_DST_ABORTED, HO_SRC_ABORTED, "FINISHED");
}

/* The last copy: the source is gone for good. */
static void a_persons_word_starts_what_was_promised(void **state)
{
	struct handoff d;

	(void)state;
	assert_int_equal(handoff_restore(&d, HO_DESTINATION, HO_DST_PREPARED, true), 0);
	expect(&d, EV_RECOVER, 0, HO_DST_PREPARED, "SEND_STATE");
	expect(&d, EV_PEER, HO_NONE, HO_DST_PREPARED, "UNDECIDED"); /* a message of the peer is not a person's word */
	expect(&d, EV_PEER_FENCED, 0, HO_DST_START, "JOURNAL CONT_DESTINATION");
	expect(&d, EV_CONT_OK, 0, HO_DST_STARTED, "JOURNAL SEND_STATE");
	expect(&d, EV_PEER_FENCED, 0, HO_DST_DONE, "JOURNAL REMOVE_SCAFFOLDING FINISHED");
}

static void start_with_qemu_gone_is_undecided_never_novm(void **state)
{
	struct handoff d;

	(void)state;
	assert_int_equal(handoff_restore(&d, HO_DESTINATION, HO_DST_START, false), 0);
	expect(&d, EV_RECOVER, 0, HO_DST_START, "SEND_STATE UNDECIDED");
	expect(&d, EV_PEER, HO_SRC_COMMITTED, HO_DST_START, "SEND_STATE UNDECIDED");
	refuse(&d, EV_CONT_OK, 0);
	/* Alive after a restart: cont again, but a refusal then proves nothing. */
	assert_int_equal(handoff_restore(&d, HO_DESTINATION, HO_DST_START, true), 0);
	expect(&d, EV_RECOVER, 0, HO_DST_START, "CONT_DESTINATION");
	expect(&d, EV_CONT_FAILED_NEVER_RAN, 0, HO_DST_START, "SEND_STATE UNDECIDED");
}

static void a_guest_that_was_started_there_is_had_back(void **state)
{
	struct handoff s, d;

	(void)state;
	assert_int_equal(handoff_restore(&s, HO_SOURCE, HO_SRC_COMMITTED, true), 0);
	s.revertible = true;
	refuse(&s, EV_REVERT, 0); /* the guest is not known to run there */
	assert_int_equal(handoff_restore(&d, HO_DESTINATION, HO_DST_STARTED, true), 0);
	expect(&s, EV_PEER, HO_DST_STARTED, HO_SRC_COMMITTED, "");
	expect(&s, EV_REVERT, 0, HO_SRC_REVERTING, "JOURNAL SEND_STATE");
	refuse(&s, EV_ABORT, 0);
	refuse(&s, EV_KEEP, 0);
	expect(&d, EV_PEER, HO_SRC_REVERTING, HO_DST_NOVM, "JOURNAL END_DESTINATION_QEMU SEND_STATE");
	expect(&s, EV_PEER, HO_DST_NOVM, HO_SRC_ABORTED, "JOURNAL CONT_SOURCE REMOVE_SCAFFOLDING SEND_STATE");
	expect(&d, EV_PEER, HO_SRC_ABORTED, HO_DST_ABORTED, "JOURNAL REMOVE_SCAFFOLDING SEND_STATE FINISHED");
	/* A QEMU that has died here meanwhile: the guest runs only there, and is not asked for again. */
	assert_int_equal(handoff_restore(&s, HO_SOURCE, HO_SRC_REVERTING, true), 0);
	expect(&s, EV_QEMU_DEAD, 0, HO_SRC_REVERTING, "");
	expect(&s, EV_RESEND, 0, HO_SRC_REVERTING, "UNDECIDED");
	expect(&s, EV_PEER, HO_DST_STARTED, HO_SRC_REVERTING, "UNDECIDED");
	/* An agent that begins anew wants nothing back. */
	assert_int_equal(handoff_restore(&s, HO_SOURCE, HO_SRC_REVERTING, true), 0);
	expect(&s, EV_RECOVER, 0, HO_SRC_COMMITTED, "HOLD_QEMU JOURNAL SEND_STATE");
	expect(&s, EV_PEER, HO_DST_STARTED, HO_SRC_RELEASED, "END_SOURCE_QEMU JOURNAL REMOVE_SCAFFOLDING SEND_STATE");
}

static void a_guest_that_was_started_there_is_kept_there(void **state)
{
	struct handoff s;

	(void)state;
	assert_int_equal(handoff_restore(&s, HO_SOURCE, HO_SRC_COMMITTED, true), 0);
	s.revertible = true;
	expect(&s, EV_PEER, HO_DST_STARTED, HO_SRC_COMMITTED, "");
	expect(&s, EV_KEEP, 0, HO_SRC_COMMITTED, "SEND_STATE"); /* the source asks whether that is still true */
	expect(&s, EV_PEER, HO_DST_STARTED, HO_SRC_RELEASED, "END_SOURCE_QEMU JOURNAL REMOVE_SCAFFOLDING SEND_STATE");
	/* EV_KEEP may come before the guest runs there; and a later agent waits for nobody. */
	assert_int_equal(handoff_restore(&s, HO_SOURCE, HO_SRC_COMMITTED, true), 0);
	s.revertible = true;
	expect(&s, EV_KEEP, 0, HO_SRC_COMMITTED, "SEND_STATE");
	expect(&s, EV_PEER, HO_DST_STARTED, HO_SRC_RELEASED, "END_SOURCE_QEMU JOURNAL REMOVE_SCAFFOLDING SEND_STATE");
}

static void restarted_destination_aborts_unless_prepared(void **state)
{
	struct handoff d;

	(void)state;
	assert_int_equal(handoff_restore(&d, HO_DESTINATION, HO_DST_BEGUN, true), 0);
	expect(&d, EV_RECOVER, 0, HO_DST_ABORTED, "JOURNAL END_DESTINATION_QEMU REMOVE_SCAFFOLDING SEND_STATE FINISHED");
	assert_int_equal(handoff_restore(&d, HO_DESTINATION, HO_DST_PREPARED, false), 0);
	expect(&d, EV_RECOVER, 0, HO_DST_NOVM, "JOURNAL SEND_STATE");
}

static void names_go_there_and_back(void **state)
{
	enum handoff_state s;

	(void)state;
	for (unsigned i = 0; i < HO_STATE_COUNT; i++) {
		assert_int_equal(handoff_state_parse(handoff_state_name(i), &s), 0);
		assert_int_equal(s, i);
	}
	assert_int_equal(handoff_state_parse("nonsense", &s), -EINVAL);
	assert_string_equal(handoff_state_name(99), "?");
	for (unsigned i = 0; i < HO_EVENT_COUNT; i++)
		assert_string_not_equal(handoff_event_name(i), "?");
	for (unsigned i = 0; i < HO_ACTION_COUNT; i++)
		assert_string_not_equal(handoff_action_name(i), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_move_goes_by_the_book),
		cmocka_unit_test(what_may_not_happen_changes_nothing),
		cmocka_unit_test(a_source_that_gave_up_and_hears_that_the_guest_runs_there_is_undecided),
		cmocka_unit_test(source_killed_before_committed_takes_the_guest_back),
		cmocka_unit_test(source_that_starts_anew_asks_before_it_takes_a_guest_back_that_is_shut_down),
		cmocka_unit_test(source_qemu_dead_after_ready_is_committed),
		cmocka_unit_test(source_whose_guest_was_resumed_by_somebody_is_never_committed),
		cmocka_unit_test(only_a_durable_novm_gives_a_committed_guest_back),
		cmocka_unit_test(a_persons_word_starts_what_was_promised),
		cmocka_unit_test(start_with_qemu_gone_is_undecided_never_novm),
		cmocka_unit_test(a_guest_that_was_started_there_is_had_back),
		cmocka_unit_test(a_guest_that_was_started_there_is_kept_there),
		cmocka_unit_test(restarted_destination_aborts_unless_prepared),
		cmocka_unit_test(names_go_there_and_back),
		cmocka_unit_test(guest_never_runs_twice_and_is_never_lost_whatever_fails),
		cmocka_unit_test(guest_never_runs_twice_when_persons_fence_dead_hosts),
		cmocka_unit_test(guest_is_had_back_at_a_persons_wish_and_never_runs_twice),
		cmocka_unit_test(guest_that_is_shut_down_may_never_be_started_on_both_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
