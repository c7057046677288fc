/* autostart.c: see autostart.h. */
#include "autostart.h"
#include "durable-file.h"
#include "guest-at-rest.h"
#include "log.h"
#include "process.h"
#include "script-read.h"
#include "shell-quote.h"
#include "start-tables.h"
#include "started-by.h"
#include "systemd.h"
#include "unit-of-disks.h"
#include "unit-text.h"
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Drop-ins apply in the order of their names. */
#define DROP_IN "zz-vmferry.conf"

static const char drop_in[] =
	"# vmferry: the guest of this unit is being moved to another host, or was. While this file is here the unit does not\n"
	"# start it: the disks here are old.\n"
	"[Unit]\n"
	"ConditionPathExists=!/\n"
	"\n"
	"[Service]\n"
	"Restart=no\n"
	"SuccessExitStatus=SIGKILL\n";

/* Words of a drop-in that drop the unit's stop command once the guest is the destination's, as that command would shut it down there.
 * Before that it is how this host shuts the guest down. */
static const char no_stop[] = "ExecStop=\n";

/* ---- looking ---- */

enum relation { MAIN, WRAPPED, APART };

/* The pid of the guest's QEMU; 0: there is none. */
static pid_t process_of(const struct guest *g)
{
	return g->pid ? g->pid : g->ran_as;
}

/* MAIN: the service is this QEMU. WRAPPED: a script of the service's runs it. APART: it was started in a session of its own
 * by something that lives in the service, or beside other programs of a supervisor's. */
static enum relation relation_to(const struct guest *g, pid_t main_pid)
{
	pid_t qemu = process_of(g);

	if (!main_pid || !qemu || main_pid == qemu)
		return MAIN;
	return getsid(main_pid) == getsid(qemu) && !started_beside_others(qemu, main_pid) ? WRAPPED : APART;
}

static bool same_file_name(const char *name, const char *full, const char *real)
{
	return name && (!strcmp(name, full) || (real && !strcmp(name, real)));
}

static bool is_in_its_unit(pid_t pid, const void *ctx)
{
	const struct guest *g = ctx;
	struct guest_unit u;
	bool yes;

	guest_unit_of(&u, pid);
	yes = pid != process_of(g) && u.name && !strcmp(u.name, g->unit.name) && u.is_user == g->unit.is_user && u.uid == g->unit.uid;
	free(u.name);
	return yes;
}

/* 1: another guest, whoever's, runs in the unit of this one; 0: none; -errno: that cannot be told. */
static int another_guest_in(const struct guest *g, struct err *e)
{
	AUTO_FREE struct guest *list = NULL;
	size_t n, i;
	int r = guest_list_of(&list, &n, is_in_its_unit, g, e);

	for (i = 0; i < n; i++)
		guest_fini(&list[i]);
	return r ? r : n > 0;
}

/* The one that --install-unit made, when the guest was moved to this host. */
static char *unit_of_ours(const struct guest *g, bool user)
{
	AUTO_FREE char *plain = unit_plain_name(g->name);
	AUTO_FREE char *dir = systemd_unit_dir(user, false);
	AUTO_FREE char *file = xasprintf("%s/vmferry-%s.service", dir, plain);
	struct stat st;

	return lstat(file, &st) ? NULL : xasprintf("vmferry-%s.service", plain);
}

/* True if the file is an image that the guest has now, a base of one, or one that it had when it was started. A script's paths are from
 * the root on (cd /). */
static bool is_image_of(const struct guest *g, const struct args_result *line, const char *path)
{
	AUTO_FREE char *full = *path == '/' ? xstrdup(path) : xasprintf("/%s", path);
	AUTO_FREE char *real = realpath(full, NULL);
	size_t i, k;

	for (i = 0; i < line->file_count; i++)
		if (args_file_is_disk(&line->files[i]) && same_file_name(line->files[i].path, full, real))
			return true;
	for (i = 0; i < g->disk_count; i++) {
		const struct guest_disk *d = &g->disks[i];

		if (same_file_name(d->real_path, full, real))
			return true;
		for (k = 0; k < d->chain_count; k++)
			if (same_file_name(d->chain[k].real_path, full, real))
				return true;
	}
	return false;
}

