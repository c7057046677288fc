/* arriving-turn.c: see arriving-turn.h. */
#include "arriving-turn.h"
#include "fault.h"
#include "host-settings.h"
#include "json-message.h"
#include "json-text.h"
#include "log.h"
#include "promise.h"
#include "arriving-transfer.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define SHORT_MS      2000 /* limit in tests */
#define LOOKS_MAX     400
#define LOOK_PAUSE_MS 5

static void go_without(struct transfer *t, const struct err *why)
{
	log_error("a move waits for no other, nor others for it: %s", why->msg);
	free(t->turn.why_not);
	t->turn.why_not = xstrdup(why->msg);
	turn_end(t);
}

void turn_count(struct transfer *t)
{
	struct err e;

	if (t->turn.asked || target_is_in_place(&t->target) || !strcmp(t->recipe->how, "disks") || !strcmp(t->recipe->how, "replica"))
		return;
	t->turn.asked = true;
	if (ticket_take(&t->turn.ticket, t->cfg->runtime_dir, "in", &e))
		go_without(t, &e);
}

/* Tells the source how many moves come first, if that is news. */
static int tell(struct transfer *t, unsigned ahead, struct err *e)
{
	if (ahead == t->turn.told)
		return 0;
	t->turn.told = ahead;
	return json_message_send(t->a.control, MSG_ASK, t->a.id, json_pack("{s:{s:I}}", "turn", "ahead", (json_int_t)ahead), e);
}

int turn_look(struct transfer *t, struct err *e)
{
	struct host_settings settings;
	unsigned ahead = 0;
	int r = host_settings_read(&settings, e);

	if (r)
		return r;
	host_settings_fini(&settings);
	r = t->turn.ticket && settings.in ? ticket_ahead(t->turn.ticket, &ahead, e) : 0;
	if (r == -EAGAIN)
		return 0;
	if (r)
		go_without(t, e);
	t->turn.waits = !r && settings.in && ahead >= settings.in;
	return tell(t, t->turn.waits ? ahead : 0, e);
}

int turn_begin(struct transfer *t, struct err *e)
{
	const char *word = json_text(t->target.description, "turn");

	if (!word)
		return 0;
	turn_count(t);
	if (!t->turn.ticket || strcmp(word, "wait") != 0)
		return 0;
	t->turn.waits = true;
	return turn_look(t, e);
}

void turn_accepted(struct turn *u, uint64_t now_ns)
{
	u->accepted_ns = now_ns;
}

bool turn_lapses(struct turn *u, uint64_t now_ns)
{
	uint64_t ms = fault_point("dst-turn-is-short") ? SHORT_MS : TURN_LAPSES_MS;

	if (!u->ticket || !u->accepted_ns || now_ns - u->accepted_ns < ms * 1000000ULL)
		return false;
	ticket_return(u->ticket);
	u->ticket = NULL;
	u->lapsed = true;
	return true;
}

/* Retries on -EAGAIN: another process holds the directory's lock for a moment. */
static int count_ahead(const struct ticket *ticket, unsigned *ahead, struct err *e)
{
	unsigned tries = LOOKS_MAX;
	int r;

	while ((r = ticket_ahead(ticket, ahead, e)) == -EAGAIN && tries--)
		poll(NULL, 0, LOOK_PAUSE_MS);
	return r;
}

int turn_regain(struct turn *u, const char *runtime_dir, unsigned in, struct err *e)
{
	unsigned ahead = 0;
	int r = ticket_take(&u->ticket, runtime_dir, "in", e);

	if (!r && in)
		r = count_ahead(u->ticket, &ahead, e);
	if (!r && in && ahead >= in)
		r = err_set(e, ETIMEDOUT,
			    "the source was silent for more than %d minutes after the plan was made (its hooks took that long, or it was "
			    "stopped), and others have come before this move: give the command again",
			    TURN_LAPSES_MS / 60000);
	if (r) {
		ticket_return(u->ticket);
		u->ticket = NULL;
		return r;
	}
	u->lapsed = false;
	return 0;
}

int turn_resume(struct transfer *t, struct err *e)
{
	const char *word = json_text(t->target.description, "turn") ?: "";
	struct host_settings settings;
	int r;

	t->turn.accepted_ns = 0;
	if (!t->turn.lapsed)
		return 0;
	r = host_settings_read(&settings, e);
	if (r)
		return r;
	host_settings_fini(&settings);
	r = turn_regain(&t->turn, t->cfg->runtime_dir, strcmp(word, "wait") ? 0 : settings.in, e);
	if (r && r != -ETIMEDOUT) {
		go_without(t, e);
		r = 0;
	}
	if (r)
		return r;
	promise_examine(t);
	return obstacles_err(&t->target.obstacles, e);
}

void turn_end(struct transfer *t)
{
	ticket_return(t->turn.ticket);
	t->turn.ticket = NULL;
}

void turn_fini(struct transfer *t)
{
	turn_end(t);
	free(t->turn.why_not);
	if (t->a.taken_up)
		ticket_sweep(t->cfg->runtime_dir, "in");
}
