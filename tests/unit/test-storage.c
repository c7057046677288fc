/*
 * test-storage.c: a guest's disk goes to another image, as QEMU is told to, what starts the guest is, and the file system; against a QEMU
 * that is played here, on a host whose power fails.
 */
#include "../lib/power-failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "moving.h"
#include "own-file.h"
#include "process.h"

#include "../lib/played-qemu.h"

#define BYTES MIB
#define LAST  (BYTES - 4096) /* offset at which the guest writes when everything else is copied and synced */

static struct {
	const char *migration; /* under way in it; NULL: none */
	const char *job, *uses, *status;
	bool writes_fast; /* the guest writes so fast that the copies never are equal while it runs */
	unsigned conts;
	int fd;		     /* descriptor of the new image */
	unsigned finalized;  /* jobs */
	bool backs_up;	     /* a job of somebody else's is there */
	const char *version; /* NULL: PLAYED_VERSION */
	bool let_go;	     /* another client lets the guest go on, so that the copies are equal only later */
	unsigned stops, looks;
} qemu;

static char dir[64], disks[80], new[96], logs[80], old_image[112], new_image[112], script[112];
static struct storage_options options;
static struct storage s;
static struct moving_disk disk;

/* ---- QEMU's side ---- */

static json_t *jobs(void)
{
	json_t *list = json_array();

	if (qemu.backs_up)
		json_array_append_new(list, json_pack("{s:s,s:s}", "id", "of-the-night", "status", "running"));
	if (qemu.job)
		json_array_append_new(list, json_pack("{s:s,s:s,s:i,s:i}", "id", disk.names.job, "status", qemu.job, "current-progress", 1,
						      "total-progress", 1));
	return list;
}

static void write_last(void)
{
	static char bytes[4096];

	memset(bytes, 'x', sizeof(bytes));
	if (qemu.fd >= 0 && pwrite(qemu.fd, bytes, sizeof(bytes), LAST) != sizeof(bytes))
		abort();
}

static json_t *answer(const char *command, const json_t *args)
{
	const char *file = json_string_value(json_object_get(args, "filename"));

	if (!strcmp(command, "blockdev-add") && file) {
		qemu.fd = open(file, O_RDWR | O_CLOEXEC);
	} else if (!strcmp(command, "blockdev-mirror")) {
		qemu.job = "ready";
	} else if (!strcmp(command, "job-complete")) {
		write_last();
		qemu.job = qemu.writes_fast || qemu.let_go ? "ready" : "pending";
		qemu.status = qemu.let_go ? "running" : qemu.status;
	} else if (!strcmp(command, "stop")) { /* without an event, as another client stopped the guest before us */
		qemu.stops++;
		qemu.status = "paused";
		qemu.job = qemu.writes_fast || qemu.stops > 1 ? "pending" : qemu.job;
	} else if (!strcmp(command, "cont")) {
		qemu.conts++;
	} else if (!strcmp(command, "job-finalize")) {
		qemu.job = NULL;
		qemu.finalized++;
		qemu.uses = disk.names.format;
	} else if (!strcmp(command, "job-cancel")) {
		if (strcmp(json_string_value(json_object_get(args, "id")), disk.names.job))
			qemu.backs_up = false;
		else
			qemu.job = NULL;
	} else if (!strcmp(command, "query-jobs")) {
		if (qemu.let_go && qemu.stops && ++qemu.looks == 4)
			qemu.job = "pending";
		return done(jobs());
	} else if (!strcmp(command, "query-migrate")) {
		return done(qemu.migration ? json_pack("{s:s}", "status", qemu.migration) : json_object());
	} else if (!strcmp(command, "query-status")) {
		return done(json_pack("{s:s}", "status", qemu.status));
	} else if (!strcmp(command, "query-block")) {
		return done(json_pack("[{s:s,s:s,s:{s:s}}]", "device", "", "qdev", disk.device, "inserted", "node-name", qemu.uses));
	} else if (!strcmp(command, "query-named-block-nodes")) {
		return done(json_array());
	}
	return done(json_object());
}

