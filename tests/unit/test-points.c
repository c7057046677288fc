/*
 * test-points.c: points of a replica that are dropped, by whoever is killed at any moment: all others are what they were.
 * timeout: 300
 */
#include "image-lock.h"
#include "merge.h"
#include "onward.h"
#include "points-note.h"
#include "points-state.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DISKS  2
#define POINTS 4
#define BYTES  (2 * MIB)
#define BLOCK  4096
#define KILLS  8

static char dir[] = "/tmp/vmferry-test-points-block.XXXXXX"; /* "lock" is in it */
static char *store;
static struct err e;
static bool has_qemu_img;

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...)
{
	char cmd[2048];
	va_list ap;
	int status;

	va_start(ap, format);
	vsnprintf(cmd, sizeof(cmd), format, ap);
	va_end(ap);
	status = system(cmd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define must(...) assert_int_equal(run(__VA_ARGS__), 0)

/* ---- a replica, and what its points are ---- */

static json_t *describe(uint64_t number)
{
	json_t *disks = json_array();
	unsigned i;

	for (i = 0; i < DISKS; i++)
		json_array_append_new(disks, json_pack("{s:o,s:s,s:I}", "file", json_sprintf("disk%u.%s", i, number == 1 ? "raw" : "qcow2"),
						       "format", number == 1 ? "raw" : "qcow2", "bytes", (json_int_t)BYTES));
	return json_pack("{s:I,s:i,s:I,s:o}", "number", (json_int_t)number, "term", 1, "at_ms", (json_int_t)number * 1000000, "disks",
			 disks);
}

static void write_blocks(const char *draft, unsigned disk, uint64_t number)
{
	const char *format = number == 1 ? "raw" : "qcow2";
	char orders[1024];
	size_t n = 0;
	unsigned i;

	for (i = 0; i < 12; i++)
		n += (size_t)snprintf(orders + n, sizeof(orders) - n, " -c 'write -q -P %u %u %u'", (unsigned)rand() % 256,
				      (unsigned)(rand() % (BYTES / BLOCK)) * BLOCK, BLOCK);
	must("qemu-io -f %s %s %s/disk%u.%s", format, orders, draft, disk, format);
	must("qemu-img convert -O raw %s/disk%u.%s %s/truth.%llu.%u", draft, disk, format, dir, (unsigned long long)number, disk);
}

static void add_point(uint64_t number)
{
	AUTO_FREE char *draft = NULL;
	json_t *point = describe(number);
	struct points p;
	unsigned i;

	if (points_read(&p, store, &e))
		fail_msg("%s", e.msg);
	draft = points_draft(&p, number, "0011");
	assert_int_equal(mkdir(draft, 0700), 0);
	for (i = 0; i < DISKS; i++) {
		if (number == 1)
			must("qemu-img create -q -f raw %s/disk%u.raw %llu", draft, i, (unsigned long long)BYTES);
		else
			must("cd %s && qemu-img create -q -f qcow2 -o extended_l2=on,cluster_size=128k -F %s -b ../%s/disk%u.%s "
			     "disk%u.qcow2",
			     draft, json_string_value(json_object_get(point_disk(points_newest(&p), i), "format")), points_newest(&p)->slot,
			     i, strrchr(json_string_value(json_object_get(point_disk(points_newest(&p), i), "file")), '.') + 1, i);
		write_blocks(draft, i, number);
	}
	if (points_publish(&p, draft, point, &e))
		fail_msg("%s", e.msg);
	json_decref(point);
	points_close(&p);
}

static void make_first_replica(void)
{
	json_t *about = json_pack("{s:s,s:i}", "pair", "0123456789abcdef", "term", 1);
	uint64_t i;

	assert_int_equal(points_create(store, about, &e), 0);
	json_decref(about);
	for (i = 1; i <= POINTS; i++)
		add_point(i);
}

/* The store as it was made once. */
static void make_replica(void)
{
	AUTO_FREE char *first = xasprintf("%s/first", dir);

	if (access(first, F_OK)) {
		make_first_replica();
		must("cp -a '%s' '%s'", store, first);
	}
	must("rm -rf '%s' && cp -a '%s' '%s'", store, first, store);
}

static bool compares(const struct points *p, const struct point *pt)
{
	unsigned i;

	for (i = 0; i < DISKS; i++) {
		const json_t *d = point_disk(pt, i);
		AUTO_FREE char *path = points_path(p, pt->slot, json_string_value(json_object_get(d, "file")));

		if (run("qemu-img compare -q -f %s -F raw %s %s/truth.%llu.%u", json_string_value(json_object_get(d, "format")), path, dir,
			(unsigned long long)pt->number, i))
			return false;
	}
	return true;
}

/* A qemu-img that dies with who has started it may still have its locks for a moment. */
static bool is_as_it_was(const struct points *p, const struct point *pt)
{
	unsigned tries;

	for (tries = 0; tries < 50 && !compares(p, pt); tries++)
		poll(NULL, 0, 100);
	return tries < 50;
}

/* All but `gone` are there, and what they were; `gone` may be there, if it is what it was. */
static void check_all_but(uint64_t gone, bool must_be_gone)
{
	struct points p;
	uint64_t number = 1;
	size_t i;

	if (points_read(&p, store, &e))
		fail_msg("%s", e.msg);
	for (i = 0; i < p.count; i++, number++) {
		if (number == gone && p.list[i].number != number)
			number++;
		assert_int_equal(p.list[i].number, number);
		if (!is_as_it_was(&p, &p.list[i]))
			fail_msg("point %llu is not what it was", (unsigned long long)number);
	}
	assert_true(p.count == POINTS - 1 || (!must_be_gone && p.count == POINTS));
	points_close(&p);
}

static void mend(void)
{
	struct points p;
	int fd;

	assert_int_equal(points_lock(store, &fd, &e), 0);
	if (points_read(&p, store, &e) || points_mend(&p, &e))
		fail_msg("%s", e.msg);
	assert_null(p.into);
	points_close(&p);
	close(fd);
}

static int drop(size_t index)
{
	struct points p;
	int fd, r = points_lock(store, &fd, &e);

	r = r ?: points_read(&p, store, &e) ?: points_drop(&p, index, &e);
	points_close(&p);
	close(fd);
	return r;
}

/* ---- tests ---- */

static int setup(void **state)
{
	(void)state;
	has_qemu_img = !run("qemu-img --version >/dev/null 2>&1");
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	store = points_dir(dir, "../a-vm");
	srand(5);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(store);
	return run("rm -rf '%s'", dir);
}

static void a_name_is_one_directory(void **state)
{
	AUTO_FREE char *plain = points_dir("/srv/100%n", "vm1");

	(void)state;
	assert_string_equal(plain, "/srv/100%n/vm1.replica");
	assert_null(strstr(store + strlen(dir) + 1, "/"));
}

static void a_point_is_dropped_wherever_it_is(void **state)
{
	size_t at;

	(void)state;
	if (!has_qemu_img)
		skip();
	for (at = 0; at < POINTS - 1; at++) {
		make_replica();
		if (drop(at))
			fail_msg("%s", e.msg);
		check_all_but(at + 1, true);
	}
	assert_int_equal(drop(POINTS - 2), -EINVAL); /* the newest of those that are left */
	while (!drop(0))
		;
	assert_int_equal(e.code, EINVAL);
}

static pid_t begin_dropping(size_t at, const char *fault)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (fault)
		setenv("VMFERRY_FAULT", fault, 1);
	_exit(drop(at) ? 1 : 0);
}

/* Prunes all at once, by the same rule as points_tidy(). */
static int prune(struct points *p, const struct keep_rule *k, unsigned *dropped)
{
	bool one;
	int r;

	for (*dropped = 0; (r = points_prune_one(p, k, &one, &e)), one; ++*dropped)
		;
	return r;
}

/* A guest may run from a point though many are to be merged still. */
static void merges_let_others_in(void **state)
{
	struct points p;
	int status, lock;
	pid_t pid;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(p.count, 4);
	assert_int_equal(points_set(&p, "keep", json_string("1"), &e), 0);
	points_close(&p);
	pid = fork();
	if (!pid) {
		setenv("VMFERRY_FAULT", "points-dropped:stop", 1);
		_exit(points_tidy_at(store, &e) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(points_lock_now(store, &lock, &e), 0);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(p.count, 3);
	assert_int_equal(points_set(&p, "run", json_pack("{s:i}", "number", 3), &e), 0);
	points_close(&p);
	close(lock);
	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(p.count, 3);
	points_close(&p);
}

static void who_is_killed_at_a_step_harms_no_other_point(void **state)
{
	static const char *const steps[] = {"points-merging", "points-committed", "points-rebased", "points-merged"};
	size_t i;
	int status;

	(void)state;
	if (!has_qemu_img)
		skip();
	for (i = 0; i < ARRAY_LEN(steps); i++) {
		make_replica();
		waitpid(begin_dropping(1, steps[i]), &status, 0);
		assert_true(WIFSIGNALED(status));
		check_all_but(2, false);
		mend();
		check_all_but(2, true);
	}
}

/* A trial begins while a merge is cut off: its overlays are above a directory that the merge would take away. */
static void merge_that_was_cut_off_waits_for_a_trial(void **state)
{
	AUTO_FREE char *slot = NULL;
	struct points p;
	int status;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	slot = xasprintf("%s/points/000003", store);
	waitpid(begin_dropping(1, "points-committed"), &status, 0);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(points_set(&p, "test", json_pack("{s:i}", "number", 3), &e), 0);
	assert_int_equal(points_mend(&p, &e), 0);
	points_close(&p);
	assert_int_equal(access(slot, F_OK), 0);
	assert_int_equal(points_read(&p, store, &e), 0);
	json_object_del(p.replica, "test");
	assert_int_equal(points_set(&p, "term", json_integer(1), &e), 0);
	points_close(&p);
	mend();
	check_all_but(2, true);
	assert_int_equal(access(slot, F_OK), -1);
}

static void who_is_killed_at_any_moment_harms_no_other_point(void **state)
{
	unsigned i;
	int status;
	pid_t pid;

	(void)state;
	if (!has_qemu_img)
		skip();
	for (i = 0; i < KILLS; i++) {
		make_replica();
		pid = begin_dropping(i % 3, NULL);
		poll(NULL, 0, rand() % 150);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		check_all_but(i % 3 + 1, false);
		mend();
		check_all_but(i % 3 + 1, false);
	}
}

static void images_that_a_qemu_reads_stay(void **state)
{
	AUTO_FREE char *image = NULL;
	int status, fd, r;
	pid_t pid;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	image = xasprintf("%s/points/000002/disk1.qcow2", store);
	pid = fork();
	if (!pid) {
		execlp("qemu-io", "qemu-io", "-r", "-f", "qcow2", "-c", "sleep 60000", image, NULL);
		_exit(1);
	}
	while (!(r = image_lock(image, IMAGE_OWN, &fd, &e))) {
		close(fd);
		poll(NULL, 0, 10);
	}
	assert_int_equal(r, -EBUSY);
	assert_int_equal(drop(0), -EBUSY);
	assert_int_equal(drop(1), -EBUSY);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	check_all_but(99, false);
	assert_int_equal(drop(1), 0);
}

static void what_is_damaged_is_not_in_use(void **state)
{
	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	must("truncate -s 8 %s/points/000002/disk1.qcow2", store);
	assert_int_equal(drop(0), -EIO);
}

static void half_a_point_is_none(void **state)
{
	struct points p;
	AUTO_FREE char *draft = NULL;
	json_t *point = describe(POINTS + 1);

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	assert_int_equal(points_read(&p, store, &e), 0);
	draft = points_draft(&p, POINTS + 1, "44");
	assert_int_equal(mkdir(draft, 0700), 0);
	must("cp %s/points/000002/disk0.qcow2 %s", store, draft);
	assert_int_equal(points_publish(&p, draft, point, &e), -ENOENT); /* the second disk's image */
	json_decref(point);
	points_close(&p);
	check_all_but(99, false);
	mend();
	assert_int_equal(access(draft, F_OK), -1);
}

static void damage(const char *slot, const char *text)
{
	must("printf %%s '%s' >%s/points/%s/point.json", text, store, slot);
}

static void assert_is(const struct points *p, size_t i, uint64_t number)
{
	assert_int_equal(p->list[i].number, number);
	if (!is_as_it_was(p, &p->list[i]))
		fail_msg("point %llu is not what it was", (unsigned long long)number);
}

/* All others are there, and what they were; its images lie below theirs. */
static void what_is_damaged_stands_alone(void **state)
{
	static const char *const wrong[] =
		{"{", "[]", "{}", "{\"number\": 2, \"term\": 1, \"disks\": [{\"file\": \"../x\", \"format\": \"raw\", \"bytes\": 1}]}"};
	const struct point *found;
	struct points p;
	size_t i;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		damage("000002", wrong[i]);
		mend();
		assert_int_equal(points_read(&p, store, &e), 0);
		assert_int_equal(p.damaged_count, 1);
		assert_string_equal(p.damaged[0].slot, "000002");
		assert_int_equal(p.count, POINTS - 1);
		assert_int_equal(points_find(&p, "2", &found, &e), -ENOENT);
		points_close(&p);
	}
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_is(&p, 0, 1);
	assert_is(&p, 1, 3);
	assert_is(&p, 2, 4);
	points_close(&p);
}

static void nothing_is_dropped_beside_what_is_damaged(void **state)
{
	const struct keep_rule k = {1, 0};
	unsigned dropped;
	struct points p;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	damage("000002", "{");
	assert_int_equal(drop(0), -EBADMSG); /* 3 would go into 1, and is above 2 */
	damage("000003", "{");
	must("cp %s/first/points/000002/point.json %s/points/000002", dir, store);
	assert_int_equal(drop(0), -EBADMSG); /* 2 would go into 1, and 3 is above 2 */
	damage("000002", "{");
	must("cp %s/first/points/000003/point.json %s/points/000003", dir, store);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(prune(&p, &k, &dropped), -EBADMSG);
	assert_int_equal(dropped, 1); /* 3: 4 has gone into it */
	assert_int_equal(p.count, 2);
	assert_is(&p, 0, 1);
	assert_is(&p, 1, 4);
	points_close(&p);
}

/* A merge that was cut off goes on once what lies above it can be read again. */
static void cut_off_merge_waits_for_what_is_damaged(void **state)
{
	struct points p;
	int status;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	waitpid(begin_dropping(1, "points-committed"), &status, 0);
	damage("000004", "{");
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(points_mend(&p, &e), -EBADMSG);
	points_close(&p);
	must("cp %s/first/points/000004/point.json %s/points/000004", dir, store);
	mend();
	check_all_but(2, true);
}

/* A damaged newest point is never replaced by an older one, and the next point takes no slot that exists. */
static void newest_that_is_damaged_is_missed(void **state)
{
	const struct point *found;
	struct points p;
	bool stays;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	damage("000004", "{");
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(points_newest(&p)->number, 3);
	assert_int_equal(points_next_number(&p), 5);
	assert_int_equal(points_find(&p, NULL, &found, &e), -EBADMSG);
	assert_int_equal(points_find(&p, "3", &found, &e), 0);
	assert_int_equal(points_remove_all(&p, &stays, &e), 0);
	assert_int_equal(access(store, F_OK), -1);
	points_close(&p);
}

static void a_point_is_found_by_number_and_time(void **state)
{
	const struct point *found;
	struct points p;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	setenv("TZ", "UTC", 1);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(points_find(&p, NULL, &found, &e), 0);
	assert_int_equal(found->number, POINTS);
	assert_int_equal(points_find(&p, "2", &found, &e), 0);
	assert_int_equal(found->number, 2);
	/* point n is of second n * 1000: 1970-01-01 00:33:20 is point 2's */
	assert_int_equal(points_find(&p, "1970-01-01 00:33", &found, &e), 0);
	assert_int_equal(found->number, 2);
	assert_int_equal(points_find(&p, "1970-01-01 00:33:19", &found, &e), 0);
	assert_int_equal(found->number, 1);
	assert_int_equal(points_find(&p, "1970-01-01 00:10", &found, &e), -ENOENT);
	assert_int_equal(points_find(&p, "77", &found, &e), -ENOENT);
	assert_int_equal(points_find(&p, "yesterday", &found, &e), -EINVAL);
	points_close(&p);
}

static void what_stays_is_as_the_rule_says(void **state)
{
	const struct keep_rule k = {2, 0};
	unsigned dropped;
	struct points p;
	bool stays;
	int fd;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	assert_int_equal(points_lock(store, &fd, &e), 0);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(points_set(&p, "run", json_pack("{s:i}", "number", 2), &e), 0);
	assert_int_equal(prune(&p, &k, &dropped), 0); /* a guest runs from one of them */
	assert_int_equal(dropped, 0);
	json_object_del(p.replica, "run");
	assert_int_equal(points_set(&p, "term", json_integer(1), &e), 0);
	assert_int_equal(prune(&p, &k, &dropped), 0);
	assert_int_equal(dropped, 2);
	assert_int_equal(p.count, 2);
	assert_true(is_as_it_was(&p, &p.list[0]) && is_as_it_was(&p, &p.list[1]));
	assert_int_equal(points_remove_all(&p, &stays, &e), 0);
	assert_false(stays);
	assert_int_equal(access(store, F_OK), -1);
	points_close(&p);
	close(fd);
}

/* The next point that goes on to a further host is told by what was written since the one that is there. */
static void point_that_a_further_host_has_stays(void **state)
{
	const struct keep_rule k = {1, 0};
	unsigned dropped;
	struct points p;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	assert_int_equal(onward_begin(store, "root@host-c", 2, &e), 0);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_string_equal(onward_to(&p), "root@host-c");
	assert_int_equal(prune(&p, &k, &dropped), 0);
	assert_int_equal(p.count, 2);
	assert_is(&p, 0, 2);
	assert_is(&p, 1, 4);
	points_close(&p);
	assert_int_equal(onward_begin(store, "root@host-c", 4, &e), 0);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(prune(&p, &k, &dropped), 0);
	assert_int_equal(p.count, 1);
	points_close(&p);
}

/* The old primary may ask here for as long as anybody knows of the takeover. */
static void takeover_at_a_further_host_stays_known(void **state)
{
	struct points p;
	bool stays;
	int fd;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	assert_int_equal(onward_begin(store, "root@host-c", 1, &e), 0);
	assert_int_equal(onward_set_replaced(store, true, &e), 0);
	assert_int_equal(onward_set_replaced(store, true, &e), 0);
	assert_int_equal(onward_end(store, &e), 0);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_non_null(onward_replaced(&p));
	/* the form that a vmferry without onward replicas understands */
	assert_int_equal(json_integer_value(json_object_get(p.replica, "term")), 2);
	assert_int_equal(points_lock(store, &fd, &e), 0);
	assert_int_equal(points_remove_all(&p, &stays, &e), 0);
	close(fd);
	assert_true(stays);
	points_close(&p);
	assert_int_equal(onward_set_replaced(store, false, &e), 0);
	assert_int_equal(onward_end(store, &e), 0);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_null(onward_to(&p));
	assert_int_equal(json_integer_value(json_object_get(p.replica, "term")), 1);
	points_close(&p);
}

static void put_term(struct points *p, json_t *run, json_int_t term)
{
	if (run)
		json_object_set_new(p->replica, "run", run);
	else
		json_object_del(p->replica, "run");
	assert_int_equal(points_set(p, "term", json_integer(term), &e), 0);
	points_close(p);
}

static json_int_t term_now(struct points *p)
{
	assert_int_equal(points_read(p, store, &e), 0);
	return json_integer_value(json_object_get(p->replica, "term"));
}

/* The guest was taken over here, then there, as this host was lost; and the run from here is thrown away. */
static void takeover_there_outlives_a_run_here(void **state)
{
	struct points p;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	assert_int_equal(onward_begin(store, "root@host-c", 1, &e), 0);
	assert_int_equal(term_now(&p), 1);
	put_term(&p, json_pack("{s:i}", "term_before", 1), 2);
	assert_int_equal(onward_set_replaced(store, true, &e), 0);
	assert_int_equal(term_now(&p), 2);
	assert_int_equal(onward_own_term(&p), 1);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(p.replica, "run"), "term_before")), 2);
	put_term(&p, NULL, 2);
	assert_int_equal(onward_set_replaced(store, false, &e), 0);
	assert_int_equal(term_now(&p), 1);
	points_close(&p);
}

