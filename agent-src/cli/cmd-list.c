/*
 * cmd-list.c: vmferry list: the guests that run here, and whether each can be moved.
 *
 * Harmless and quick: the guests are asked one after the other with short deadlines, nothing is changed, and a monitor that
 * somebody else holds is said so and not waited for. What QEMU cannot be asked comes from its command line.
 */
#include "again.h"
#include "attach.h"
#include "cmd.h"
#include "command-options.h"
#include "control.h"
#include "dest-options.h"
#include "error-stop.h"
#include "json-text.h"
#include "lent-monitor.h"
#include "libvirt-find.h"
#include "list-entry.h"
#include "list-host.h"
#include "log.h"
#include "paths.h"
#include "process.h"
#include "qemu-discover.h"
#include "qmp-advice.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define OPEN_MS	 500  /* time for a monitor to greet us */
#define QUERY_MS 1000 /* time for an answer */

struct listing {
	struct loop *loop;
	char *runtime; /* where the agents have their sockets */
	pid_t *moving; /* QEMUs that a vmferry is moving, or was when it died */
	size_t moving_count;
	char **wanted; /* names and pids; none: all guests */
	size_t wanted_count;
	char *others; /* "vm2 (pid 12), vm3 (shut down)": guests here that were not asked for; NULL: none */
};

/* Sets the reason and the advice; n owns both strings from here on. */
static void because(struct entry *n, char *why, char *advice)
{
	if (n->reason_count < REASONS_MAX) {
		n->reasons[n->reason_count++] = (struct reason){why, advice};
		return;
	}
	free(why);
	free(advice);
}

/* ---- looking at one ---- */

/* Proxmox: the number behind -id; NULL if there is none. */
static const char *proxmox_id(const struct guest *g)
{
	for (size_t i = 1; i + 1 < g->line.argc; i++)
		if (!strcmp(g->line.argv[i], "-id"))
			return g->line.argv[i + 1];
	return NULL;
}

static char *goes_shut_down(const struct guest *g)
{
	return xasprintf(
		"vmferry migrate %s HOST --how cold: its disks go ahead, it is shut down, and started there; or virsh migrate --live "
		"--copy-storage-all --verbose %s qemu+ssh://HOST/system",
		g->name, g->name);
}

static const char *state_name(enum lv_state s)
{
	static const char *const names[] =
		{[LV_RUNNING] = "running",   [LV_BLOCKED] = "running", [LV_PAUSED] = "paused",	      [LV_SHUTDOWN] = "shutting down",
		 [LV_SHUTOFF] = "shut down", [LV_CRASHED] = "crashed", [LV_PMSUSPENDED] = "suspended"};

	return (unsigned)s < ARRAY_LEN(names) ? names[s] : NULL;
}

static void take_from_libvirt(struct entry *n, const struct libvirt_guest *l)
{
	const char *state = state_name(l->state);

	n->g.ram_bytes = l->def.ram_bytes;
	n->g.cpu.count = l->def.vcpus;
	n->g.cpu.accel = xstrdup(!strcmp(l->def.virttype ?: "", "kvm") ? "kvm" : "tcg");
	n->g.status = xstrdup(state);
	for (size_t i = 0; i < l->def.block_count; i++)
		because(n, xstrdup(l->def.blocks_live[i]), goes_shut_down(&n->g));
	if (l->snapshot_count)
		because(n,
			xasprintf("libvirt knows of %zu snapshot%s, with which it lets no guest go as it runs", l->snapshot_count,
				  l->snapshot_count == 1 ? "" : "s"),
			xasprintf("shut it down (virsh shutdown %s), and then vmferry migrate %s HOST --how cold takes them along",
				  n->g.name, n->g.name));
}

/* libvirt's knowledge replaces what QEMU, mostly another user's, says about itself. */
static void check_libvirts(struct entry *n)
{
	AUTO_FREE char *pid = xasprintf("%d", (int)n->g.pid);
	struct libvirt_guest l;
	struct guest g;
	struct err e;
	int found = libvirt_find_running(&l, &g, pid, &e);

	if (found > 0) {
		guest_fini(&n->g);
		n->g = g;
		take_from_libvirt(n, &l);
	} else {
		because(n, xstrdup(found ? e.msg : "the guest looks like libvirt's, and no libvirt here says that it is"),
			goes_shut_down(&n->g));
	}
	if (found <= 0)
		guest_fini(&g);
	libvirt_guest_fini(&l);
}

/* libvirt, too, waits for a QEMU that is stopped, as a move leaves it until it is settled, if another client has asked it for something. */
static bool is_stopped(const struct entry *n)
{
	return process_is_stopped(n->g.pid);
}

