/* replica-complete.c: a guest that runs from a point of its replica gets disks of its own, and the points go: it stays. See replica-here.h. */
#include "exit-code.h"
#include "fault.h"
#include "json-text.h"
#include "process.h"
#include "program-run.h"
#include "replica-here.h"
#include "replica-reverse.h"
#include "replica-whereabouts.h"
#include "point-run.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A start after its first end is in no note. */
static pid_t runs_from(const struct run *r, const char *image)
{
	pid_t noted = run_pid_of(json_object_get(r->store.replica, "run"));

	return noted && process_has_open(noted, image) ? noted : process_that_opened(image, 0);
}

/* Makes an image whole with vmferry storage: whatever cuts that off leaves the guest on images that are whole. */
static int make_flat(const struct run *r, pid_t pid, const char *from, const char *to, const char *format, struct err *e)
{
	AUTO_FREE char *program = program_beside("vmferry"), *pair = xasprintf("%s=%s", from, to), *who = xasprintf("%d", (int)pid);
	char *argv[] = {program,	 (char *)"storage", who, (char *)"--disk", pair, (char *)"--format", (char *)format,
			(char *)"--old", (char *)"remove",  NULL};
	const struct program_run run = {.argv = argv};
	int status, k = program_run(&run, &status, e);

	return k ? k
	       : WIFEXITED(status) && !WEXITSTATUS(status) && !process_has_open(pid, from)
		       ? 0
		       : err_set(e, EIO, "disk %s cannot be made one image: see what vmferry storage %s --disk %s says", from, r->guest,
				 pair);
}

/* The overlay was replaced, by vmferry storage: the guest runs, nobody has the overlay open, and the script that starts the guest again does not name it. */
static bool was_replaced(const struct run *r, char *overlay)
{
	char *const overlays[] = {overlay};
	struct err ignored;

	return !access(r->script, F_OK) && replica_check_script(r->script, overlays, 1, &ignored) == -EREMOTE &&
	       replica_check_no_guest_runs(r->guest, &ignored) == -EBUSY;
}

/* A file of that name that a process has open was made by a vmferry storage that was cut off: its message says what to do. */
static int check_place(const char *to, struct err *e)
{
	return access(to, F_OK) || process_that_opened(to, 0)
		       ? 0
		       : err_set(e, EEXIST,
				 "%s is there already, perhaps from when the guest was here before, and no process has it open: remove it, or move "
				 "it away, and give this command again",
				 to);
}

/* An overlay that nobody has open is the guest's all the same, as long as it does not run from what took its place. */
static int flatten(const struct run *r, size_t i, struct err *e)
{
	const json_t *d = point_disk(r->point, i);
	const char *format = replica_flat_format(d);
	AUTO_FREE char *from = run_overlay(r, i), *to = replica_flat_path(r->store.dir, r->name, i, format);
	pid_t pid;

	if (access(from, F_OK) && errno == ENOENT && !access(to, F_OK)) /* an earlier call has done it */
		return 0;
	pid = runs_from(r, from);
	if (pid < 0)
		return err_set(e, EIO, "cannot tell which process has %s open", from);
	if (pid)
		return check_place(to, e) ?: make_flat(r, pid, from, to, format, e);
	if (was_replaced(r, from))
		return unlink(from) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", from) : 0;
	return err_set(e, ESRCH,
		       "no process has %s open, so guest %s does not run from it: its disks are made its own while it runs. %s starts it "
		       "again. (If it runs from %s: vmferry recover %s)",
		       from, r->guest, r->script, to, r->guest);
}

/* The rest is removing, which may be cut off: from here on nothing takes the guest back. */
static int flatten_all(struct run *r, struct err *e)
{
	json_t *run = json_object_get(r->store.replica, "run");
	AUTO_FREE char *number = xasprintf("%lld", (long long)json_integer_value(json_object_get(run, "number")));
	int k;

	if (json_is_true(json_object_get(run, "completed")))
		return 0;
	k = points_find(&r->store, number, &r->point, e);
	for (size_t i = 0; !k && point_disk(r->point, i); i++)
		k = flatten(r, i, e);
	if (!k && rmdir(r->dir) && errno != ENOENT)
		k = err_sys(e, errno, "%s has something in it still", r->dir);
	if (k)
		return k;
	json_object_set_new(run, "completed", json_true());
	json_object_set_new(r->store.replica, "had", replica_disks_before(r->point));
	k = points_set(&r->store, "run", json_incref(run), e);
	fault_point("replica-completed");
	return k;
}

/* The move of a guest that came as it ran may be decided by who has the term. */
static int check_settled(const struct replica_conf *c, const json_t *run, const char *guest, struct err *e)
{
	AUTO_FREE char *journal = xasprintf("%s/%s-dst.journal", c->state_dir, json_text(run, "attempt") ?: "");

	return json_text(run, "attempt") && !access(journal, F_OK)
		       ? err_set(e, EBUSY, "the move by which guest %s came here is not settled yet: vmferry recover at its primary", guest)
		       : 0;
}

static bool is_tried(const struct run *r)
{
	AUTO_FREE char *test = xasprintf("%s/test", r->store.dir);

	return !access(test, F_OK);
}

int replica_failover_complete(struct replica_conf *c, const char *guest)
{
	struct run r;
	struct err e;
	int k;
	bool over;

	replica_conf_pass_on(c);
	k = run_begin(&r, c, guest, "run", &e);
	over = !k && points_are_over(&r.store); /* a call that was killed at its very end has removed the points */

	if (!k && !over && (json_object_get(r.store.replica, "test") || is_tried(&r)))
		k = err_set(&e, EBUSY, "a trial of guest %s runs from one of the points: vmferry replica test %s --end", guest, guest);
	if (!k && !over && !json_object_get(r.store.replica, "run"))
		k = err_set(&e, ENOENT, "guest %s does not run here from a point of its replica", guest);
	if (!k && !over)
		k = check_settled(c, json_object_get(r.store.replica, "run"), guest, &e);
	if (!over)
		k = k ?: flatten_all(&r, &e) ?: points_retire(&r.store, &e);
	if (!k)
		fprintf(c->o.events.json ? stderr : stdout,
			"guest %s has its own disks here, in %s, and its replica's points are gone (%s starts it again)\n", guest, r.home,
			r.script);
	r.point = NULL;
	run_fini(&r);
	return k ? replica_say(&e) : 0;
}