/* True if the script starts a guest with writable disks, none of which is this guest's. A disk behind a network is refused when the
 * script is read. */
static bool has_disks_of_its_own(const struct guest *script, const struct guest *g, const struct args_result *line)
{
	struct args_result its;
	struct err e;
	bool any = false, shared = false;

	if (guest_read_line(script, true, &its, &e))
		return false;
	for (size_t i = 0; i < its.file_count; i++) {
		if (!args_file_is_disk(&its.files[i]))
			continue;
		any = true;
		shared |= is_image_of(g, line, its.files[i].path);
	}
	args_result_fini(&its);
	return any && !shared;
}

/* True if the unit runs a script that starts a guest from other disks. In doubt the guest counts as this one. */
static bool starts_another(const struct guest *g, const char *unit, bool user)
{
	struct args_result line;
	struct guest script = {.pid = 0};
	AUTO_FREE char *path = NULL;
	struct err e;
	bool yes = false;

	if (guest_read_line(g, true, &line, &e))
		return false;
	if (!unit_script(unit, user, &path, &e) && !script_read(path, &script, &e)) {
		yes = has_disks_of_its_own(&script, g, &line);
		guest_fini(&script);
	}
	args_result_fini(&line);
	return yes;
}

static bool may_change(const struct autostart *a, struct err *e)
{
	AUTO_FREE char *now = systemd_unit_dir(a->user, true);
	AUTO_FREE char *later = systemd_unit_dir(a->user, false);

	if (!a->user && geteuid() != 0)
		err_set(e, EPERM, "only root may change it: run vmferry as root");
	else if (!dir_is_writable(now))
		err_set(e, EPERM, "%s cannot be written", now);
	else if (!dir_is_writable(later))
		err_set(e, EPERM, "%s cannot be written", later);
	else
		return true;
	return false;
}

static int refuse(const struct autostart *a, const char *why, struct err *e)
{
	return err_set(e, EPERM, "%s the unit %s, which might start it again here (Restart=%s), and %s",
		       a->active ? "the guest runs in" : "the guest was started here by", a->unit, a->restart, why);
}

/* The unit is left as it is, with a note for the plan. */
static int leave(struct autostart *a, char *note /* stolen */)
{
	a->left = a->unit;
	a->unit = NULL;
	a->note = note;
	return 0;
}

static int decide(struct autostart *a, const struct guest *g, enum relation relation, const char *state, bool keep, struct err *e)
{
	bool restarts = unit_restarts(a->restart), may = restarts || unit_is_wanted(state);
	struct err why;
	int r;

	if (keep && relation != APART && a->active && restarts)
		return refuse(a, "it would do so as soon as its QEMU ends: --unit keep is not possible", e);
	if (keep)
		return leave(a, xasprintf("unit %s is left as it is: see to it that it does not start the guest here again", a->unit));
	if (relation == APART && may)
		return refuse(a, "it runs other programs, too; if it is not what starts the guest, say so with --unit keep", e);
	if (relation == APART)
		return leave(a, xasprintf("unit %s, in which it runs, starts nothing by itself and is left as it is", a->unit));
	if (!may_change(a, &why)) {
		if (may || relation == WRAPPED)
			return refuse(a, why.msg, e);
		return leave(a, xasprintf("unit %s ends with the guest; nothing starts it by itself", a->unit));
	}
	r = a->active ? another_guest_in(g, e) : 0;
	if (r < 0)
		return err_prefix(e, "cannot tell whether the unit %s runs other guests, too", a->unit);
	if (r)
		return refuse(a, "it runs other guests, too; if it is not what starts this one, say so with --unit keep", e);
	a->wrapped = relation == WRAPPED;
	a->guest_pid = process_of(g);
	a->enabled = text_starts_with(state, "enabled");
	a->note = xasprintf("unit %s will be stopped and disabled here", a->unit);
	return 0;
}