static void check_owner(struct entry *n)
{
	const char *id = proxmox_id(&n->g);

	if (guest_is_libvirts(&n->g)) {
		if (!is_stopped(n))
			check_libvirts(n);
	} else if (n->g.owner_hint) {
		because(n, xstrdup("the guest belongs to Proxmox VE, which would lose track of it"),
			xasprintf("qm remote-migrate %s … --online (to another cluster) or qm migrate %s NODE --online "
				  "--with-local-disks",
				  id ? id : "VMID", id ? id : "VMID"));
	} else if (n->g.resource) {
		because(n, xasprintf("the guest is the resource %s of Pacemaker, which would start it again here", n->g.resource),
			xasprintf("crm_resource --move --resource %s --node NODE", n->g.resource));
	}
}

static void check_user(struct entry *n)
{
	struct err e;

	if (!n->g.owner_hint && guest_check_user(&n->g, &e))
		because(n, xstrdup(e.msg), NULL);
}

static void check_line(struct entry *n)
{
	struct err e;

	if (guest_read_line(&n->g, false, &n->line, &e) < 0)
		because(n, xstrdup(e.msg), NULL);
}

static void check_blockers(struct entry *n, struct qmp *q)
{
	const char *reason, *status;
	json_t *info;
	struct err e;

	if (qmp_call_ms(q, QUERY_MS, "query-migrate", NULL, &info, &e) < 0)
		return;
	reason = json_string_value(json_array_get(json_object_get(info, "blocked-reasons"), 0));
	status = json_string_value(json_object_get(info, "status"));
	if (reason)
		because(n, xasprintf("QEMU cannot migrate the guest: %s", reason),
			xstrdup("the guest can be shut down for its move: --how warm"));
	else if (status &&
		 (!strcmp(status, "active") || !strcmp(status, "setup") || !strcmp(status, "pre-switchover") || !strcmp(status, "device")))
		because(n, xstrdup("a migration of the guest is under way already"), NULL);
	json_decref(info);
}

static void check_answers(struct entry *n, struct qmp *q)
{
	struct err e;

	if (!run_state_moves(n->g.status))
		because(n, xasprintf("the guest is in state '%s'; a guest can be moved that runs, or would go on by cont", n->g.status),
			NULL);
	for (size_t i = 0; i < n->g.disk_count; i++)
		if (guest_disk_movable(&n->g.disks[i], 0, &e))
			because(n, xstrdup(e.msg), NULL);
	if (guest_check_drift(&n->g, q, NULL, &e) == -ENOTSUP)
		because(n, xstrdup(e.msg), NULL);
}

/* Looks for another monitor, as no QMP monitor can be used. said: why, malloc'ed, and stolen. */
static void look_for_another_way(struct entry *n, char *said)
{
	AUTO_FREE char *why = said;
	AUTO_FREE char *options = qmp_advice(n->g.name, n->g.line.expanded, n->g.line.expanded_count);
	AUTO_FREE char *words = NULL;
	struct err e;

	n->hmp = lent_way(&n->g, &words);
	if (n->hmp) {
		n->monitor = MONITOR_HMP;
		return;
	}
	because(n, words ? xasprintf("%s; %s", why, words) : xstrdup(why),
		attach_is_possible(&n->g, &e) ? xasprintf("restart the guest, with: %s (%s)", options, e.msg)
					      : xasprintf("give the guest one while it runs: vmferry attach %d; or restart it, with: %s",
							  (int)n->g.pid, options));
}

static void ask(struct entry *n, struct loop *loop)
{
	struct qmp *q = NULL;
	struct err e;
	int r;

	if (!n->g.qmp.path) {
		look_for_another_way(n, xstrdup("the guest has no QMP monitor that vmferry can reach"));
		return;
	}
	n->monitor = MONITOR_SILENT;
	r = guest_open_qmp(&n->g, &q, loop, OPEN_MS, NULL, NULL, &e);
	if (r == -EBUSY) {
		n->monitor = MONITOR_BUSY;
		look_for_another_way(n, xasprintf("the guest's monitor %s is occupied: another program holds it, or QEMU itself hangs",
						  n->g.qmp.path));
		return;
	}
	n->g.deadline_ms = QUERY_MS;
	if (r == 0)
		r = guest_query(&n->g, q, &e);
	if (r == 0) {
		n->monitor = MONITOR_ANSWERED;
		check_blockers(n, q);
		check_answers(n, q);
	} else {
		guest_forget_query(&n->g);
		because(n, xstrdup(e.msg), NULL);
	}
	qmp_close(q);
}

/* A command for a QEMU that is stopped would stay in its monitor, and be carried out once that QEMU goes on: so none is sent. */
static void stands(struct entry *n)
{
	n->monitor = MONITOR_SILENT;
	if (!n->moving && !n->reason_count)
		because(n, xstrdup("the guest's QEMU is stopped (SIGSTOP), as by a move that is not settled, and answers nothing"), NULL);
}