/* The takeover there is still known, but the guest runs here, as a person says that it certainly does not run there. */
static void run_here_keeps_the_term_that_it_has_raised(void **state)
{
	struct points p;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	assert_int_equal(onward_begin(store, "root@host-c", 1, &e), 0);
	assert_int_equal(onward_set_replaced(store, true, &e), 0);
	assert_int_equal(term_now(&p), 2);
	put_term(&p, json_pack("{s:i}", "term_before", 2), 3);
	assert_int_equal(onward_set_replaced(store, false, &e), 0); /* the point was removed there meanwhile */
	assert_int_equal(onward_begin(store, "root@host-d", 1, &e), 0);
	assert_int_equal(term_now(&p), 3);
	assert_string_equal(onward_to(&p), "root@host-c");
	put_term(&p, NULL, 2);
	assert_int_equal(onward_set_replaced(store, false, &e), 0);
	assert_int_equal(term_now(&p), 1);
	assert_null(onward_replaced(&p));
	json_object_set_new(p.replica, "over", json_true());
	put_term(&p, NULL, 3);
	assert_int_equal(onward_set_replaced(store, true, &e), 0);
	assert_int_equal(onward_set_replaced(store, false, &e), 0);
	assert_int_equal(term_now(&p), 4);
	points_close(&p);
}

