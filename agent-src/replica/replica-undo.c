/* replica-undo.c: a guest's run from a point of its replica is thrown away, with what it has written. See replica-here.h. */
#include "replica-here.h"
#include "config-file.h"
#include "json-text.h"
#include "merge.h"
#include "own-file.h"
#include "point-run.h"
#include "points.h"
#include "process.h"
#include "replica-reverse.h"
#include "replica-whereabouts.h"
#include "start-script.h"
#include "swtpm-here.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define END_MS	 20000
#define CLOSE_MS 1000 /* files of a process that has just ended may be closed a moment later */
#define PAUSE_MS 10

/* ---- its files ---- */

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
	int k;

	for (unsigned waited = 0; (k = own_file_unused(path, e)) == -EBUSY && waited < CLOSE_MS; waited += PAUSE_MS)
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

/* ---- the run ---- */

static int end_qemu(const json_t *run, struct err *e)
{
	pid_t pid = run_pid_of(run);

	return pid ? process_end(pid, (uint64_t)json_integer_value(json_object_get(run, "start_time")), END_MS, e) : 0;
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

void run_undo(struct run *r, const char *command, const char *option)
{
	struct err e;

	if (take_back(r, r->term, &e))
		fprintf(stderr,
			"vmferry: guest %s: what had begun here is not undone: %s. Once that is seen to: vmferry replica %s %s %s\n",
			r->guest, e.msg, command, r->guest, option);
}

void run_tidy(const char *dir)
{
	struct err e;

	if (dir && points_tidy_at(dir, &e))
		fprintf(stderr, "vmferry: points that need not stay cannot be dropped: %s\n", e.msg);
}

/* ---- commands ---- */

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
		run_tidy(dir);
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
	int k = points_find(&r->store, number, &r->point, e);

	for (size_t i = 0; !k && point_disk(r->point, i); i++) {
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

	if (k || run_pid_of(run) || !json_object_get(run, "pid") || c->once.lives_there)
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
	if (!k && json_is_true(json_object_get(run, "came")) && !c->once.lives_there)
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

/* The term stays, so that the primary of before is refused as long as this host knows of the pair. */
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
