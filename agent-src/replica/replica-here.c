/* replica-here.c: see replica-here.h. */
#include "replica-here.h"
#include "replica-reverse.h"
#include "exit-code.h"
#include "config-file.h"
#include "disk-line.h"
#include "durable-file.h"
#include "fault.h"
#include "json-text.h"
#include "log.h"
#include "merge.h"
#include "moment.h"
#include "own-file.h"
#include "points.h"
#include "points-note.h"
#include "points-state.h"
#include "primary-note.h"
#include "process.h"
#include "program-run.h"
#include "qemu-args.h"
#include "qemu-find.h"
#include "qemu-launch.h"
#include "point-run.h"
#include "replica-whereabouts.h"
#include "qemu-args-json.h"
#include "start-script.h"
#include "swtpm-here.h"
#include "systemd.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS 60000
#define END_MS	 20000
#define CLOSE_MS 1000 /* files of a process that has just ended may be closed a moment later */
#define PAUSE_MS 10

int run_begin(struct run *r, const struct replica_conf *c, const char *guest, const char *kind, struct err *e)
{
	AUTO_FREE char *dir = NULL;
	int k;

	*r = (struct run){.kind = kind, .guest = guest, .lock = -1, .tpm_proc = QEMU_PROC_NONE};
	r->name = strcmp(kind, "test") ? xstrdup(guest) : xasprintf("%s-test", guest);
	k = points_look_up(c->state_dir, guest, &dir, e);
	if (k || !dir)
		return k ? k : err_set(e, ENOENT, "this host has no replica of guest %s", guest);
	k = points_lock(dir, &r->lock, e) ?: points_read(&r->store, dir, e);
	r->term = json_integer_value(json_object_get(r->store.replica, "term"));
	r->dir = xasprintf("%s/%s", dir, kind);
	r->home = strcmp(kind, "test") ? replica_parent_dir(dir) : xstrdup(r->dir);
	r->qmp = xasprintf("%s/.%s" ARGS_POINT_QMP_END, r->home, r->name);
	r->script = xasprintf("%s/%s.sh", r->home, r->name);
	return k;
}

void run_fini(struct run *r)
{
	size_t i;

	points_close(&r->store);
	swtpm_fini(&r->tpm);
	qemu_let_go(&r->tpm_proc);
	free(r->tpm_exe);
	if (r->lock >= 0)
		close(r->lock);
	args_free_strings(r->argv, r->argc);
	args_result_fini(&r->args);
	for (i = 0; r->env && r->env[i]; i++)
		free(r->env[i]);
	free(r->env);
	free(r->name);
	free(r->dir);
	free(r->home);
	free(r->qmp);
	free(r->script);
}

/* ---- its disks ---- */

char *run_overlay(const struct run *r, size_t i)
{
	return xasprintf("%s/disk%zu.qcow2", r->dir, i);
}

static int make_overlay(const struct run *r, size_t i, struct err *e)
{
	const json_t *d = point_disk(r->point, i);
	AUTO_FREE char *size = xasprintf("%lld", (long long)json_integer_value(json_object_get(d, "bytes")));
	AUTO_FREE char *path = run_overlay(r, i), *below = xasprintf("../points/%s/%s", r->point->slot, json_text(d, "file"));
	char *above[] = {(char *)"qemu-img",
			 (char *)"create",
			 (char *)"-q",
			 (char *)"-u", /* the backing file is a chain, which qemu-img would open completely for its size */
			 (char *)"-f",
			 (char *)"qcow2",
			 (char *)"-F",
			 (char *)json_text(d, "format"),
			 (char *)"-b",
			 below,
			 path,
			 size,
			 NULL};
	char *empty[] = {(char *)"qemu-img", (char *)"create", (char *)"-q", (char *)"-f", (char *)"qcow2", path, size, NULL};
	const struct program_run run = {.argv = point_disk_is_left_out(r->point, i) ? empty : above, .how = PROGRAM_MANY_FILES};
	int status, k = program_run(&run, &status, e);

	return k ? err_prefix(e, "a run from a point needs qemu-img (Debian: qemu-utils)")
	       : WIFEXITED(status) && !WEXITSTATUS(status)
		       ? 0
		       : err_set(e, EIO, "qemu-img cannot make %s above point %llu", path, (unsigned long long)r->point->number);
}

