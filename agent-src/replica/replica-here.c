/* replica-here.c: a run of a guest from a point of its replica begins. See replica-here.h. */
#include "replica-here.h"
#include "exit-code.h"
#include "disk-line.h"
#include "durable-file.h"
#include "fault.h"
#include "json-text.h"
#include "moment.h"
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
#include "systemd.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS 60000

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
	points_close(&r->store);
	swtpm_fini(&r->tpm);
	qemu_let_go(&r->tpm_proc);
	free(r->tpm_exe);
	if (r->lock >= 0)
		close(r->lock);
	args_free_strings(r->argv, r->argc);
	args_result_fini(&r->args);
	for (size_t i = 0; r->env && r->env[i]; i++)
		free(r->env[i]);
	FREE_ALL(r->env, r->name, r->dir, r->home, r->qmp, r->script);
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
	int k = 0;

	if (mkdir(r->dir, 0700))
		return err_sys(e, errno, "cannot make %s", r->dir);
	for (size_t i = 0; point_disk(r->point, i) && !k; i++)
		k = make_overlay(r, i, e);
	return k ? k : sync_parent_dir(r->dir, e);
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
	for (size_t i = 0; i + 1 < r->args.argc && !strcmp(r->kind, "test"); i++) {
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
	int k = take_line(r, e);

	take_env(r);
	run_name_nics(r);
	for (size_t i = 0; point_disk(r->point, i) && !k; i++)
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
	int k = check_free(r, e) ?: check_place(r, e) ?: points_find(&r->store, c->once.point, &r->point, e) ?: run_plan_tpm(r, e) ?:
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
		run_undo(&r, "test", "--end");
	}
	run_fini(&r);
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
		run_tidy(dir);
	points_close(&p);
}

int replica_failover(struct replica_conf *c, const char *guest)
{
	AUTO_FREE char *exe = NULL;
	struct run r;
	struct err e;
	bool raised;
	int k;

	if (!c->once.fenced) {
		fprintf(stderr,
			"vmferry: guest %s may run at its primary, and two of it must not: end it there, or that host, and say so: "
			"--peer-is-fenced\n",
			guest);
		return EXIT_REFUSED;
	}
	if (!c->once.point)
		tidy_many(c, guest);
	k = run_begin(&r, c, guest, "run", &e) ?: replica_check_absent(c->state_dir, guest, &r.store, &e) ?: plan(&r, c, &exe, &e);
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
		run_undo(&r, "failover", "--cancel");
	}
	run_fini(&r);
	return k ? replica_say(&e) : 0;
}