/* The agent refuses the guest of a QEMU that somebody else is connected to. */
static void arrives(struct entry *n)
{
	n->monitor = MONITOR_BUSY;
	because(n, xstrdup("the guest is arriving: vmferry moves it here"), xstrdup("once the guest is here it can be moved on"));
}

static void examine(struct entry *n, const struct listing *l)
{
	bool known = false;

	text_make_printable(n->g.name, false); /* anybody may call a guest anything */
	if (is_shut_down(n)) {
		qemu_args_basics(&n->basics, n->g.line.expanded, n->g.line.expanded_count);
		return;
	}
	for (size_t i = 0; i < l->moving_count; i++)
		known |= l->moving[i] == n->g.pid;
	n->moving = known && control_is_served(l->runtime, n->g.pid);
	if (known && !n->moving)
		because(n, xstrdup("an earlier move of the guest was cut off"), xasprintf("vmferry recover %d", (int)n->g.pid));
	if (n->moving)
		because(n, xstrdup("the guest is being moved"), xasprintf("vmferry status %d", (int)n->g.pid));
	check_owner(n);
	check_user(n);
	if (n->g.foreign) {
		n->monitor = MONITOR_FOREIGN;
		return;
	}
	qemu_args_basics(&n->basics, n->g.line.expanded, n->g.line.expanded_count);
	/* another program lives on that monitor, and would notice */
	n->arriving = !n->moving && guest_is_arriving(&n->g);
	if (is_stopped(n))
		stands(n);
	else if (n->arriving)
		arrives(n);
	else if (!n->moving && !n->g.owner_hint)
		ask(n, l->loop);
	else if (n->g.qmp.path)
		n->monitor = MONITOR_BUSY;
	if (!entry_is_unknown(n))
		check_line(n); /* the disks say what may stay on the line as it is */
}

static void entry_fini(struct entry *n)
{
	guest_fini(&n->g);
	free(n->hmp);
	args_result_fini(&n->line);
	for (size_t i = 0; i < n->reason_count; i++) {
		free(n->reasons[i].why);
		free(n->reasons[i].advice);
	}
}

/* ---- */

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int r = strcmp(x->g.name, y->g.name);

	return r ? r : x->g.pid < y->g.pid ? -1 : x->g.pid > y->g.pid;
}

static bool is_called(const struct guest *g, const char *name_or_pid)
{
	AUTO_FREE char *pid = xasprintf("%d", (int)g->pid);

	return !strcmp(name_or_pid, g->name) || (g->pid && !strcmp(name_or_pid, pid));
}

static bool is_wanted(const struct guest *g, const struct listing *l)
{
	for (size_t i = 0; i < l->wanted_count; i++)
		if (is_called(g, l->wanted[i]))
			return true;
	return !l->wanted_count;
}

static void add_other(struct listing *l, const struct guest *g)
{
	AUTO_FREE char *name = text_shown(g->name);
	AUTO_FREE char *before = l->others;

	l->others = g->pid ? xasprintf("%s%s%s (pid %d)", before ?: "", before ? ", " : "", name, (int)g->pid)
			   : xasprintf("%s%s%s (shut down)", before ?: "", before ? ", " : "", name);
}

static int nobody_is_called(const char *name, const struct listing *l, struct err *e)
{
	AUTO_FREE char *gone = whereabouts_gone(NULL, name);
	AUTO_FREE char *host = gone ? xstrdup("") : xasprintf(" (if %s is a host: vmferry list root@%s)", name, name);

	return err_set(e, ENOENT, "no guest %s runs here%s%s%s%s%s", name, gone ? "; " : "", gone ?: "", l->others ? "; guests here: " : "",
		       l->others ?: "", host);
}

/* Checks that all guests that were asked for are among those found. *absent: a guest that certainly does not run here. */
static int all_found(const struct listing *l, const struct entry *entries, size_t count, bool cut_off, const char **absent, struct err *e)
{
	size_t i, k;

	for (i = 0; i < l->wanted_count; i++) {
		for (k = 0; k < count && !is_called(&entries[k].g, l->wanted[i]); k++)
			;
		if (k == count && cut_off)
			return err_set(
				e, E2BIG,
				"cannot tell whether guest %s runs here: other users have so many processes called QEMU that vmferry did "
				"not look at them all",
				l->wanted[i]);
		if (k < count)
			continue;
		*absent = l->wanted[i];
		return nobody_is_called(l->wanted[i], l, e);
	}
	return 0;
}