/* ---- ours ---- */

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Up to a zero, from there on; "": nothing is there. */
static const char *get(const char *path, off_t at)
{
	static char text[1024];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = pread(fd, text, sizeof(text) - 1, at);

	text[MAX(n, 0)] = '\0';
	close(fd);
	return text;
}

static int begin_journal(void)
{
	json_t *begin = json_pack("{s:s}", "guest", "vm1");
	int r = journal_create(&s.life.journal, dir, s.id, true, begin, &e);

	json_decref(begin);
	return r;
}

static void describe(void)
{
	disk = (struct moving_disk){.device = xstrdup("/machine/peripheral/vda"),
				    .node = xstrdup("n0"),
				    .from = xstrdup(old_image),
				    .to = xstrdup(new_image),
				    .old.format = xstrdup("raw"),
				    .format = xstrdup("raw"),
				    .old.nodes = json_array(),
				    .bitmaps = json_array(),
				    .o = {.unmap = true, .file_unmap = true},
				    .bytes = BYTES};
	strcpy(disk.detect_zeroes, "off");
	strcpy(disk.names.file, "vmferry-01000000-f0");
	strcpy(disk.names.format, "vmferry-01000000-d0");
	strcpy(disk.names.filter, "vmferry-01000000-m0");
	strcpy(disk.names.job, "vmferry-01000000-j0");
	options = (struct storage_options){.life = {.state_dir = dir}};
	s = (struct storage){.o = &options,
			     .guest = {.name = xstrdup("vm1")},
			     .id = {1},
			     .disks = &disk,
			     .count = 1,
			     .starter = {.path = xstrdup(script), .draft = xasprintf("%s.draft", script)},
			     .old = OLD_KEEP,
			     .life = {.how = "storage", .ctx = &s, .told.leftovers = json_array(), .told.notes = json_array()}};
	strcpy(s.prefix, "vmferry-01000000-");
	s.life.report.quiet = true;
}

