/*
 * cmd-list.c: vmferry list: the guests that run here, and whether each can be moved.
 *
 * Harmless and quick: the guests are asked one after the other with short deadlines, nothing is changed, and a monitor that
 * somebody else holds is said so and not waited for. What QEMU cannot be asked comes from its command line.
 */
#include "attach.h"
#include "cmd.h"
#include "command-options.h"
#include "control.h"
#include "error-stop.h"
#include "json-text.h"
#include "lent-monitor.h"
#include "paths.h"
#include "qemu-discover.h"
#include "qmp-advice.h"
#include "shell-quote.h"
#include "text-code.h"
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define OPEN_MS	 500  /* for a monitor to greet us */
#define QUERY_MS 1000 /* for an answer */

enum monitor {
	MONITOR_NONE,
	MONITOR_BUSY,
	MONITOR_SILENT,
	MONITOR_ANSWERED,
	MONITOR_FOREIGN, /* another user's: not even looked for */
	MONITOR_HMP,	 /* its human monitor makes one when that is needed */
};

static const char *const monitor_names[] = {"none", "busy", "silent", "answered", "foreign", "hmp"};

#define REASONS_MAX 16

struct reason {
	char *why;
	char *advice; /* what to do about it; may be NULL */
};

struct entry {
	struct guest g;
	struct args_result line; /* empty if it cannot be rewritten */
	struct args_basics basics;
	enum monitor monitor;
	char *hmp; /* that one's place */
	bool moving, arriving;
	struct reason reasons[REASONS_MAX]; /* why it cannot be moved */
	size_t reason_count;
};

struct listing {
	struct loop *loop;
	pid_t *moving; /* QEMUs that a vmferry is moving */
	size_t moving_count;
	char **wanted; /* names and pids; none: all guests */
	size_t wanted_count;
};

/* Both strings are n's from here. */
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
	size_t i;

	for (i = 1; i + 1 < g->line.argc; i++)
		if (!strcmp(g->line.argv[i], "-id"))
			return g->line.argv[i + 1];
	return NULL;
}

static void check_owner(struct entry *n)
{
	const char *id = proxmox_id(&n->g);

	if (!n->g.owner_hint)
		return;
	if (!strcmp(n->g.owner_hint, "libvirt"))
		because(n, xstrdup("it belongs to libvirt, which would lose track of it"),
			xasprintf("virsh migrate --live --copy-storage-all --verbose %s qemu+ssh://HOST/system", n->g.name));
	else
		because(n, xstrdup("it belongs to Proxmox VE, which would lose track of it"),
			xasprintf("qm remote-migrate %s … --online (to another cluster) or qm migrate %s NODE --online "
				  "--with-local-disks",
				  id ? id : "VMID", id ? id : "VMID"));
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
		because(n, xasprintf("QEMU cannot migrate it: %s", reason), xstrdup("it can be shut down for its move: --how warm"));
	else if (status &&
		 (!strcmp(status, "active") || !strcmp(status, "setup") || !strcmp(status, "pre-switchover") || !strcmp(status, "device")))
		because(n, xstrdup("a migration of it is under way already"), NULL);
	json_decref(info);
}

static void check_answers(struct entry *n, struct qmp *q)
{
	struct err e;
	size_t i;

	if (!run_state_moves(n->g.status))
		because(n, xasprintf("it is in state '%s'; a guest can be moved that runs, or would go on by cont", n->g.status), NULL);
	for (i = 0; i < n->g.disk_count; i++)
		if (guest_disk_movable(&n->g.disks[i], 0, &e))
			because(n, xstrdup(e.msg), NULL);
	if (guest_check_drift(&n->g, q, NULL, &e) == -ENOTSUP)
		because(n, xstrdup(e.msg), NULL);
}

/* No QMP monitor of it can be used. said: why, malloc'ed, and stolen. */
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
		attach_is_possible(&n->g, &e)
			? xasprintf("restart it, with: %s (%s)", options, e.msg)
			: xasprintf("give it one while it runs: vmferry attach %d; or restart it, with: %s", (int)n->g.pid, options));
}