static void note_is_of_the_guest_that_its_name_says(void **state)
{
	static const char *const others[] = {".replica.json", "vm7.replica.json.new-1234abcd", "vm7.json", ".vm7.replica.json", "lock"};
	AUTO_FREE char *guest = points_note_guest("web.example.com.replica.json");
	size_t i;

	(void)state;
	assert_string_equal(guest, "web.example.com");
	for (i = 0; i < ARRAY_LEN(others); i++)
		assert_null(points_note_guest(others[i]));
}

static void points_go_on_as_long_as_they_are_points(void **state)
{
	struct points p;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(onward_check(&p, json_string_value(json_object_get(p.replica, "pair")), &e), 0);
	assert_int_equal(onward_check(&p, NULL, &e), 0);
	assert_int_equal(onward_check(&p, "another", &e), -ESTALE);
	json_object_set_new(p.replica, "run", json_object());
	assert_int_equal(onward_check(&p, NULL, &e), -ESTALE);
	json_object_del(p.replica, "run");
	json_object_set_new(p.replica, "over", json_true());
	assert_int_equal(onward_check(&p, NULL, &e), -ESTALE);
	points_close(&p);
}

static void set(const char *key, json_t *value)
{
	struct points p;

	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(points_set(&p, key, value, &e), 0);
	points_close(&p);
}