static int setup(void **state)
{
	AUTO_FREE char *text = NULL;

	(void)state;
	strcpy(dir, "/tmp/test-storage-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(logs, sizeof(logs), "%s/logs", dir);
	snprintf(disks, sizeof(disks), "%s/disks", dir);
	snprintf(new, sizeof(new), "%s/new", disks);
	if (mkdir(logs, 0700) || mkdir(disks, 0700) || mkdir(new, 0700))
		return -1;
	snprintf(old_image, sizeof(old_image), "%s/a.raw", disks);
	snprintf(new_image, sizeof(new_image), "%s/a.raw", new);
	snprintf(script, sizeof(script), "%s/vm1.sh", disks);
	text = xasprintf("#!/bin/sh\nexec qemu-system-x86_64 -drive file=%s,format=raw,if=virtio\n", old_image);
	put(old_image, "old", 0600);
	put(script, text, 0700);
	memset(&qemu, 0, sizeof(qemu));
	qemu.uses = "n0";
	qemu.status = "running";
	qemu.fd = -1;
	describe();
	return begin_journal();
}

static int teardown(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -rf '%s'", dir);

	(void)state;
	journal_close(s.life.journal);
	json_decref(s.life.told.leftovers);
	json_decref(s.life.told.notes);
	json_decref(disk.old.nodes);
	json_decref(disk.bitmaps);
	json_decref(disk.old.was);
	free(disk.device);
	free(disk.node);
	free(disk.from);
	free(disk.to);
	free(disk.old.format);
	free(disk.format);
	free(disk.old.aside);
	free(s.starter.path);
	free(s.starter.draft);
	free(s.starter.text);
	free(s.life.stage);
	free(s.guest.name);
	return system(rm);
}

/* All of it, with a process in place of the guard. */
static int live(void)
{
	pid_t guard = fork();
	int r;

	if (!guard) {
		for (;;)
			pause();
	}
	s.guard = (struct guard){.pid = guard, .fd = -1};
	s.guest.pid = getpid(); /* this process plays QEMU */
	if (played_begin_as(qemu.version ?: PLAYED_VERSION, answer))
		return -1;
	s.life.loop = loop;
	s.qmp = q;
	r = storage_live(&s, &e);
	kill(guard, SIGKILL);
	waitpid(guard, NULL, 0);
	return r;
}

/* In a process of its own, on a host whose power fails when it is over. */
static void with_power(int (*act)(void))
{
	int status;

	if (power_forks(disks, logs, &status)) {
		if (!act())
			_exit(0);
		fprintf(stderr, "%s\n", e.msg);
		_exit(1);
	}
	assert_int_equal(status, 0);
}

static bool names(const char *image)
{
	AUTO_FREE char *word = xasprintf("file=%s,", image);

	return strstr(get(script, 0), word) != NULL;
}

/* ---- a guest that runs ---- */

/* Checks the image that the script names, with all of the guest's writes; the script itself; and the names of both. */
static void what_the_script_names_is_on_stable_storage(void **state)
{
	(void)state;
	with_power(live);
	assert_true(names(new_image));
	assert_string_equal(get(new_image, BYTES - 1), "x");
}

static void nothing_is_switched_while_somebody_migrates_the_guest(void **state)
{
	(void)state;
	qemu.migration = "active";
	assert_int_equal(live(), -EBUSY);
	assert_int_equal(qemu.finalized, 0);
	assert_true(names(old_image));
	assert_int_equal(journal_last_state(s.life.journal), HO_SRC_BEGUN);
	played_end();
	close(qemu.fd);
}

/* In the moment between our look and our `stop`, which QEMU does not announce then. */
static void who_is_stopped_by_somebody_else_stays_so(void **state)
{
	(void)state;
	qemu.writes_fast = true;
	assert_int_equal(live(), 0);
	assert_int_equal(storage_let_go_on(&s, &e), 0);
	assert_int_equal(qemu.conts, 0);
	assert_string_equal(qemu.status, "paused");
	played_end();
	close(qemu.fd);
}

static const char old_version[] = "\"micro\": 22, \"minor\": 2, \"major\": 7";

/* The guest stands since before requests wait, so that its old QEMU bears the switch. */
static void who_is_stopped_during_the_copy_gets_new_disks(void **state)
{
	(void)state;
	qemu.version = old_version;
	qemu.status = "paused";
	s.stop_heard = true;
	assert_int_equal(live(), 0);
	assert_int_equal(qemu.finalized, 1);
	assert_int_equal(qemu.stops, 0);
	assert_string_equal(qemu.status, "paused");
	played_end();
	close(qemu.fd);
}

/* An old QEMU would abort if it switched the disks of a guest that was stopped while its requests waited. */
static void who_was_let_go_on_is_not_stopped_while_requests_wait(void **state)
{
	(void)state;
	qemu.version = old_version;
	qemu.let_go = true;
	setenv("VMFERRY_FAULT", "src-stall:fail", 1);
	assert_int_equal(live(), 0);
	unsetenv("VMFERRY_FAULT");
	assert_int_equal(qemu.stops, 1);
	assert_string_equal(qemu.status, "running");
	played_end();
	close(qemu.fd);
}

static void what_somebody_has_put_there_is_not_written_over(void **state)
{
	(void)state;
	put(new_image, "another's", 0600);
	assert_int_equal(storage_image_make(&s, &disk, &e), -EEXIST);
	assert_string_equal(get(new_image, 0), "another's");
}

/* ---- one that is shut down ---- */

/* With what it had, and the times that it had, as rsync makes it: it may have been written to since it was copied. */
static void replace_old_image(void *ctx, const char *line)
{
	AUTO_FREE char *other = xasprintf("%s.other", old_image);
	struct timespec times[2];
	struct stat st;

	(void)ctx;
	if (!strstr(line, "switchover") || stat(old_image, &st))
		return;
	put(other, "OLD", 0600);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	utimensat(AT_FDCWD, other, times, 0);
	syscall(SYS_renameat, AT_FDCWD, other, AT_FDCWD, old_image);
}

static int rest(void)
{
	int r = loop_new(&s.life.loop, 16, &e);

	s.rest = true;
	r = r ? r : storage_rest_hold(&s, &e);
	r = r ? r : storage_rest(&s, &e);
	storage_rest_let_go(&s);
	loop_free(s.life.loop);
	return r;
}

static void what_the_script_of_one_that_is_shut_down_names_is_there_too(void **state)
{
	(void)state;
	with_power(rest);
	assert_true(names(new_image));
	assert_string_equal(get(new_image, 0), "old");
}

static void an_image_that_was_replaced_since_it_was_copied_is_noticed(void **state)
{
	(void)state;
	s.life.report.follow = replace_old_image;
	assert_int_equal(rest(), -ESTALE);
	assert_true(names(old_image));
}

/* ---- how it ends ---- */

static void the_jobs_of_others_go_on(void **state)
{
	(void)state;
	qemu.job = "running";
	qemu.backs_up = true;
	assert_int_equal(played_begin(answer), 0);
	s.life.loop = loop;
	s.qmp = q;
	s.guest.pid = getpid();
	assert_int_equal(process_start_time(s.guest.pid, &s.guest.start_time), 0);
	assert_int_equal(storage_settle(&s, &e), 0);
	played_end();
	assert_null(qemu.job);
	assert_true(qemu.backs_up);
	assert_true(names(old_image));
}

/* ---- and without QEMU ---- */

static void settle_without_qemu(enum handoff_state state)
{
	s.rest = true;
	s.old = OLD_REMOVE;
	assert_int_equal(own_file_know(old_image, old_image, &disk.old.was, &e), 0);
	assert_int_equal(journal_state(s.life.journal, state, &e), 0);
}

/* The script that starts the guest is unknown, so only the journal says which image it has. */
static void the_old_image_stays_where_the_new_one_is_gone(void **state)
{
	(void)state;
	free(s.starter.path);
	s.starter.path = NULL;
	settle_without_qemu(HO_SRC_COMMITTED);
	assert_int_equal(storage_settle(&s, &e), -ENOENT);
	assert_string_equal(get(old_image, 0), "old");
}

static void the_old_image_goes_where_the_new_one_is_there(void **state)
{
	(void)state;
	free(s.starter.path);
	s.starter.path = NULL;
	put(new_image, "new", 0600);
	settle_without_qemu(HO_SRC_COMMITTED);
	assert_int_equal(storage_settle(&s, &e), 1);
	assert_string_equal(get(old_image, 0), "");
	assert_string_equal(get(new_image, 0), "new");
}

static void progress_is_told_once_it_is_known_how_much_there_is(void **state)
{
	(void)state;
	s.life.report.quiet = true;
	s.life.stage = s.life.stage ?: xstrdup("copy");
	disk.total = 0;
	storage_tell_progress(&s);
	assert_int_equal(s.life.progress.at_ns, 0);
	disk.total = 4096;
	disk.to = disk.to ?: new_image;
	storage_tell_progress(&s);
	assert_int_not_equal(s.life.progress.at_ns, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(who_is_stopped_by_somebody_else_stays_so),
		T(who_is_stopped_during_the_copy_gets_new_disks),
		T(who_was_let_go_on_is_not_stopped_while_requests_wait),
		T(what_the_script_names_is_on_stable_storage),
		T(nothing_is_switched_while_somebody_migrates_the_guest),
		T(what_somebody_has_put_there_is_not_written_over),
		T(the_old_image_stays_where_the_new_one_is_gone),
		T(what_the_script_of_one_that_is_shut_down_names_is_there_too),
		T(an_image_that_was_replaced_since_it_was_copied_is_noticed),
		T(the_jobs_of_others_go_on),
		T(the_old_image_goes_where_the_new_one_is_there),
		T(progress_is_told_once_it_is_known_how_much_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