/* Takes those that are wanted to the entries, and frees the list. whys: why each cannot be moved, or NULL; freed, too. */
static void take_guests(struct entry *entries, size_t *count, struct guest *guests, size_t n, char **whys, struct listing *l)
{
	for (size_t i = 0; i < n; i++) {
		char *why = whys ? whys[i] : NULL;

		if (!is_wanted(&guests[i], l)) {
			add_other(l, &guests[i]);
			guest_fini(&guests[i]);
			free(why);
			continue;
		}
		entries[*count].g = guests[i];
		if (why)
			because(&entries[*count], why, NULL);
		++*count;
	}
	free(guests);
	free(whys);
}

/* The entries are sorted by name. */
static void note_doubles(struct entry *entries, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (!strcmp(entries[i - 1].g.name, entries[i].g.name))
			entries[i - 1].is_double = entries[i].is_double = true;
}

static int list_guests(struct listing *l, enum list_layout layout, struct err *e)
{
	struct guest *guests, *defined;
	AUTO_FREE struct entry *entries = NULL;
	size_t running, at_rest, count = 0, i;
	const char *absent = NULL;
	char **whys;
	bool cut_off;
	int r = guest_list(&guests, &running, &cut_off, e);

	if (r < 0)
		return r;
	if (libvirt_list(&defined, &whys, &at_rest, e))
		fprintf(stderr, "vmferry: libvirt's guests that are shut down are not shown: %s\n", e->msg);
	entries = xcalloc(running + at_rest + 1, sizeof(*entries));
	take_guests(entries, &count, guests, running, NULL, l);
	take_guests(entries, &count, defined, at_rest, whys, l);
	qsort(entries, count, sizeof(*entries), compare);
	note_doubles(entries, count);
	for (i = 0; i < count; i++)
		examine(&entries[i], l);
	r = all_found(l, entries, count, cut_off, &absent, e);
	if (layout == LAYOUT_JSON)
		list_print_json(entries, count, absent);
	else if (count || !r)
		list_print_text(entries, count, layout == LAYOUT_DETAILS);
	if (layout == LAYOUT_TABLE && l->runtime)
		again_tell_cut_off(stdout, l->runtime);
	if (cut_off)
		fprintf(stderr, "vmferry: more than %d processes of other users call themselves QEMU: not all of those are shown\n",
			GUESTS_FOREIGN_MAX);
	for (i = 0; i < count; i++)
		entry_fini(&entries[i]);
	return r;
}

static const char before[] =
	"usage: vmferry list [-v] [--json] [VM…]\n"
	"       vmferry list USER@HOST [--json] [options]\n"
	"\n"
	"Lists the QEMU guests that run here, one line each, and whether vmferry can move them, or why not. VM (a name or a "
	"pid) shows all about that guest: its disks, and each reason why it cannot be moved, with what to do. Of another "
	"host, reached by SSH, it says what runs there, and what memory, processors, room and bridges there are. Nothing is changed.\n"
	"\n";

struct list_command {
	bool verbose, json;
	struct dest_config dest; /* another host, whose guests are listed */
};

static const struct command_option rows[] = {
	{"verbose", NULL, "all about every guest", OPT_FLAG, .offset = offsetof(struct list_command, verbose), .letter = 'v'},
	{"json", NULL, "one JSON object; docs/report.md says what is in it", OPT_FLAG, .offset = offsetof(struct list_command, json)},
	{.name = NULL},
};

int cmd_list(int argc, char **argv)
{
	static const struct option_table tables[] = {{rows, 0}, {dest_login_rows, offsetof(struct list_command, dest)}, {NULL, 0}};
	static const struct command_usage usage = {"vmferry list", before, .tables = tables};
	struct list_command c = {.json = false};
	struct listing l = {.loop = NULL};
	enum list_layout layout;
	struct err e;
	int first, r = command_take(&usage, argc, argv, &c, &first);

	if (r)
		return MAX(r, 0);
	if (argc - first == 1 && list_is_host(argv[first])) {
		c.dest.where = argv[first];
		log_init("src", LOG_LEVEL_ERROR, 2);
		return list_host(&c.dest, c.json);
	}
	l.wanted = argv + first;
	l.wanted_count = (size_t)(argc - first);
	layout = c.json ? LAYOUT_JSON : c.verbose || l.wanted_count ? LAYOUT_DETAILS : LAYOUT_TABLE;
	signal(SIGPIPE, SIG_IGN);
	r = loop_new(&l.loop, 64, &e);
	if (!r && !runtime_dir_get(&l.runtime, NULL, &e))
		l.moving_count = control_list(l.runtime, &l.moving);
	r = r ?: list_guests(&l, layout, &e);
	FREE_ALL(l.runtime, l.moving, l.others);
	if (l.loop)
		loop_free(l.loop);
	if (r)
		fprintf(stderr, "vmferry: %s\n", e.msg);
	return r ? EXIT_SOURCE : 0;
}