static void assert_warns(const char *word, size_t count)
{
	struct points p;
	AUTO_FREE char *text = NULL;
	json_t *all;

	assert_int_equal(points_read(&p, store, &e), 0);
	all = points_warnings(&p);
	text = json_dumps(all, 0);
	if (json_array_size(all) != count || (word && !strstr(text, word)))
		fail_msg("%s", text);
	json_decref(all);
	points_close(&p);
}

/* Points stay as long as it is there, whoever has forgotten it, or was killed as it began. */
static void trial_is_told_and_points_go_after_it(void **state)
{
	struct points p;
	int session;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	assert_warns(NULL, 0);
	set("keep", json_string("2"));
	set("test", json_pack("{s:i,s:s}", "number", 3, "at", "2026-11-29 14:05:10"));
	assert_warns("a trial of the guest, from point 3, since 2026-11-29 14:05:10", 1);
	assert_int_equal(points_tidy_at(store, &e), 0);
	check_all_but(99, false);
	assert_int_equal(points_read(&p, store, &e), 0);
	json_object_del(p.replica, "test");
	assert_int_equal(points_set(&p, "term", json_integer(1), &e), 0);
	points_close(&p);
	must("mkdir %s/test", store);
	assert_warns("cut off as it began", 1);
	assert_int_equal(points_tidy_at(store, &e), 0);
	check_all_but(99, false);
	must("rmdir %s/test", store);
	assert_int_equal(points_session(store, &session, &e), 0); /* the process that makes a point holds the session */
	assert_int_equal(points_tidy_at(store, &e), 0);
	check_all_but(99, false);
	close(session);
	assert_int_equal(points_tidy_at(store, &e), 0);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(p.count, 2);
	assert_is(&p, 0, 3);
	assert_is(&p, 1, 4);
	points_close(&p);
}

