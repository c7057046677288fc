/* with-monitor.c: see with-monitor.h. */
#include "with-monitor.h"
#include "control.h"
#include "exit-code.h"
#include "util.h"
#include "working-dir.h"

#include <errno.h>
#include <stdio.h>

/* The monitor that the guest's QEMU was given is named for people. */
static void tell_of_lent(const struct lent_monitor *m)
{
	if (m->by)
		fprintf(stderr,
			"vmferry: asking the guest's QEMU by a QMP monitor that it makes for this command (%s), by its monitor %s\n",
			m->path, m->by);
	else
		fprintf(stderr, "vmferry: the guest's QEMU has a QMP monitor now: %s\n", m->attached.path);
}

int monitor_directory(const struct guest *g, FILE *to, struct err *e)
{
	AUTO_FREE char *where = text_shown(g->cwd ?: "");
	int r;

	if (!working_dir_is_needed(g))
		return 0;
	r = working_dir_restore(g, e);
	if (!r && to)
		fprintf(to, "%sits QEMU is back in the directory that it was started in, so that it can hand over its disks: %s\n",
			to == stderr ? "vmferry: " : "", where);
	return r;
}

/* The user's word is for this, too. */
static int restore_directory(const char *vm, struct err *e)
{
	struct guest g;
	int r = guest_find(&g, vm, e);

	r = !r || r == -ENXIO ? monitor_directory(&g, stderr, e) : 0;
	guest_fini(&g);
	return r;
}

/* A vmferry that has the guest in hand answers: it has the guest's monitor, and this command, which says so, needs none. */
static bool is_in_hand(const char *vm, const char *runtime_dir)
{
	json_auto_t *status = NULL;
	struct guest g;
	struct err e;

	guest_find(&g, vm, &e);
	status = control_status_within(runtime_dir, g.pid, CONTROL_SOON_S);
	guest_fini(&g);
	return status != NULL;
}

int monitor_begin(struct lent_monitor *m, const char *vm, const struct lent_need *need)
{
	struct err e;
	bool asks = need->state_dir && need->runtime_dir && vm && !is_in_hand(vm, need->runtime_dir);
	int r = asks ? lent_make(m, vm, need, &e) : 0;

	if (r && need->attach)
		fprintf(stderr, "vmferry: guest %s was not given a monitor (--attach)%s: %s\n", vm,
			(r != -ESRCH && r != -EIO) ? ", and runs as before" : "", e.msg);
	else if (r) /* the command refuses, then, and says what can be done */
		fprintf(stderr, "vmferry: %s cannot be asked: %s\n", vm, e.msg);
	else if (m->path)
		tell_of_lent(m);
	if (!r && asks && need->attach && (r = restore_directory(vm, &e)))
		fprintf(stderr, "vmferry: guest %s, --attach: %s\n", vm, e.msg);
	return r && need->attach ? EXIT_REFUSED : 0;
}

void monitor_end(struct lent_monitor *m)
{
	struct err e;
	int r = m->path ? lent_return(m, &e) : 0;

	if (r && r != -ENOTSUP)
		fprintf(stderr,
			"vmferry: the monitor that was made for this command is left in the guest's QEMU (vmferry recover removes it): %s\n",
			e.msg);
}
