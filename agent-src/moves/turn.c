/* turn.c: see turn.h. */
#include "turn.h"
#include "host-settings.h"
#include "transfer.h"

#include <errno.h>

static bool is_later_pass(const struct move_options *o)
{
	return o->cold.head && o->cold.head->passes;
}

/* A move takes a turn if others wait for it: the first pass of one that is no trial, and goes to another host. */
static bool turn_is_wanted(const struct transfer *t)
{
	const struct move_options *o = t->opt;

	return t->queue.turn && t->entry->last != ST_PREFLIGHT && o->how != HOW_DISKS && o->how != HOW_REPLICA && !o->in_place &&
	       o->dirs.runtime;
}

void turn_tell(struct transfer *t, bool here, unsigned ahead)
{
	if (ahead == t->queue.waits.ahead && here == t->queue.waits.here)
		return;
	t->queue.waits = (struct wait){.here = here, .ahead = ahead};
	if (ahead)
		report_notice(&t->life.report,
			      "waits for its turn: %u move%s %s %s before it; `vmferry cancel` ends the waiting, --now passes it", ahead,
			      ahead == 1 ? "" : "s", ahead == 1 ? (here ? "leaves" : "comes") : (here ? "leave" : "come"),
			      here ? "this host" : "to the destination");
}

/* The move is more than its place in a queue. */
static void go_without(struct transfer *t, const struct err *why)
{
	report_notice(&t->life.report, "this move does not wait for others, nor others for it: %s", why->msg);
	turn_end(t);
}

static void take(struct transfer *t)
{
	struct err e;

	t->queue.turn->asked = true;
	if (ticket_take(&t->queue.turn->ticket, t->opt->dirs.runtime, "out", &e))
		go_without(t, &e);
}

/* -EAGAIN counts as behind: the queue cannot be read at the moment and is asked again. */
static bool is_behind(struct transfer *t, unsigned limit)
{
	unsigned ahead = 0;
	struct err e;
	int r = ticket_ahead(t->queue.turn->ticket, &ahead, &e);

	if (r && r != -EAGAIN)
		go_without(t, &e);
	else if (!r)
		turn_tell(t, true, ahead >= limit ? ahead : 0);
	return r ? r == -EAGAIN : ahead >= limit;
}

int turn_wait(struct transfer *t, bool *waits, struct err *e)
{
	struct host_settings settings;
	int r;

	*waits = false;
	if (!turn_is_wanted(t))
		return 0;
	r = host_settings_read(&settings, e);
	if (r)
		return r;
	host_settings_fini(&settings);
	if (!t->queue.turn->asked)
		take(t);
	if (t->queue.turn->ticket && settings.out && !t->opt->now && !is_later_pass(t->opt))
		*waits = is_behind(t, settings.out);
	return 0;
}

const char *turn_word(const struct transfer *t)
{
	return !turn_is_wanted(t) ? NULL : t->opt->now || is_later_pass(t->opt) ? "now" : "wait";
}

void turn_end(struct transfer *t)
{
	if (!t->queue.turn)
		return;
	ticket_return(t->queue.turn->ticket);
	t->queue.turn->ticket = NULL;
}