static void ask(struct entry *n, struct loop *loop)
{
	struct qmp *q = NULL;
	struct err e;
	int r;

	if (!n->g.qmp.path) {
		look_for_another_way(n, xstrdup("it has no QMP monitor that vmferry can reach"));
		return;
	}
	n->monitor = MONITOR_SILENT;
	r = guest_open_qmp(&n->g, &q, loop, OPEN_MS, NULL, NULL, &e);
	n->arriving = r && guest_is_arriving(&n->g);
	if (n->arriving) { /* its monitors are the agent's until it is here */
		n->monitor = MONITOR_BUSY;
		because(n, xstrdup("it is arriving: vmferry moves it here"), xstrdup("once it is here it can be moved on"));
		return;
	}
	if (r == -EBUSY) {
		n->monitor = MONITOR_BUSY;
		look_for_another_way(n, xasprintf("its monitor %s is occupied: another program holds it, or QEMU itself hangs",
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

static void examine(struct entry *n, const struct listing *l)
{
	size_t i;

	text_make_printable(n->g.name, false); /* anybody may call a guest anything */
	for (i = 0; i < l->moving_count; i++)
		n->moving |= l->moving[i] == n->g.pid;
	if (n->moving)
		because(n, xstrdup("it is being moved"), xasprintf("vmferry status %d", (int)n->g.pid));
	check_owner(n);
	check_user(n);
	if (n->g.foreign) {
		n->monitor = MONITOR_FOREIGN;
		return;
	}
	qemu_args_basics(&n->basics, n->g.line.expanded, n->g.line.expanded_count);
	/* another program lives on that monitor, and would notice */
	if (!n->moving && !n->g.owner_hint)
		ask(n, l->loop);
	else if (n->g.qmp.path)
		n->monitor = MONITOR_BUSY;
	check_line(n); /* of which its disks say what may stay as it is */
}

static void entry_fini(struct entry *n)
{
	size_t i;

	guest_fini(&n->g);
	free(n->hmp);
	args_result_fini(&n->line);
	for (i = 0; i < n->reason_count; i++) {
		free(n->reasons[i].why);
		free(n->reasons[i].advice);
	}
}

/* ---- what is known of one, from QEMU or from its line ---- */

static bool answered(const struct entry *n)
{
	return n->monitor == MONITOR_ANSWERED;
}

static const char *accel_of(const struct entry *n)
{
	return answered(n) ? n->g.accel : n->basics.kvm ? "kvm" : "tcg";
}

static uint64_t ram_of(const struct entry *n)
{
	return answered(n) ? n->g.ram_bytes : n->basics.ram_bytes;
}

static unsigned vcpus_of(const struct entry *n)
{
	return answered(n) ? n->g.vcpus : n->basics.vcpus;
}

/* "libvirt", "proxmox", "systemd" or "plain". */
static const char *owner_of(const struct guest *g)
{
	return g->owner_hint ? g->owner_hint : g->unit.name ? "systemd" : "plain";
}

/* ---- JSON ---- */

static json_t *disks_json(const struct entry *n)
{
	json_t *out = json_array();
	size_t i;

	for (i = 0; i < n->g.disk_count; i++) {
		const struct guest_disk *d = &n->g.disks[i];

		if (!d->removable_empty)
			json_array_append_new(out,
					      json_pack("{s:s*,s:s*,s:s*,s:I,s:I,s:b}", "path", d->real_path ?: d->file ?: d->network,
							"node", d->node, "format", d->format, "virtual_size", (json_int_t)d->virtual_size,
							"allocated", (json_int_t)d->allocated, "read_only", d->read_only));
	}
	for (i = 0; !answered(n) && i < n->line.file_count; i++)
		if (args_file_is_disk(&n->line.files[i]))
			json_array_append_new(out, json_pack("{s:s}", "path", n->line.files[i].path));
	return out;
}

static json_t *nics_json(const struct entry *n)
{
	json_t *out = json_array();
	size_t i;

	for (i = 0; i < n->line.nic_count; i++) {
		const struct args_nic *c = &n->line.nics[i];

		json_array_append_new(out, json_pack("{s:s*,s:s*,s:s*,s:s*,s:s*,s:s*}", "netdev", c->netdev, "device", c->device, "model",
						     c->model, "mac", c->mac, "type", c->type, "attach", c->attach));
	}
	return out;
}

static json_t *reasons_json(const struct entry *n)
{
	json_t *out = json_array();
	size_t i;

	for (i = 0; i < n->reason_count; i++)
		json_array_append_new(out, json_pack("{s:s,s:s*}", "text", n->reasons[i].why, "advice", n->reasons[i].advice));
	return out;
}

static json_t *entry_json(const struct entry *n)
{
	const struct guest *g = &n->g;
	json_t *o = json_pack("{s:s,s:i,s:b,s:s,s:s,s:o}", "name", g->name, "pid", (int)g->pid, "movable", !n->reason_count, "owner",
			      owner_of(g), "monitor", monitor_names[n->monitor], "disks", disks_json(n));

	if (n->arriving)
		json_object_set_new(o, "arriving", json_true());
	if (!g->foreign) {
		json_object_set_new(o, "ram_bytes", json_integer((json_int_t)ram_of(n)));
		json_object_set_new(o, "vcpus", json_integer((json_int_t)vcpus_of(n)));
		json_object_set_new(o, "accel", json_string(accel_of(n)));
	}
	if (g->unit.name) {
		json_object_set_new(o, "unit", json_string(g->unit.name));
		json_object_set_new(o, "unit_is_user", json_boolean(g->unit.is_user));
	}
	if (g->qmp.path)
		json_object_set_new(o, "qmp", json_string(g->qmp.path));
	if (n->hmp)
		json_object_set_new(o, "hmp", json_string(n->hmp));
	json_object_set_new(o, "nics", nics_json(n));
	json_object_set_new(o, "reasons", reasons_json(n));
	if (!answered(n))
		return o;
	json_object_set_new(o, "status", json_string(g->status));
	json_object_set_new(o, "machine", json_string(g->machine));
	json_object_set_new(o, "qemu_version", json_sprintf("%d.%d.%d", g->version.major, g->version.minor, g->version.micro));
	if (g->cpu_model)
		json_object_set_new(o, "cpu_model", json_string(g->cpu_model));
	return o;
}

static void print_json(const struct entry *entries, size_t count)
{
	json_t *list = json_array(), *all = json_pack("{s:o}", "guests", list);
	size_t i;

	for (i = 0; i < count; i++)
		json_array_append_new(list, entry_json(&entries[i]));
	json_text_print(all);
	json_decref(all);
}

/* ---- text ---- */

static void print_disks(const struct entry *n)
{
	char size[24];
	size_t i;

	for (i = 0; i < n->g.disk_count; i++) {
		const struct guest_disk *d = &n->g.disks[i];
		AUTO_FREE char *path = text_shown(d->real_path ?: d->file ?: d->network ?: d->node);

		if (!d->removable_empty)
			printf("  disk     %s (%s, %s%s)\n", path, d->format ? d->format : "?", format_bytes(size, d->virtual_size),
			       d->read_only ? ", read-only" : "");
	}
	for (i = 0; !answered(n) && i < n->line.file_count; i++)
		if (args_file_is_disk(&n->line.files[i])) {
			AUTO_FREE char *path = text_shown(n->line.files[i].path);

			printf("  disk     %s\n", path);
		}
}

static void print_owner(const struct guest *g)
{
	AUTO_FREE char *unit = text_shown(g->unit.name);

	if (g->owner_hint)
		printf("  owner    %s\n", strcmp(g->owner_hint, "libvirt") ? "Proxmox VE" : "libvirt");
	else if (g->unit.name)
		printf("  owner    systemd unit %s%s\n", unit, g->unit.is_user ? " (of a user)" : "");
}

/* By which way it is asked. */
static void print_monitor(const struct entry *n)
{
	AUTO_FREE char *path = text_shown(n->hmp ?: n->g.qmp.path);
	bool attached = n->g.qmp.path && guest_is_attached_path(&n->g, n->g.qmp.path);

	if (n->hmp)
		printf("  monitor  QMP that its human monitor makes while vmferry needs it: %s\n", path);
	else if (answered(n))
		printf("  monitor  QMP, %s%s\n", path,
		       attached ? " (made by vmferry; in QEMU 11.1 and later vmferry attach --detach removes it)" : "");
}

static void print_entry(const struct entry *n)
{
	const struct guest *g = &n->g;
	AUTO_FREE char *machine = text_shown(g->machine);
	AUTO_FREE char *status = text_shown(g->status);
	AUTO_FREE char *quoted = shell_quote_shown(g->name);
	char ram[24];
	size_t i;

	printf("%s (pid %d)", g->name, (int)g->pid);
	if (!g->foreign)
		printf(": %s of memory, %u vCPU%s, %s", format_bytes(ram, ram_of(n)), vcpus_of(n), vcpus_of(n) == 1 ? "" : "s",
		       accel_of(n));
	if (answered(n))
		printf(", %s, QEMU %d.%d.%d, %s", machine, g->version.major, g->version.minor, g->version.micro, status);
	putchar('\n');
	print_owner(g);
	print_disks(n);
	print_monitor(n);
	if (!n->reason_count)
		printf("  movable  vmferry migrate %s HOST\n", quoted);
	for (i = 0; i < n->reason_count; i++) {
		AUTO_FREE char *why = text_shown(n->reasons[i].why);
		AUTO_FREE char *advice = text_shown(n->reasons[i].advice);

		printf("  cannot be moved: %s\n", why);
		if (n->reasons[i].advice)
			printf("           %s\n", advice);
	}
}

/* ---- table: a line a guest ---- */

enum column { COLUMN_NAME, COLUMN_PID, COLUMN_STATE, COLUMN_MEMORY, COLUMN_CPUS, COLUMN_DISKS, COLUMN_STARTED_BY, COLUMN_MOVE, COLUMNS };

struct row {
	char *cells[COLUMNS];
};

static char *state_cell(const struct entry *n)
{
	return n->moving ? xstrdup("moving") : n->arriving ? xstrdup("arriving") : answered(n) ? text_shown(n->g.status) : xstrdup("?");
}

static char *memory_cell(const struct entry *n)
{
	char size[24];

	return xstrdup(n->g.foreign ? "?" : format_bytes(size, ram_of(n)));
}

static char *disks_cell(const struct entry *n)
{
	uint64_t bytes = 0;
	size_t count = 0, i;
	char size[24];

	for (i = 0; i < n->g.disk_count; i++)
		if (!n->g.disks[i].removable_empty) {
			bytes += n->g.disks[i].virtual_size;
			count++;
		}
	for (i = 0; !answered(n) && i < n->line.file_count; i++)
		count += args_file_is_disk(&n->line.files[i]);
	return n->g.foreign ? xstrdup("?") : bytes ? xasprintf("%zu (%s)", count, format_bytes(size, bytes)) : xasprintf("%zu", count);
}

static char *started_by_cell(const struct guest *g)
{
	return g->owner_hint  ? xstrdup(strcmp(g->owner_hint, "libvirt") ? "Proxmox VE" : "libvirt")
	       : g->unit.name ? text_shown(g->unit.name)
			      : xstrdup("by hand");
}

static struct row row_of(const struct entry *n)
{
	return (struct row){{[COLUMN_NAME] = xstrdup(n->g.name),
			     [COLUMN_PID] = xasprintf("%d", (int)n->g.pid),
			     [COLUMN_STATE] = state_cell(n),
			     [COLUMN_MEMORY] = memory_cell(n),
			     [COLUMN_CPUS] = n->g.foreign ? xstrdup("?") : xasprintf("%u", vcpus_of(n)),
			     [COLUMN_DISKS] = disks_cell(n),
			     [COLUMN_STARTED_BY] = started_by_cell(&n->g),
			     [COLUMN_MOVE] = xstrdup(n->reason_count ? "no" : "yes")}};
}

static void print_row(const struct row *row, const size_t *widths)
{
	size_t i;

	for (i = 0; i < COLUMN_MOVE; i++)
		printf("%s%*s", row->cells[i], (int)(widths[i] - text_columns(row->cells[i]) + 2), "");
	puts(row->cells[COLUMN_MOVE]);
}

static void print_rows(struct row *rows, size_t count)
{
	size_t widths[COLUMNS] = {0}, i, k;

	for (i = 0; i < count; i++)
		for (k = 0; k < COLUMNS; k++)
			widths[k] = MAX(widths[k], text_columns(rows[i].cells[k]));
	for (i = 0; i < count; i++)
		print_row(&rows[i], widths);
}

static void print_why_not(const struct entry *n)
{
	AUTO_FREE char *why = text_shown(n->reasons[0].why);

	printf("%s (pid %d) cannot be moved: %s", n->g.name, (int)n->g.pid, why);
	if (n->reason_count > 1)
		printf(" (and %zu more)", n->reason_count - 1);
	putchar('\n');
}

static void print_table(const struct entry *entries, size_t count)
{
	struct row *rows = xcalloc(count + 1, sizeof(*rows));
	size_t i, k;

	rows[0] = (struct row){{xstrdup("NAME"), xstrdup("PID"), xstrdup("STATE"), xstrdup("MEMORY"), xstrdup("CPUS"), xstrdup("DISKS"),
				xstrdup("STARTED BY"), xstrdup("MOVE")}};
	for (i = 0; i < count; i++)
		rows[i + 1] = row_of(&entries[i]);
	print_rows(rows, count + 1);
	for (i = 0; i < count; i++)
		if (entries[i].reason_count)
			print_why_not(&entries[i]);
	for (i = 0; i <= count; i++)
		for (k = 0; k < COLUMNS; k++)
			free(rows[i].cells[k]);
	free(rows);
}

static void print_text(const struct entry *entries, size_t count, bool all_details)
{
	size_t i;

	if (!count)
		puts("no QEMU guest that this user may look at runs here");
	else if (!all_details)
		print_table(entries, count);
	for (i = 0; all_details && i < count; i++)
		print_entry(&entries[i]);
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

	return !strcmp(name_or_pid, g->name) || !strcmp(name_or_pid, pid);
}

static bool is_wanted(const struct guest *g, const struct listing *l)
{
	size_t i;

	for (i = 0; i < l->wanted_count; i++)
		if (is_called(g, l->wanted[i]))
			return true;
	return !l->wanted_count;
}

/* All that were asked for are among those found. */
static int all_found(const struct listing *l, const struct entry *entries, size_t count, struct err *e)
{
	size_t i, k;

	for (i = 0; i < l->wanted_count; i++) {
		for (k = 0; k < count && !is_called(&entries[k].g, l->wanted[i]); k++)
			;
		if (k == count)
			return err_set(e, ENOENT, "no guest %s runs here", l->wanted[i]);
	}
	return 0;
}

enum layout { LAYOUT_TABLE, LAYOUT_DETAILS, LAYOUT_JSON };

static int list_guests(struct listing *l, enum layout layout, struct err *e)
{
	struct guest *guests;
	struct entry *entries;
	size_t all, count = 0, i;
	bool cut_off;
	int r = guest_list(&guests, &all, &cut_off, e);

	if (r < 0)
		return r;
	entries = xcalloc(all + 1, sizeof(*entries));
	for (i = 0; i < all; i++) {
		if (is_wanted(&guests[i], l))
			entries[count++].g = guests[i];
		else
			guest_fini(&guests[i]);
	}
	free(guests);
	qsort(entries, count, sizeof(*entries), compare);
	for (i = 0; i < count; i++)
		examine(&entries[i], l);
	r = all_found(l, entries, count, e);
	if ((count || !r) && layout == LAYOUT_JSON)
		print_json(entries, count);
	else if (count || !r)
		print_text(entries, count, layout == LAYOUT_DETAILS);
	if (cut_off)
		fprintf(stderr, "vmferry: more than %d processes of other users call themselves QEMU: not all of those are shown\n",
			GUESTS_FOREIGN_MAX);
	for (i = 0; i < count; i++)
		entry_fini(&entries[i]);
	free(entries);
	return r;
}

static const char before[] =
	"usage: vmferry list [-v] [--json] [VM…]\n"
	"\n"
	"Lists the QEMU guests that run here, one line each, and whether vmferry can move them, or why not. VM (a name or a\n"
	"pid) shows all about that guest: its disks, and each reason why it cannot be moved, with what to do. Nothing is\n"
	"changed.\n"
	"\n";

struct list_command {
	bool verbose, json;
};

static const struct command_option rows[] = {
	{"verbose", NULL, "all about every guest", OPT_FLAG, .offset = offsetof(struct list_command, verbose), .letter = 'v'},
	{"json", NULL, "one JSON object; docs/report.md says what is in it", OPT_FLAG, .offset = offsetof(struct list_command, json)},
	{.name = NULL},
};

int cmd_list(int argc, char **argv)
{
	static const struct option_table tables[] = {{rows, 0}, {NULL, 0}};
	static const struct command_usage usage = {"vmferry list", before, .tables = tables};
	struct list_command c = {.json = false};
	AUTO_FREE char *runtime = NULL;
	struct listing l = {.loop = NULL};
	enum layout layout;
	struct err e;
	int first, r = command_take(&usage, argc, argv, &c, &first);

	if (r)
		return MAX(r, 0);
	l.wanted = argv + first;
	l.wanted_count = (size_t)(argc - first);
	layout = c.json ? LAYOUT_JSON : c.verbose || l.wanted_count ? LAYOUT_DETAILS : LAYOUT_TABLE;
	signal(SIGPIPE, SIG_IGN);
	r = loop_new(&l.loop, 64, &e);
	if (!r && !runtime_dir_get(&runtime, NULL, &e))
		l.moving_count = control_list(runtime, &l.moving);
	if (!r)
		r = list_guests(&l, layout, &e);
	free(l.moving);
	if (l.loop)
		loop_free(l.loop);
	if (r)
		fprintf(stderr, "vmferry: %s\n", e.msg);
	return r ? EXIT_SOURCE : 0;
}
