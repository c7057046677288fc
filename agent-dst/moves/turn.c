/* turn.c: see turn.h. */
#include "turn.h"
#include "host-settings.h"
#include "json-message.h"
#include "json-text.h"
#include "log.h"
#include "transfer.h"
#include "util.h"

#include <errno.h>
#include <string.h>

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

/* Only what is news. */
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