static void points_that_cannot_be_dropped_are_told(void **state)
{
	AUTO_FREE char *since = NULL;
	struct points p;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	set("keep", json_string("2"));
	must("mv %s/points/000002/disk1.qcow2 %s/away", store, dir);
	assert_true(points_tidy_at(store, &e) < 0);
	assert_warns("disk1.qcow2", 1);
	assert_int_equal(points_read(&p, store, &e), 0);
	since = xstrdup(json_string_value(json_object_get(json_object_get(p.replica, "not_dropped"), "since")));
	points_close(&p);
	assert_true(points_tidy_at(store, &e) < 0);
	assert_warns(since, 1);
	must("mv %s/away %s/points/000002/disk1.qcow2", dir, store);
	assert_int_equal(points_tidy_at(store, &e), 0);
	assert_warns(NULL, 0);
}

static void many_points_are_told(void **state)
{
	struct points p;
	uint64_t i;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	set("keep", json_string("4,hourly:2"));
	for (i = POINTS + 1; i <= 106; i++) {
		AUTO_FREE char *slot = xasprintf("%06llu", (unsigned long long)i);

		must("mkdir %s/points/%s && sed 's/\"number\": 2,/\"number\": %llu,/' %s/points/000002/point.json >%s/points/%s/point.json",
		     store, slot, (unsigned long long)i, store, store, slot);
	}
	assert_warns(NULL, 0);
	must("mkdir %s/points/000107 && sed 's/\"number\": 2,/\"number\": 107,/' %s/points/000002/point.json >%s/points/000107/point.json",
	     store, store, store);
	assert_warns("there are 107 points, many more than are to be kept (4,hourly:2)", 1);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_true(points_are_many(&p));
	points_close(&p);
}