static int make_disks(const struct run *r, struct err *e)
{
	size_t i;
	int k = 0;

	if (mkdir(r->dir, 0700))
		return err_sys(e, errno, "cannot make %s", r->dir);
	for (i = 0; point_disk(r->point, i) && !k; i++)
		k = make_overlay(r, i, e);
	return k ? k : sync_parent_dir(r->dir, e);
}

static bool is_our_script(const char *path)
{
	AUTO_FREE char *text = NULL;
	struct err ignored;

	return !config_file_read(path, &text, &ignored) && text && start_script_origin(text) == SCRIPT_OURS;
}

static bool is_entry(const struct dirent *de)
{
	return strcmp(de->d_name, ".") && strcmp(de->d_name, "..");
}

static int wait_unused(const char *path, struct err *e)
{
	unsigned waited;
	int k;

	for (waited = 0; (k = own_file_unused(path, e)) == -EBUSY && waited < CLOSE_MS; waited += PAUSE_MS)
		poll(NULL, 0, PAUSE_MS);
	return k;
}

/* The run's files must not be in use: a start by its script, or by hand, is not noted anywhere. */
static int check_unused(const struct run *r, struct err *e)
{
	DIR *d = opendir(r->dir);
	struct dirent *de;
	int k = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot read %s", r->dir);
	while (!k && (de = readdir(d))) {
		AUTO_FREE char *path = xasprintf("%s/%s", r->dir, de->d_name);
		struct stat st;

		if (is_entry(de) && (lstat(path, &st) || S_ISREG(st.st_mode)))
			k = wait_unused(path, e);
	}
	closedir(d);
	return k ? err_prefix(e, "%s may run from its overlays still: end it first, nothing of it is removed", r->name) : 0;
}