/* The unit, if there is one, its name and its systemd. */
static void find_unit_of(struct autostart *a, const struct guest *g)
{
	a->active = g->unit.name && !unit_is_generic(g->unit.name);
	a->user = a->active ? g->unit.is_user : geteuid() != 0;
	a->unit = a->active ? xstrdup(g->unit.name) : unit_of_ours(g, a->user) ?: unit_of_disks(g, a->user, NULL);
	a->restart = xstrdup("?");
}

static int show(const struct autostart *a, const char *unit, const char *properties, char **out, struct err *e)
{
	const char *words[] = {"show", "-p", properties, "--", unit, NULL};

	return systemctl(a->user, words, out, e);
}

/* ActiveState of another unit than the one that is dealt with. A unit that systemd does not answer for counts as one that changes. */
static bool is_changing(const struct autostart *a, const char *unit)
{
	AUTO_FREE char *shown = NULL, *state = NULL;
	struct err ignored;

	if (show(a, unit, "ActiveState", &shown, &ignored))
		return true;
	state = unit_property(shown, "ActiveState");
	return unit_is_changing(state);
}

static int examine_unit(struct autostart *a, const struct guest *g, bool keep, struct err *e)
{
	AUTO_FREE char *shown = NULL;
	AUTO_FREE char *load = NULL;
	AUTO_FREE char *active = NULL;
	AUTO_FREE char *state = NULL;
	AUTO_FREE char *pid = NULL;

	if (!systemd_runs()) /* a unit is one of a container's host then, and none of ours */
		return 0;
	find_unit_of(a, g);
	if (!a->unit)
		return 0;
	if (a->active && a->user && g->unit.uid != geteuid())
		return err_set(e, EPERM,
			       "the guest runs in the unit %s of user %u, which might start it again here: run vmferry as that user",
			       a->unit, g->unit.uid);
	if (show(a, a->unit, "LoadState,ActiveState,Restart,UnitFileState,MainPID", &shown, e))
		return err_prefix(e, "cannot ask about the unit %s, which might start the guest again here", a->unit);
	free(a->restart);
	a->restart = unit_property(shown, "Restart");
	load = unit_property(shown, "LoadState");
	active = unit_property(shown, "ActiveState");
	a->changing = unit_is_changing(active);
	state = unit_property(shown, "UnitFileState");
	pid = unit_property(shown, "MainPID");
	a->main_pid = (pid_t)atoi(pid);
	if (!a->active && a->main_pid)
		return leave(a, xasprintf("unit %s runs another guest, and is left as it is", a->unit));
	if (!a->active && (strcmp(load, "loaded") || (!unit_is_wanted(state) && !a->changing)))
		return leave(a, NULL);
	if (!a->active && starts_another(g, a->unit, a->user))
		return leave(a, xasprintf("unit %s starts another guest, and is left as it is", a->unit));
	if (strcmp(load, "loaded") && !keep)
		return err_set(e, ENOTSUP,
			       "the guest runs in the unit %s, which systemd calls '%s': it cannot be kept from starting it "
			       "again; repair it (systemctl daemon-reload), or say --unit keep",
			       a->unit, load);
	if (text_starts_with(state, "enabled"))
		a->at_boot = xasprintf("unit %s", a->unit);
	return decide(a, g, a->active ? relation_to(g, a->main_pid) : MAIN, state, keep, e);
}

/* Looks at what does not run the guest's QEMU itself. *process: malloc'ed words, NULL: none; unit, known: NULL: none is left out. */
static void look_elsewhere(const struct guest *g, const struct guest_unit *unit, const char *known, char **process,
			   struct start_table *table)
{
	AUTO_FREE char *words = NULL;
	struct start_marks m;
	pid_t pid;

	start_marks_of(&m, g);
	m.known = known;
	pid = started_by_another(g, unit, &m, &words);
	start_table_find(table, &m, "");
	start_marks_fini(&m);
	*process = pid ? xasprintf("process %d (%s)", (int)pid, words) : NULL;
}