static void rename_slot(const char *from, const char *to)
{
	must("mv %s/points/%s %s/points/%s", store, from, store, to);
}

/* The slot that was merged into is the older one, though its name may be longer, or later in the alphabet. */
static void slots_are_numbers(void **state)
{
	struct points p;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	rename_slot("000001", "999999");
	rename_slot("000002", "1000000");
	must("sed 's/\"number\": 1,/\"number\": 2,/' -i %s/points/999999/point.json", store);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(p.count, POINTS - 1);
	assert_int_equal(p.list[0].number, 2);
	assert_string_equal(p.list[0].slot, "999999");
	points_close(&p);
}

/* The primary of the pair that was there may come back, and ask. */
static void another_pair_remembers_it(json_t *about)
{
	struct points p;
	json_t *past;

	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(points_set(&p, "over", json_true(), &e), 0);
	points_close(&p);
	assert_int_equal(points_create(store, about, &e), 0); /* the same again */
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_int_equal(points_set(&p, "over", json_true(), &e), 0);
	points_close(&p);
	json_object_set_new(about, "pair", json_string("00000000000000aa"));
	assert_int_equal(points_create(store, about, &e), 0);
	assert_int_equal(points_read(&p, store, &e), 0);
	past = json_object_get(p.replica, "past");
	assert_int_equal(json_array_size(past), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(past, 0), "pair")), "0123456789abcdef");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(past, 0), "term")), 7);
	assert_string_equal(json_string_value(json_object_get(json_array_get(past, 1), "pair")), "fedcba9876543210");
	points_close(&p);
}