/* Removes the run, with what starts it, unless somebody has edited that. */
static void remove_run(const struct run *r)
{
	AUTO_FREE char *tpm = xasprintf("%s/tpm", r->dir); /* state of a trial's TPM */
	DIR *d = opendir(r->dir);
	struct dirent *de;
	struct err ignored;

	swtpm_dir_remove(tpm, &ignored);
	while (d && (de = readdir(d))) {
		AUTO_FREE char *path = xasprintf("%s/%s", r->dir, de->d_name);

		if (is_entry(de))
			unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(r->dir);
	unlink(r->qmp);
	if (is_our_script(r->script))
		unlink(r->script);
}

/* ---- its command line ---- */

static int put_disk(struct run *r, size_t i, struct err *e)
{
	const json_t *d = point_disk(r->point, i);
	AUTO_FREE char *to = run_overlay(r, i);

	return disk_line_overlay(&r->argv, &r->argc, json_text(d, "named"), json_text(d, "from"), to, e);
}

/* Files of -readconfig are worked into it. */
static int take_line(struct run *r, struct err *e)
{
	const json_t *guest = json_object_get(r->point->json, "guest"), *argv = json_object_get(guest, "argv");
	AUTO_FREE char **words = xcalloc(json_array_size(argv) + 1, sizeof(*words));
	AUTO_FREE struct args_config *configs = NULL;
	size_t count = args_configs_of(&configs, json_object_get(guest, "configs")), i;

	for (i = 0; i < json_array_size(argv); i++)
		words[i] = (char *)(json_string_value(json_array_get(argv, i)) ?: "");
	return qemu_args_expand(&r->argv, &r->argc, words, json_array_size(argv), configs, count, e);
}

static void take_env(struct run *r)
{
	const json_t *env = json_object_get(json_object_get(r->point->json, "guest"), "env");
	json_t *value;
	const char *key;
	size_t n = 0;

	r->env = xcalloc(json_object_size(env) + 1, sizeof(*r->env));
	json_object_foreach((json_t *)(uintptr_t)env, key, value)
		if (json_string_value(value) && start_script_takes(key))
			r->env[n++] = xasprintf("%s=%s", key, json_string_value(value));
}

/* A text with its commas as values of QEMU's options have them. Malloc'ed. */
static char *escaped(const char *name)
{
	char *out = xcalloc(2 * strlen(name) + 1, 1), *to = out;

	for (; *name; *to++ = *name++)
		if (*name == ',')
			*to++ = ',';
	return out;
}

/* A trial has another name than the guest, which may run beside it. */
static void rename_guest(struct run *r)
{
	size_t i;

	for (i = 0; i + 1 < r->args.argc && !strcmp(r->kind, "test"); i++) {
		char *now;

		if (strcmp(r->args.argv[i], "-name"))
			continue;
		now = escaped(r->name);
		free(r->args.argv[i + 1]);
		r->args.argv[i + 1] = now;
	}
}

static int rewrite(struct run *r, const struct replica_conf *c, struct err *e)
{
	AUTO_FREE struct args_net_map *nets = NULL;
	struct args_map tpm = {.from = json_text(json_object_get(json_object_get(r->point->json, "guest"), "tpm"), "socket"),
			       .to = r->tpm.socket};
	struct args_result looked;
	struct args_options o = {.socket_dir = r->home,
				 .disks = &tpm,
				 .disk_count = tpm.from && tpm.to,
				 .tpm = tpm.from && tpm.to,
				 .cwd = json_text(json_object_get(r->point->json, "guest"), "cwd"),
				 .private_qmp = r->qmp,
				 .no_state = true,
				 .at_rest = true};
	int k = qemu_args_rewrite(&looked, r->argv, r->argc, &o, e);

	if (k)
		return k;
	k = run_map_nets(r, c, &looked, &nets, &o.net_count, e);
	o.nets = nets;
	k = k ?: qemu_args_rewrite(&r->args, r->argv, r->argc, &o, e);
	args_result_fini(&looked);
	if (!k)
		rename_guest(r);
	return k;
}

static int make_line(struct run *r, const struct replica_conf *c, struct err *e)
{
	size_t i;
	int k = take_line(r, e);

	take_env(r);
	run_name_nics(r);
	for (i = 0; point_disk(r->point, i) && !k; i++)
		k = put_disk(r, i, e);
	return k ?: rewrite(r, c, e) ?: run_check_files(r, e);
}

/* NAME.sh, by which it is started again. */
static int write_script(const struct run *r, const char *exe, struct err *e)
{
	AUTO_FREE char *came =
		xasprintf("taken over from %s", json_text(json_object_get(r->point->json, "guest"), "host") ?: "its primary");
	char date[MOMENT_TEXT], **tpm = run_tpm_line(r);
	const struct start_script s = {.guest = r->guest,
				       .came = came,
				       .date = moment_text(date, time(NULL)),
				       .exe = exe,
				       .argv = r->args.argv,
				       .argc = r->args.argc,
				       .env = r->env,
				       .private_qmp = r->qmp,
				       .tpm = tpm};
	AUTO_FREE char *text = start_script_text(&s);

	free_words(tpm);
	return write_new_file(r->script, START_SCRIPT_MODE, text, e);
}

/* ---- its QEMU ---- */

/* A QEMU is noted before it runs: whoever is killed leaves none that nobody knows of. */
static int note_run(void *ctx, const struct qemu_proc *p, struct err *e)
{
	struct run *r = ctx;
	AUTO_FREE char *boot = boot_id();
	char at[MOMENT_TEXT];
	int k = points_set(&r->store, r->kind,
			   json_pack("{s:I,s:s,s:i,s:I,s:s*,s:I,s:s,s:b,s:O*}", "number", (json_int_t)r->point->number, "at",
				     moment_text(at, time(NULL)), "pid", (int)p->pid, "start_time", (json_int_t)p->start_time, "boot_id",
				     boot, "term_before", r->term, "script", r->script, "starting", 1, "tpm",
				     json_object_get(json_object_get(r->store.replica, r->kind), "tpm")),
			   e);

	fault_point("replica-noted");
	return k;
}

/* From now on the guest may write. */
static int note_begun(struct run *r, struct err *e)
{
	json_object_del(json_object_get(r->store.replica, r->kind), "starting");
	return points_set(&r->store, r->kind, json_incref(json_object_get(r->store.replica, r->kind)), e);
}

static int start_qemu(struct run *r, const char *exe, struct qemu_proc *p, struct loop *l, struct qmp **q, struct err *e)
{
	AUTO_FREE char **argv = xcalloc(r->args.argc + 2, sizeof(*argv));
	int k;

	argv[r->args.argc] = (char *)"-S";
	k = qemu_launch(p, exe, memcpy(argv, r->args.argv, r->args.argc * sizeof(*argv)), r->env, NULL, note_run, r, e);
	fault_point("replica-launched");
	return k ?: qemu_launch_wait_qmp(p, l, r->qmp, START_MS, NULL, NULL, q, e);
}

/* Removes the run, and then its record; fails while anything of the run is in use. */
static int take_back(struct run *r, json_int_t term_before, struct err *e)
{
	int k = check_unused(r, e) ?: run_remove_tpm(json_object_get(r->store.replica, r->kind), e);

	if (k)
		return k;
	remove_run(r);
	json_object_del(r->store.replica, r->kind);
	return points_set(&r->store, "term", json_integer(term_before), e);
}

/* Undoes a run that failed to start. The primary is refused as long as something of the run is left. */
static void undo_run(struct run *r, const char *command, const char *option)
{
	struct err e;

	if (take_back(r, r->term, &e))
		fprintf(stderr,
			"vmferry: guest %s: what had begun here is not undone: %s. Once that is seen to: vmferry replica %s %s %s\n",
			r->guest, e.msg, command, r->guest, option);
}

static int start(struct run *r, const char *exe, struct err *e)
{
	struct qemu_proc p = QEMU_PROC_NONE;
	struct loop *l = NULL;
	struct qmp *q = NULL;
	int k = loop_new(&l, 64, e);

	k = k ?: run_start_tpm(r, l, e) ?: start_qemu(r, exe, &p, l, &q, e) ?: note_begun(r, e) ?: qmp_call(q, "cont", NULL, NULL, e);
	qmp_close(q);
	if (k && p.pid)
		qemu_end(&p); /* the guest has not run, so its files can be removed */
	else
		qemu_let_go(&p);
	if (k)
		run_end_tpm(r);
	if (l)
		loop_free(l);
	return k;
}

pid_t run_pid_of(const json_t *run)
{
	AUTO_FREE char *boot = boot_id();
	pid_t pid = (pid_t)json_integer_value(json_object_get(run, "pid"));

	if (pid <= 0 || !boot || strcmp(boot, json_text(run, "boot_id") ?: "") ||
	    !qemu_is_alive(pid, (uint64_t)json_integer_value(json_object_get(run, "start_time"))))
		return 0;
	return pid;
}

static int end_qemu(const json_t *run, struct err *e)
{
	pid_t pid = run_pid_of(run);

	return pid ? process_end(pid, (uint64_t)json_integer_value(json_object_get(run, "start_time")), END_MS, e) : 0;
}

/* ---- a trial ---- */

static int check_free(const struct run *r, struct err *e)
{
	const json_t *test = json_object_get(r->store.replica, "test"), *run = json_object_get(r->store.replica, "run");

	if (run)
		return err_set(e, EBUSY, "guest %s runs here from point %lld already, since %s", r->guest,
			       (long long)json_integer_value(json_object_get(run, "number")), json_text(run, "at") ?: "?");
	if (test && !strcmp(r->kind, "test"))
		return err_set(e, EBUSY, "a trial of guest %s is under way: vmferry replica test %s --end", r->guest, r->guest);
	if (strcmp(r->kind, "test") && !access(r->dir, F_OK))
		return err_set(
			e, EBUSY,
			"guest %s is on its way here as it runs, or a move of it was cut off: at its primary, vmferry recover %s; if that "
			"host is lost for good, here, vmferry-dst recover (with --peer-is-fenced, if it asks for that)",
			r->guest, r->guest);
	return 0;
}

static int check_place(const struct run *r, struct err *e)
{
	return access(r->script, F_OK)
		       ? 0
		       : err_set(e, EEXIST, "%s is there already: is it what starts this guest? Move it away first", r->script);
}

/* The path that it would have; nothing is made. */
static int plan(struct run *r, const struct replica_conf *c, char **exe, struct err *e)
{
	int k = check_free(r, e) ?: check_place(r, e) ?: points_find(&r->store, c->point, &r->point, e) ?: run_plan_tpm(r, e) ?:
		make_line(r, c, e);

	*exe = k ? NULL : qemu_find(json_text(json_object_get(r->point->json, "guest"), "exe"), false, e);
	return k ? k : !*exe ? -e->code : 0;
}

static int make_and_start(struct run *r, const char *exe, struct err *e)
{
	return make_disks(r, e) ?: write_script(r, exe, e) ?: start(r, exe, e);
}

/* "point 12 of 2026-11-29 14:05:10"; malloc'ed. */
static char *point_words(const struct run *r)
{
	char at[MOMENT_TEXT];

	return xasprintf("point %llu of %s", (unsigned long long)r->point->number, moment_text(at, (time_t)(r->point->at_ms / 1000)));
}

static void say_left_out(const struct run *r)
{
	json_t *list = point_left_out(r->point), *one;
	size_t i;

	json_array_foreach(list, i, one)
		printf("disk %s is left out of the replica: here it is empty\n", json_string_value(one));
	json_decref(list);
}

int replica_test(struct replica_conf *c, const char *guest)
{
	AUTO_FREE char *exe = NULL;
	struct run r;
	struct err e;
	int k = run_begin(&r, c, guest, "test", &e);
	bool planned;

	k = k ?: plan(&r, c, &exe, &e);
	planned = !k;
	k = k ?: make_and_start(&r, exe, &e);
	if (!k) {
		AUTO_FREE char *point = point_words(&r);

		printf("%s runs from %s, on overlays that vmferry replica test %s --end throws away; its monitor is %s\n", r.name, point,
		       guest, r.qmp);
		say_left_out(&r);
	} else if (planned) {
		undo_run(&r, "test", "--end");
	}
	run_fini(&r);
	return k ? replica_say(&e) : 0;
}

/* Points that were kept for a trial, or are far too many, are dropped. */
static void tidy(const char *dir)
{
	struct err e;

	if (dir && points_tidy_at(dir, &e))
		fprintf(stderr, "vmferry: points that need not stay cannot be dropped: %s\n", e.msg);
}

int replica_test_end(struct replica_conf *c, const char *guest)
{
	AUTO_FREE char *dir = replica_store(c->state_dir, guest);
	struct run r;
	struct err e;
	int k = run_begin(&r, c, guest, "test", &e);
	const json_t *test = k ? NULL : json_object_get(r.store.replica, "test");

	if (!k && !test && access(r.dir, F_OK)) /* left by a command that was killed before it noted the run */
		k = err_set(&e, ENOENT, "there is no trial of guest %s", guest);
	k = k ?: end_qemu(test, &e) ?: take_back(&r, r.term, &e);
	if (!k)
		printf("the trial of guest %s is over, and what it has written is gone\n", guest);
	run_fini(&r);
	if (!k)
		tidy(dir);
	return k ? replica_say(&e) : 0;
}

/* ---- in its place ---- */

/* Raises the term before anything of it runs: whoever sends points in a lower term is refused from now on. */
static int raise_term(struct run *r, struct err *e)
{
	char at[MOMENT_TEXT];
	int k;

	json_object_set_new(r->store.replica, r->kind,
			    json_pack("{s:I,s:s,s:I,s:o*}", "number", (json_int_t)r->point->number, "at", moment_text(at, time(NULL)),
				      "term_before", r->term, "tpm", r->tpm.state ? json_pack("{s:s}", "dir", r->tpm.state) : NULL));
	k = points_set(&r->store, "term", json_integer(r->term + 1), e);
	fault_point("replica-raised");
	return k;
}

/* A guest that is waited for does not wait for that as long as its chain of images is short. */
static void tidy_many(const struct replica_conf *c, const char *guest)
{
	AUTO_FREE char *dir = replica_store(c->state_dir, guest);
	struct points p = {.dir = NULL};
	struct err ignored;

	if (dir && !points_read(&p, dir, &ignored) && points_are_many(&p))
		tidy(dir);
	points_close(&p);
}

int replica_failover(struct replica_conf *c, const char *guest)
{
	AUTO_FREE char *exe = NULL;
	struct run r;
	struct err e;
	bool raised;
	int k;

	if (!c->fenced) {
		fprintf(stderr,
			"vmferry: guest %s may run at its primary, and two of it must not: end it there, or that host, and say so: "
			"--peer-is-fenced\n",
			guest);
		return EXIT_REFUSED;
	}
	if (!c->point)
		tidy_many(c, guest);
	k = run_begin(&r, c, guest, "run", &e);
	k = k ?: replica_check_absent(c->state_dir, guest, &r.store, &e) ?: plan(&r, c, &exe, &e);
	raised = !k;
	k = k ?: raise_term(&r, &e) ?: make_and_start(&r, exe, &e);
	if (!k) {
		AUTO_FREE char *point = point_words(&r);

		replica_note_here(&r, c->state_dir);
		primary_note_here(c->state_dir, guest, true);
		printf("guest %s runs here from %s (%s starts it again). vmferry replica failover %s --complete, and it stays; --cancel throws "
		       "this run away\n",
		       guest, point, r.script, guest);
		say_left_out(&r);
	} else if (raised) {
		undo_run(&r, "failover", "--cancel");
	}
	run_fini(&r);
	return k ? replica_say(&e) : 0;
}

/* The guest may have disks of its own by now, by a --complete that was cut off or by vmferry storage: then what it has written is there. */
static int check_on_overlays(struct run *r, const json_t *run, struct err *e)
{
	AUTO_FREE char *number = xasprintf("%lld", (long long)json_integer_value(json_object_get(run, "number")));
	pid_t pid = json_is_true(json_object_get(run, "starting"))
			    ? 0
			    : run_pid_of(run); /* a QEMU that has not begun has no disk open, perhaps */
	bool began = json_object_get(run, "pid");
	size_t i;
	int k = points_find(&r->store, number, &r->point, e);

	for (i = 0; !k && point_disk(r->point, i); i++) {
		const char *format = replica_flat_format(point_disk(r->point, i));
		AUTO_FREE char *overlay = run_overlay(r, i), *flat = replica_flat_path(r->store.dir, r->guest, i, format);

		if (!access(flat, F_OK) || (began && access(overlay, F_OK)) || (pid && !process_has_open(pid, overlay)))
			k = err_set(
				e, EALREADY,
				"guest %s may have disks of its own here by now (%s; it began on %s): vmferry replica failover %s --complete "
				"goes on with that",
				r->guest, flat, overlay, r->guest);
	}
	return k;
}

/* A QEMU that was started since the first one ended is in no note; the script that would start the guest again shows where its disks are. */
static int check_throw_away(struct run *r, const struct replica_conf *c, const json_t *run, struct err *e)
{
	char *overlays[POINT_DISKS_MAX];
	size_t n = 0;
	int k = check_on_overlays(r, run, e);

	if (k || run_pid_of(run) || !json_object_get(run, "pid") || c->lives_there)
		return k;
	for (; n < POINT_DISKS_MAX && point_disk(r->point, n); n++)
		overlays[n] = run_overlay(r, n);
	k = replica_check_script(r->script, overlays, n, e);
	while (n)
		free(overlays[--n]);
	return k ? err_prefix(
			   e,
			   "guest %s may have gone on from here (if it certainly runs nowhere, or at its primary, and what it has written here may be lost: "
			   "--runs-at-primary)",
			   r->guest)
		 : 0;
}

int replica_failover_cancel(struct replica_conf *c, const char *guest)
{
	struct run r;
	struct err e;
	int k = run_begin(&r, c, guest, "run", &e);
	const json_t *run = k ? NULL : json_object_get(r.store.replica, "run");
	json_int_t term = json_integer_value(json_object_get(run, "term_before"));

	if (!k && !run)
		k = err_set(&e, ENOENT, "guest %s does not run here from a point of its replica", guest);
	if (!k && json_is_true(json_object_get(run, "came")) && !c->lives_there)
		k = err_set(
			&e, EPERM,
			"guest %s came here by a planned failover, and what it has written is here alone: it can stay (vmferry replica failover %s "
			"--complete), or go on to another host (vmferry migrate). If it certainly runs at its primary: --runs-at-primary",
			guest, guest);
	if (!k && json_is_true(json_object_get(run, "completed")))
		k = err_set(&e, EALREADY,
			    "guest %s has its own disks here, and its points are going: vmferry replica failover %s --complete", guest,
			    guest);
	k = k ?: replica_check_stayed(c->state_dir, guest, &r.store, &e) ?: check_throw_away(&r, c, run, &e) ?: end_qemu(run, &e) ?: take_back(&r, term, &e);
	if (!k)
		printf("guest %s does not run here any more, and what it has written here is gone; its primary may go on\n", guest);
	run_fini(&r);
	return k ? replica_say(&e) : 0;
}

/* The term stays: who was its primary is refused as long as somebody knows of the pair here. */
int replica_remove_gone(struct replica_conf *c, const char *guest)
{
	struct run r;
	struct err e;
	int k = run_begin(&r, c, guest, "run", &e);
	const json_t *run = k ? NULL : json_object_get(r.store.replica, "run");

	if (!k && run) {
		k = replica_check_stayed(c->state_dir, guest, &r.store, &e);
		if (!k)
			k = err_set(
				&e, EBUSY,
				"guest %s runs here from a point of its replica: vmferry replica failover %s --complete or --cancel first",
				guest, guest);
		k = k == -EREMOTE ? 0 : k;
	}
	k = k ?: check_unused(&r, &e) ?: run_remove_tpm(run, &e);
	if (!k) {
		remove_run(&r);
		k = points_retire(&r.store, &e);
	}
	if (!k)
		printf("%s: its points in %s are removed; replica.json stays there, by which its primary of before is refused\n", guest,
		       r.store.dir);
	r.point = NULL;
	run_fini(&r);
	return k ? replica_say(&e) : 0;
}