/* A loop, cron, a container's host: what ends with QEMU, or does not come back, cannot be told from them. */
static char *running_starter(const struct guest *g, bool in_unit, const char *elsewhere)
{
	AUTO_FREE char *parent = NULL;
	pid_t pid = g->pid && !in_unit ? started_by(g->pid, &parent) : 0;

	if (pid == STARTED_FROM_OUTSIDE)
		return xstrdup("something outside of this container runs the guest's QEMU");
	if (pid)
		return xasprintf("process %d (%s) runs the guest's QEMU", (int)pid, parent);
	if (g->unit.name && unit_starts_others(g->unit.name))
		return xasprintf("%s has started the guest", g->unit.name);
	return elsewhere ? xasprintf("%s seems to start the guest", elsewhere) : NULL;
}

char *guest_starter(const struct guest *g, bool in_unit, bool *at_boot, char **by_table)
{
	AUTO_FREE char *process = NULL, *running = NULL;
	struct start_table table;
	char *out;

	look_elsewhere(g, in_unit && g->unit.name ? &g->unit : NULL, NULL, &process, &table);
	running = running_starter(g, in_unit, process);
	*at_boot = table.words && table.at_boot && !running;
	if (table.words)
		out = xasprintf("%s%s%s starts the guest%s", running ?: "", running ? ", and " : "", table.words,
				table.at_boot ? " when this host boots" : "");
	else
		out = xstrdup(running);
	if (by_table)
		*by_table = table.once ? NULL : xstrdup(table.words);
	free(table.words);
	return out;
}

char *guest_starter_beside(const struct guest *g, const char *script)
{
	struct start_table table;
	char *process;

	look_elsewhere(g, g->unit.name ? &g->unit : NULL, script, &process, &table);
	if (!process)
		return table.words;
	free(table.words);
	return process;
}

/* A unit beside the one that is dealt with, or left as it is: it is only told, and the images are kept from it as from any starter. */
static void look_for_other_unit(struct autostart *a, const struct guest *g)
{
	const char *known = a->unit ?: a->left ?: g->unit.name;
	AUTO_FREE char *before = a->starter, *other = systemd_runs() ? unit_of_disks(g, a->user, known) : NULL;

	a->starter = xstrdup(before);
	if (!other)
		return;
	free(a->starter);
	a->starter = xasprintf("%s%sunit %s starts the guest", before ?: "", before ? ", and " : "", other);
	a->starter_at_boot = (!before || a->starter_at_boot) && !is_changing(a, other);
}

int autostart_examine(struct autostart *a, const struct guest *g, bool keep, struct err *e)
{
	int r;

	*a = (struct autostart){.unit = NULL};
	r = examine_unit(a, g, keep, e);
	if (r)
		return r;
	a->starter = guest_starter(g, a->unit && a->active, &a->starter_at_boot, a->at_boot ? NULL : &a->at_boot);
	look_for_other_unit(a, g);
	return 0;
}

void autostart_fini(struct autostart *a)
{
	FREE_ALL(a->starter, a->at_boot, a->unit, a->left, a->restart, a->note);
	*a = (struct autostart){.unit = NULL};
}

/* ---- holding and blocking ---- */

static char *way_back(const struct autostart *a, const char *file)
{
	const char *ctl = a->user ? "systemctl --user" : "systemctl";
	AUTO_FREE char *path = shell_quote(file);
	AUTO_FREE char *unit = shell_quote(a->unit);

	return a->enabled ? xasprintf("rm %s && %s daemon-reload && %s enable %s", path, ctl, ctl, unit)
			  : xasprintf("rm %s && %s daemon-reload", path, ctl);
}