/* A guest that has stayed here leaves its pair and term, until a replica of another pair begins. */
static void what_is_over_is_known_still(void **state)
{
	json_t *about = json_pack("{s:s,s:i}", "pair", "fedcba9876543210", "term", 1);
	struct points p;
	int fd;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	assert_int_equal(points_create(store, about, &e), -EEXIST);
	assert_int_equal(points_lock(store, &fd, &e), 0);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_false(points_are_over(&p));
	assert_int_equal(points_set(&p, "term", json_integer(7), &e), 0);
	assert_int_equal(points_set(&p, "run", json_pack("{s:b}", "completed", 1), &e), 0);
	if (points_retire(&p, &e))
		fail_msg("%s", e.msg);
	points_close(&p);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_true(points_are_over(&p));
	assert_int_equal(p.count, 0);
	assert_int_equal(json_integer_value(json_object_get(p.replica, "term")), 7);
	assert_string_equal(json_string_value(json_object_get(p.replica, "pair")), "0123456789abcdef");
	assert_null(json_object_get(p.replica, "run"));
	assert_int_equal(points_retire(&p, &e), 0); /* a second time */
	points_close(&p);
	close(fd);
	assert_int_equal(points_create(store, about, &e), 0);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_false(points_are_over(&p));
	points_close(&p);
	another_pair_remembers_it(about);
	json_decref(about);
}

static void assert_removed(json_int_t term, json_int_t past, bool stays)
{
	json_t *about = json_pack("{s:s,s:I}", "pair", "aa", "term", term);
	struct points p;
	bool did;

	must("rm -rf '%s'", store);
	assert_int_equal(points_create(store, about, &e), 0);
	json_decref(about);
	assert_int_equal(points_read(&p, store, &e), 0);
	if (past)
		assert_int_equal(points_set(&p, "past", json_pack("[{s:s,s:I}]", "pair", "bb", "term", past), &e), 0);
	assert_int_equal(points_remove_all(&p, &did, &e), 0);
	assert_int_equal(did, stays);
	points_close(&p);
	assert_int_equal(access(store, F_OK), stays ? 0 : -1);
}

/* A primary that was replaced earlier still asks, also once the points were removed. */
static void who_was_replaced_is_known_after_a_removal(void **state)
{
	json_t *about = json_pack("{s:s,s:i}", "pair", "cc", "term", 1);
	const json_t *past;
	struct points p;

	(void)state;
	assert_removed(1, 0, false);
	assert_removed(1, 4, true);
	assert_removed(3, 0, true);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_true(points_are_vacant(&p));
	assert_false(points_are_over(&p)); /* the guest did not stay here */
	points_close(&p);
	assert_int_equal(points_create(store, about, &e), 0);
	json_decref(about);
	assert_int_equal(points_read(&p, store, &e), 0);
	assert_false(points_are_vacant(&p));
	past = json_object_get(p.replica, "past");
	assert_int_equal(points_replaced_in(past, "aa", 2), 3);
	assert_int_equal(points_replaced_in(past, "aa", 3), 0); /* the primary of that time */
	assert_int_equal(points_replaced_in(past, "cc", 1), 0);
	points_close(&p);
}

static bool has_open(pid_t pid, const char *path)
{
	AUTO_FREE char *list = xasprintf("/proc/%d/fd", (int)pid);

	return !run("readlink %s/* | grep -qxF %s", list, path);
}

/* In a process of its own: 0, if it has locked the file that has the name then. */
static int lock_in_turn(const char *at, const char *path)
{
	struct stat has, named;
	int fd;

	if (points_lock(at, &fd, &e) || fstat(fd, &has) || stat(path, &named))
		return 2;
	return has.st_ino == named.st_ino ? 0 : 1;
}

