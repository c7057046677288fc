/* guest-power.c: see guest-power.h. */
#include "guest-power.h"
#include "agent-talk.h"
#include "hmp-reach.h"
#include "libvirt-rpc.h"
#include "util.h"

#include <errno.h>
#include <unistd.h>

#define LIBVIRT_MS 5000

/* A guest that somebody has undefined meanwhile would be gone with its QEMU. */
static int shut_down(struct lv *v, const struct lv_domain *d, struct err *e)
{
	bool is_defined;
	int r = lv_is_persistent(v, d, &is_defined, e);

	if (!r && !is_defined)
		r = err_set(e, ESTALE,
			    "another client undefined it in libvirt, which would forget the guest once it is shut down (define it again: "
			    "virsh define)");
	return r ?: lv_shutdown(v, d, e);
}

static int press_by_libvirt(const struct guest *g, struct qmp *q, struct err *e)
{
	struct lv_domain d;
	struct lv *v;
	int r = lv_open(&v, LIBVIRT_MS, e);

	(void)q;
	if (r)
		return r;
	r = lv_lookup(v, g->name, &d, e);
	if (!r) {
		r = shut_down(v, &d, e);
		lv_domain_fini(&d);
	}
	lv_close(v);
	return r;
}

static bool has_qmp(const struct guest *g)
{
	return g->qmp.path && !guest_is_libvirts(g);
}

static int press_by_qmp(const struct guest *g, struct qmp *q, struct err *e)
{
	if (!q || !qmp_alive(q))
		return err_set(e, EPIPE, "its QMP monitor %s does not answer", g->qmp.path);
	return qmp_call(q, "system_powerdown", NULL, NULL, e);
}

/* A human monitor that this host reaches, by the line. */
static bool has_hmp(const struct guest *g)
{
	struct args_hmp *list;
	size_t n = qemu_args_hmp(g->line.expanded, g->line.expanded_count, &list), i;

	for (i = 0; i < n && list[i].kind == HMP_NOWHERE; i++)
		;
	args_hmp_free(list, n);
	return i < n && !guest_is_libvirts(g);
}

static int press_at(struct hmp *h, const struct hmp_place *p, void *ctx, struct err *e)
{
	(void)p, (void)ctx;
	return hmp_order(h, "system_powerdown", e);
}

static int press_by_hmp(const struct guest *g, struct qmp *q, struct err *e)
{
	struct args_hmp *list;
	size_t n = qemu_args_hmp(g->line.expanded, g->line.expanded_count, &list), i;
	int r = -ENXIO;

	(void)q;
	for (i = 0; i < n && r; i++)
		if (list[i].kind != HMP_NOWHERE)
			r = hmp_visit(g, &list[i], press_at, NULL, e);
	args_hmp_free(list, n);
	return r;
}

static bool has_agent(const struct guest *g)
{
	AUTO_FREE char *path = guest_agent_path(g);

	return path && !guest_is_libvirts(g);
}

/* An agent that carries it out does not answer it. */
static int press_by_agent(const struct guest *g, struct qmp *q, struct err *e)
{
	AUTO_FREE struct agent *a = xcalloc(1, sizeof(*a));
	AUTO_FREE char *path = guest_agent_path(g);
	int r = agent_connect(a, path, g->pid, e);

	(void)q;
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
	int (*press)(const struct guest *g, struct qmp *q, struct err *e);
} ways[] = {
	{"by libvirt", guest_is_libvirts, press_by_libvirt},
	{"the ACPI power button", has_qmp, press_by_qmp},
	{"the ACPI power button, by its human monitor", has_hmp, press_by_hmp},
	{"its guest agent", has_agent, press_by_agent},
};

bool guest_has_power_button(const struct guest *g)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(ways) && !ways[i].is_there(g); i++)
		;
	return i < ARRAY_LEN(ways);
}

int guest_press_power(const struct guest *g, struct qmp *q, const char **by, struct err *e)
{
	int r = err_set(e, ENXIO, "the guest has no monitor and no agent that could be told to shut it down");

	for (size_t i = 0; i < ARRAY_LEN(ways) && r; i++) {
		if (!ways[i].is_there(g))
			continue;
		*by = ways[i].by;
		r = ways[i].press(g, q, e);
	}
	return r;
}