static int put_drop_in(struct autostart *a, struct journal *j, bool runtime, struct err *e)
{
	AUTO_FREE char *base = systemd_unit_dir(a->user, runtime);
	AUTO_FREE char *dir = xasprintf("%s/%s.d", base, a->unit);
	AUTO_FREE char *file = xasprintf("%s/" DROP_IN, dir);
	AUTO_FREE char *again = way_back(a, file);
	AUTO_FREE char *text = xasprintf("%s%s", drop_in, runtime ? "" : no_stop);
	struct stat st;
	json_t *detail;
	int r;

	if (!lstat(file, &st)) /* a file of another move does the same, and is not ours to remove */
		return 0;
	detail = json_pack("{s:s,s:b,s:s,s:s,s:b,s:b,s:b,s:b,s:s}", "unit", a->unit, "user", a->user, "file", file, "dir", dir, "made_dir",
			   lstat(dir, &st) != 0, "runtime", runtime, "wrapped", a->wrapped, "enabled", a->enabled, "again", again);
	if (!detail)
		return err_set(e, EILSEQ, "the name of the unit %s is not UTF-8 text", a->unit);
	r = journal_own(j, "unit", detail, e);
	json_decref(detail);
	return r ?: make_dirs(dir, e) ?: write_new_file(file, 0644, text, e) ?: sync_parent_dir(dir, e);
}

/* systemd's own view counts: another drop-in may override ours. */
static int check_held(const struct autostart *a, struct err *e)
{
	AUTO_FREE char *shown = NULL;
	AUTO_FREE char *restart = NULL;
	int r = show(a, a->unit, "Restart", &shown, e);

	if (r)
		return r;
	restart = unit_property(shown, "Restart");
	if (unit_restarts(restart))
		return err_set(e, EPERM, "unit %s keeps Restart=%s whatever we say: a drop-in named after " DROP_IN " sets it", a->unit,
			       restart);
	return 0;
}

int autostart_hold(struct autostart *a, struct journal *j, struct err *e)
{
	const char *reload[] = {"daemon-reload", NULL};
	int r;

	if (!a->unit || !a->active)
		return 0;
	r = put_drop_in(a, j, true, e) ?: systemctl(a->user, reload, NULL, e) ?: check_held(a, e);
	a->held = !r;
	return r ? err_prefix(e, "keeping unit %s from starting the guest again", a->unit) : 0;
}

size_t autostart_wrappers(pid_t qemu, pid_t main_pid, pid_t out[AUTOSTART_WRAPPERS_MAX])
{
	size_t n = 0;
	pid_t pid = qemu;

	do {
		pid = process_parent(pid);
		if (pid > 1)
			out[n++] = pid;
	} while (pid > 1 && pid != main_pid && n < AUTOSTART_WRAPPERS_MAX);
	if (n && out[n - 1] == main_pid)
		return n;
	out[0] = main_pid; /* QEMU was reparented to systemd, which is not the unit's */
	return 1;
}

/* Programs that run QEMU are stopped (SIGSTOP), so that they do not react to its end; systemd would notice if they were killed. */
static int stop_wrappers(const struct autostart *a, struct err *e)
{
	pid_t pids[AUTOSTART_WRAPPERS_MAX];
	size_t n = autostart_wrappers(a->guest_pid, a->main_pid, pids), i;

	for (i = 0; i < n; i++)
		if (kill(pids[i], SIGSTOP))
			return err_sys(e, errno, "cannot stop process %d, which runs QEMU", (int)pids[i]);
	return 0;
}

int autostart_block(struct autostart *a, struct journal *j, struct err *e)
{
	int r = a->unit ? put_drop_in(a, j, false, e) : 0;

	if (!r && a->wrapped)
		r = stop_wrappers(a, e);
	return r ? err_prefix(e, "keeping unit %s from starting the guest again", a->unit) : 0;
}

int autostart_block_now(struct autostart *a, struct journal *j, struct err *e)
{
	const char *reload[] = {"daemon-reload", NULL};
	int r = autostart_block(a, j, e);

	return r || !a->unit ? r : systemctl(a->user, reload, NULL, e);
}

/* ---- afterwards ---- */