/* The points, and their lock with them, are removed while another waits for it, and a replica is made anew. */
static void a_lock_that_has_gone_is_none(void **state)
{
	char at[] = "/tmp/vmferry-test-lock.XXXXXX";
	AUTO_FREE char *path = NULL;
	int old, now, status, waited, ready[2];
	pid_t other;
	char word;

	(void)state;
	assert_non_null(mkdtemp(at));
	path = xasprintf("%s/lock", at);
	assert_int_equal(points_lock(at, &old, &e), 0);
	assert_int_equal(pipe(ready), 0);
	other = fork();
	if (!other) {
		close(old);
		close(ready[0]);
		close(ready[1]);
		_exit(lock_in_turn(at, path));
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &word, 1), 0); /* files that it opens from now on are its own */
	close(ready[0]);
	for (waited = 0; !has_open(other, path) && waited < 2000; waited++)
		poll(NULL, 0, 5);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(points_lock(at, &now, &e), 0);
	close(old);
	close(now);
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
	unlink(path);
	rmdir(at);
}

/* The oldest is not the first where there is no room for what the next has: that would be begun, and stay half done. The last test, as it has other mounts. */
static void room_says_which_goes_first(void **state)
{
	AUTO_FREE char *small = xasprintf("%s/small", dir);
	const struct keep_rule k = {1, 0};
	unsigned dropped, i, disk;
	struct points p;
	bool one;

	(void)state;
	if (!has_qemu_img)
		skip();
	make_replica();
	for (disk = 0; disk < DISKS; disk++) { /* 2 has all that 3 is to go into; 1 has next to nothing of it */
		must("qemu-io -f qcow2 -c 'write -q -P 9 0 2M' %s/points/000002/disk%u.qcow2", store, disk);
		for (i = 2; i <= POINTS; i++)
			must("qemu-img convert -O raw %s/points/00000%u/disk%u.qcow2 %s/truth.%u.%u", store, i, disk, dir, i, disk);
	}
	if (unshare(CLONE_NEWNS) || mount("", "/", "", MS_REC | MS_PRIVATE, NULL) || mkdir(small, 0700) ||
	    mount("none", small, "tmpfs", 0, "size=32m")) {
		print_message("skipped: need root, to mount a file system\n");
		return;
	}
	must("cp -a %s/. %s && cd %s && fallocate -l $(($(stat -f -c %%a .) * $(stat -f -c %%S .) - 3145728)) filler", store, small, small);
	assert_int_equal(points_read(&p, small, &e), 0);
	if (points_prune_one(&p, &k, &one, &e))
		fail_msg("%s", e.msg);
	assert_true(one);
	assert_int_equal(p.count, POINTS - 1);
	assert_is(&p, 0, 1);
	assert_is(&p, 1, 3);
	assert_is(&p, 2, 4);
	must("rm %s/filler", small);
	assert_int_equal(prune(&p, &k, &dropped), 0);
	assert_int_equal(p.count, 1);
	assert_is(&p, 0, 4);
	points_close(&p);
	assert_int_equal(umount(small), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_one_directory),
		cmocka_unit_test(a_point_is_dropped_wherever_it_is),
		cmocka_unit_test(who_is_killed_at_a_step_harms_no_other_point),
		cmocka_unit_test(merge_that_was_cut_off_waits_for_a_trial),
		cmocka_unit_test(who_is_killed_at_any_moment_harms_no_other_point),
		cmocka_unit_test(images_that_a_qemu_reads_stay),
		cmocka_unit_test(what_is_damaged_is_not_in_use),
		cmocka_unit_test(half_a_point_is_none),
		cmocka_unit_test(what_is_damaged_stands_alone),
		cmocka_unit_test(nothing_is_dropped_beside_what_is_damaged),
		cmocka_unit_test(cut_off_merge_waits_for_what_is_damaged),
		cmocka_unit_test(newest_that_is_damaged_is_missed),
		cmocka_unit_test(a_point_is_found_by_number_and_time),
		cmocka_unit_test(what_stays_is_as_the_rule_says),
		cmocka_unit_test(point_that_a_further_host_has_stays),
		cmocka_unit_test(merges_let_others_in),
		cmocka_unit_test(takeover_at_a_further_host_stays_known),
		cmocka_unit_test(takeover_there_outlives_a_run_here),
		cmocka_unit_test(run_here_keeps_the_term_that_it_has_raised),
		cmocka_unit_test(points_go_on_as_long_as_they_are_points),
		cmocka_unit_test(note_is_of_the_guest_that_its_name_says),
		cmocka_unit_test(trial_is_told_and_points_go_after_it),
		cmocka_unit_test(points_that_cannot_be_dropped_are_told),
		cmocka_unit_test(many_points_are_told),
		cmocka_unit_test(slots_are_numbers),
		cmocka_unit_test(what_is_over_is_known_still),
		cmocka_unit_test(who_was_replaced_is_known_after_a_removal),
		cmocka_unit_test(a_lock_that_has_gone_is_none),
		cmocka_unit_test(room_says_which_goes_first),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
