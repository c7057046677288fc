/* guest-power.c: see guest-power.h. */
#include "guest-power.h"
#include "agent-talk.h"
#include "util.h"

#include <errno.h>
#include <unistd.h>

#define QMP_MS 5000

static bool has_qmp(const struct guest *g)
{
	return g->qmp.path != NULL;
}

static int press_by_qmp(struct guest *g, struct loop *l, struct err *e)
{
	struct qmp *q;
	int r = guest_open_qmp(g, &q, l, QMP_MS, &(struct qmp_handlers){NULL, NULL}, NULL, e);

	if (r)
		return r;
	r = qmp_call(q, "system_powerdown", NULL, NULL, e);
	qmp_close(q);
	return r;
}

static bool has_agent(const struct guest *g)
{
	AUTO_FREE char *path = guest_agent_path(g);

	return path != NULL;
}

/* An agent that carries it out does not answer it. */
static int press_by_agent(struct guest *g, struct loop *l, struct err *e)
{
	AUTO_FREE struct agent *a = xcalloc(1, sizeof(*a));
	AUTO_FREE char *path = guest_agent_path(g);
	int r = agent_connect(a, path, e);

	(void)l;
	if (r)
		return r;
	r = agent_synchronize(a, e);
	if (!r && agent_say(a, "guest-shutdown"))
		r = err_set(e, EPIPE, "its agent's socket %s does not take guest-shutdown", path);
	close(a->fd);
	return r;
}

static const struct {
	const char *by;
	bool (*is_there)(const struct guest *g);
	int (*press)(struct guest *g, struct loop *l, struct err *e);
} ways[] = {
	{"the ACPI power button", has_qmp, press_by_qmp},
	{"its guest agent", has_agent, press_by_agent},
};

bool guest_has_power_button(const struct guest *g)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(ways) && !ways[i].is_there(g); i++)
		;
	return i < ARRAY_LEN(ways);
}

int guest_press_power(struct guest *g, struct loop *l, const char **by, struct err *e)
{
	int r = err_set(e, ENXIO, "the guest has no monitor and no agent that could be told to shut it down");
	size_t i;

	for (i = 0; i < ARRAY_LEN(ways) && r; i++) {
		if (!ways[i].is_there(g))
			continue;
		*by = ways[i].by;
		r = ways[i].press(g, l, e);
	}
	return r;
}