void autostart_expect_end(struct journal *j)
{
	const char *reload[] = {"daemon-reload", NULL};
	json_t *owned, *entry;
	struct err e;
	size_t i;

	if (!j || journal_owned(j, &owned))
		return;
	json_array_foreach(owned, i, entry) {
		const json_t *detail = json_object_get(entry, "detail");
		const char *unit = json_string_value(json_object_get(detail, "unit"));
		const char *end[] = {"kill", "--signal=SIGKILL", "--", unit, NULL};
		bool user = json_is_true(json_object_get(detail, "user"));

		if (!unit)
			continue;
		if (json_is_false(json_object_get(detail, "runtime")) && systemctl(user, reload, NULL, &e))
			log_info("%s", e.msg);
		if (json_is_true(json_object_get(detail, "wrapped")) && systemctl(user, end, NULL, &e))
			log_info("%s", e.msg);
	}
	json_decref(owned);
}

static int disable(const json_t *detail, const char *unit, bool user, struct err *e)
{
	const char *reload[] = {"daemon-reload", NULL}, *off[] = {"disable", "--", unit, NULL};
	const char *stop[] = {"stop", "--no-block", "--", unit, NULL};
	int r = json_is_true(json_object_get(detail, "enabled")) ? systemctl(user, off, NULL, e) : 0;

	r = r ?: systemctl(user, reload, NULL, e) ?: systemctl(user, stop, NULL, e);
	return r ? err_prefix(e, "unit %s is kept from starting the guest by %s, but", unit,
			      json_string_value(json_object_get(detail, "file")))
		 : 0;
}

static int restore(const json_t *detail, const char *file, bool user, struct err *e)
{
	const char *reload[] = {"daemon-reload", NULL}, *dir = json_string_value(json_object_get(detail, "dir"));
	const char *go_on[] = {"kill", "--signal=SIGCONT", "--", json_string_value(json_object_get(detail, "unit")), NULL};

	if (json_is_true(json_object_get(detail, "wrapped")) && systemctl(user, go_on, NULL, e))
		log_info("%s", e->msg); /* the unit may have ended meanwhile */
	if (unlink(file) && errno != ENOENT)
		return err_sys(e, errno, "cannot remove %s", file);
	if (dir && json_is_true(json_object_get(detail, "made_dir")))
		rmdir(dir);
	return systemctl(user, reload, NULL, e);
}

int autostart_settle(const json_t *detail, bool released, json_t *disabled, struct err *e)
{
	const char *unit = json_string_value(json_object_get(detail, "unit"));
	const char *file = json_string_value(json_object_get(detail, "file"));
	bool user = json_is_true(json_object_get(detail, "user"));

	if (!unit || !file)
		return 0;
	if (!released || json_is_true(json_object_get(detail, "runtime")))
		return restore(detail, file, user, e);
	json_array_append_new(disabled, json_pack("{s:s,s:O*}", "unit", unit, "again", json_object_get(detail, "again")));
	return disable(detail, unit, user, e);
}

/* True if a start (systemctl restart) was skipped by our condition; the unit met every condition when the guest was started. */
static bool start_was_skipped(const struct autostart *a)
{
	AUTO_FREE char *shown = NULL;
	AUTO_FREE char *met = NULL;
	struct err e;

	if (show(a, a->unit, "ConditionResult", &shown, &e))
		return false;
	met = unit_property(shown, "ConditionResult");
	return !strcmp(met, "no");
}

bool autostart_make_up(const struct autostart *a, bool shut_down)
{
	const char *start[] = {"start", "--no-block", "--", a->unit, NULL};
	struct err e;
	bool would;

	if (!a->unit || !a->held)
		return false;
	would = !strcmp(a->restart, "always") ||
		(shut_down ? !strcmp(a->restart, "on-success")
			   : !strncmp(a->restart, "on-fail", 7) || !strcmp(a->restart, "on-abnormal") || !strcmp(a->restart, "on-abort"));
	if (!would && !start_was_skipped(a))
		return false;
	if (!systemctl(a->user, start, NULL, &e))
		return true;
	log_error("%s", e.msg);
	return false;
}
