/*
 * test-definition-live.c: a libvirt guest that has gone as it ran, or stays: that libvirt here forgets it, or knows it again, whatever its QEMU, libvirt and
 * others have done meanwhile. libvirt is played; a real one is asked by e2e/libvirt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "definition-private.h"
#include "kept-definition.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>

#include "../lib/played-libvirtd-home.h"

static struct attempt attempt;
static struct move_options options;
static struct source src;
static struct definition d;
static char path[96], aside[96];
#define UNASKED_MS 150 /* for what must not happen, and would in a third of that */

static struct report silent = {.quiet = true};
static pid_t other; /* a QEMU of that guest that is not ours */

static int setup(void **state)
{
	json_t *begin = json_pack("{s:s}", "guest", "web");
	int r = home_open();

	(void)state;
	memset(&attempt, 0, sizeof(attempt));
	attempt.id[0] = 1;
	r = r ? r : loop_new(&attempt.loop, 64, &err);
	options.dirs.state = xasprintf("%s/state", home.dir);
	r = r ? r : attempt_begin(&attempt, options.dirs.state, HO_SOURCE, begin, &err);
	json_decref(begin);
	home_starts_qemu();
	home.is_defined = true;
	src = (struct source){.opt = &options, .report = &silent, .guest.pid = home.qemu, .libvirt.uuid = (char *)HOME_UUID};
	d = (struct definition){.part.a = &attempt,
				.src = &src,
				.guest = {.domain = {.name = (char *)"web", .id = 1}, .live_xml = (char *)"<domain/>"}};
	memcpy(d.guest.domain.uuid, played_uuid, LV_UUID_LEN);
	snprintf(path, sizeof(path), "%s/web.xml", home.dir);
	snprintf(aside, sizeof(aside), "%s/web.xml.aside", home.dir);
	other = 0;
	return r ? r : process_start_time(home.qemu, &src.guest.start_time);
}

static int teardown(void **state)
{
	(void)state;
	definition_end_job(&d);
	journal_close(attempt.journal);
	loop_free(attempt.loop);
	free((char *)options.dirs.state);
	if (other) {
		kill(other, SIGKILL);
		waitpid(other, NULL, 0);
	}
	return home_close();
}

static void put(const char *name)
{
	close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static bool exists(const char *name)
{
	return !access(name, F_OK);
}

static void refuse(int32_t procedure, int number, unsigned times)
{
	home.refuses.procedure = procedure;
	home.refuses.number = number;
	home.refuses.times = times;
}

/* ---- it has gone ---- */

static void open_job(void)
{
	if (lv_open(&d.job, PATIENCE_MS, &err))
		fail_msg("%s", err.msg);
}

/* libvirt ends the QEMU, and forgets the guest with it. */
static void confirm_ends_it(int32_t procedure)
{
	if (procedure != LV_DOMAIN_CONFIRM3)
		return;
	home_ends_qemu();
	home.is_defined = false;
}

/* A plain guest has a job here and no definition there, as a definition may have secrets. */
static void plain_one_has_a_job_here_and_no_definition_there(void **state)
{
	char *argv[] = {(char *)"qemu", NULL};

	(void)state;
	d.guest.plain.argv = argv;
	assert_int_equal(definition_begin_job(&d.part, &err), 0);
	d.guest.plain.argv = NULL;
	assert_non_null(d.job);
	assert_null(d.begun);
}

static void libvirt_forgets_it_by_confirm(void **state)
{
	(void)state;
	open_job();
	home.called = confirm_ends_it;
	assert_int_equal(definition_let_go(&d, &err), 0);
	assert_false(home.is_defined);
	assert_int_equal(home.calls[LV_DOMAIN_UNDEFINE_FLAGS], 0);
}

static bool ended_unasked;

/* The played libvirt asks its QEMU to end, and waits, as the real one does. */
static void confirm_waits_for_its_end(int32_t procedure)
{
	uint64_t until = now_ns() + PATIENCE_MS * 1000000ULL, unasked = now_ns() + UNASKED_MS * 1000000ULL;

	if (procedure != LV_DOMAIN_CONFIRM3)
		return;
	while (!ended_unasked && now_ns() < unasked)
		ended_unasked = !home_qemu_lives();
	kill(home.qemu, SIGTERM);
	while (home_qemu_lives() && now_ns() < until)
		;
	home.is_defined = home_qemu_lives();
}

static void its_qemu_is_ended_when_libvirt_has_asked_it_to_end(void **state)
{
	(void)state;
	open_job();
	ended_unasked = false;
	assert_int_equal(process_hold(home.qemu, src.guest.start_time, PATIENCE_MS, &err), 0);
	home.called = confirm_waits_for_its_end;
	assert_int_equal(definition_let_go(&d, &err), 0);
	assert_false(ended_unasked);
	assert_int_equal(home.calls[LV_DOMAIN_UNDEFINE_FLAGS], 0); /* the guest was gone before libvirt's patience ended */
}

static void nor_does_it_stay_where_its_qemu_ended_before(void **state)
{
	(void)state;
	open_job();
	home_ends_qemu();
	refuse(LV_DOMAIN_CONFIRM3, HOME_INVALID, 1);
	assert_int_equal(definition_let_go(&d, &err), 0);
	assert_false(home.is_defined);
}

static void nor_without_a_job(void **state)
{
	(void)state;
	assert_int_equal(definition_let_go(&d, &err), 0);
	assert_false(home.is_defined);
	assert_true(home_qemu_lives()); /* libvirt forgets it with that */
}

/* The QEMU that is held is waited for by somebody, and by libvirt with them. */
static void libvirt_that_waits_for_its_qemu_is_helped(void **state)
{
	(void)state;
	refuse(LV_DOMAIN_UNDEFINE_FLAGS, HOME_BUSY, 2);
	assert_int_equal(definition_let_go(&d, &err), 0);
	assert_false(home_qemu_lives());
	assert_false(home.is_defined);
	assert_int_equal(home.calls[LV_DOMAIN_UNDEFINE_FLAGS], 3);
}

/* libvirt's waiting shows in its first answer about changes of the guest; they are asked for again once that QEMU has ended. */
static void nor_is_a_change_forgotten_while_it_waits(void **state)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	AUTO_FREE char *kept = xasprintf("%s/%s-src.definition", options.dirs.state, attempt_id_format(attempt.id, id));
	json_t *own = json_pack("{s:s,s:s,s:s,s:b}", "name", "web", "uuid", HOME_UUID, "xml", "<domain/>", "autostart", 0);

	(void)state;
	assert_int_equal(kept_definition_write(kept, own, &err), 0);
	json_decref(own);
	home.xml = "<domain changed='yes'/>";
	refuse(LV_DOMAIN_GET_XML, HOME_BUSY, 2);
	assert_int_equal(definition_let_go(&d, &err), 0);
	assert_false(home_qemu_lives());
	assert_false(home.is_defined);
	assert_int_equal(home.calls[LV_DOMAIN_GET_XML], 3);
	assert_int_equal(home.calls[LV_DOMAIN_UNDEFINE_FLAGS], 1);
	assert_non_null(journal_last_note(attempt.journal, "definition-changed"));
}

static void what_libvirt_does_not_do_is_not_done(void **state)
{
	static const int numbers[] = {HOME_BUSY, HOME_INTERNAL, HOME_INVALID};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(numbers); i++) {
		refuse(LV_DOMAIN_UNDEFINE_FLAGS, numbers[i], HOME_FOR_GOOD);
		assert_int_not_equal(definition_let_go(&d, &err), 0);
		assert_non_null(strstr(err.msg, "libvirt here is to forget the guest"));
		assert_true(home.is_defined);
	}
	refuse(LV_DOMAIN_IS_PERSISTENT, HOME_INTERNAL, HOME_FOR_GOOD);
	assert_int_not_equal(definition_let_go(&d, &err), 0);
	home_goes_away();
	assert_int_not_equal(definition_let_go(&d, &err), 0);
	home_is_back();
	assert_true(home.is_defined);
}

static void guest_that_was_started_again_is_not_undefined(void **state)
{
	(void)state;
	other = home_start_process();
	while (!home_names(other))
		poll(NULL, 0, 1);
	home_note_pid(other);
	assert_int_equal(definition_let_go(&d, &err), 0);
	assert_true(home.is_defined);
}

/* ---- a transient one ---- */

static unsigned notices;

static void count_notices(void *ctx, const char *line)
{
	(void)ctx;
	notices += strstr(line, "another client defined the guest web in libvirt here again") != NULL;
}

static void others_definition_of_a_transient_one_stays(void **state)
{
	struct report report = {.quiet = true, .follow = count_notices};

	(void)state;
	src.libvirt.is_transient = true;
	src.guest.name = (char *)"web";
	src.report = &report;
	home.is_defined = true; /* since it was given up */
	notices = 0;
	assert_int_equal(definition_let_go(&d, &err), 0);
	assert_true(home.is_defined);
	assert_int_equal(home.calls[LV_DOMAIN_UNDEFINE_FLAGS], 0);
	assert_int_equal(notices, 1);
}

static void transient_one_that_is_defined_meanwhile_stays(void **state)
{
	(void)state;
	src.libvirt.is_transient = true;
	home.is_defined = true;
	assert_int_equal(definition_set_aside(&d, &err), -ECANCELED);
	home.is_defined = false;
	assert_int_equal(definition_set_aside(&d, &err), 0);
	refuse(LV_DOMAIN_IS_PERSISTENT, HOME_INTERNAL, 1);
	assert_int_not_equal(definition_set_aside(&d, &err), 0); /* whether libvirt keeps the definition is unknown */
}

/* ---- what was set aside, in any life ---- */

static int undo(enum handoff_state state)
{
	json_t *detail = json_pack("{s:s,s:s,s:s}", "path", path, "aside", aside, "uuid", HOME_UUID);
	int r;

	attempt.handoff.state = state;
	r = definition_undo_aside(&d.part, detail, &err);
	json_decref(detail);
	return r;
}

static void file_stays_until_libvirt_has_forgotten_it(void **state)
{
	(void)state;
	put(aside);
	home_ends_qemu();
	refuse(LV_DOMAIN_UNDEFINE_FLAGS, HOME_INTERNAL, 1);
	assert_int_not_equal(undo(HO_SRC_RELEASED), 0);
	assert_true(home.is_defined && exists(aside));
	home_goes_away();
	assert_int_not_equal(undo(HO_SRC_RELEASED), 0);
	assert_true(exists(aside));
	home_is_back();
	assert_int_equal(undo(HO_SRC_RELEASED), 0);
	assert_false(home.is_defined || exists(aside));
}

static void what_others_have_defined_since_is_theirs(void **state)
{
	(void)state;
	put(aside);
	put(path);
	assert_int_equal(undo(HO_SRC_RELEASED), 0);
	assert_true(home.is_defined && exists(path));
	assert_false(exists(aside));
}

static void it_stays_and_has_its_file(void **state)
{
	(void)state;
	put(aside);
	assert_int_equal(undo(HO_SRC_ABORTED), 0);
	assert_true(exists(path));
	assert_false(exists(aside));
	assert_int_equal(undo(HO_SRC_ABORTED), 0); /* again */
	assert_int_equal(home.calls[LV_DOMAIN_DEFINE_XML_FLAGS], 0);
}

static void it_stays_and_libvirt_that_forgot_it_knows_it_again(void **state)
{
	json_t *own = json_pack("{s:s,s:s,s:s,s:b}", "name", "web", "uuid", HOME_UUID, "xml", "<domain/>", "autostart", 1);
	char id[2 * ATTEMPT_ID_LEN + 1];
	AUTO_FREE char *kept = xasprintf("%s/%s-src.definition", options.dirs.state, attempt_id_format(attempt.id, id));

	(void)state;
	put(aside);
	home.is_defined = false;
	assert_int_not_equal(undo(HO_SRC_ABORTED), 0); /* from which file? */
	assert_int_equal(kept_definition_write(kept, own, &err), 0);
	json_decref(own);
	refuse(LV_DOMAIN_DEFINE_XML_FLAGS, HOME_INTERNAL, 1);
	assert_int_not_equal(undo(HO_SRC_ABORTED), 0);
	assert_int_equal(undo(HO_SRC_ABORTED), 0);
	assert_true(home.is_defined);
	assert_int_equal(home.calls[LV_DOMAIN_SET_AUTOSTART], 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plain_one_has_a_job_here_and_no_definition_there, setup, teardown),
		cmocka_unit_test_setup_teardown(libvirt_forgets_it_by_confirm, setup, teardown),
		cmocka_unit_test_setup_teardown(its_qemu_is_ended_when_libvirt_has_asked_it_to_end, setup, teardown),
		cmocka_unit_test_setup_teardown(nor_does_it_stay_where_its_qemu_ended_before, setup, teardown),
		cmocka_unit_test_setup_teardown(nor_without_a_job, setup, teardown),
		cmocka_unit_test_setup_teardown(libvirt_that_waits_for_its_qemu_is_helped, setup, teardown),
		cmocka_unit_test_setup_teardown(nor_is_a_change_forgotten_while_it_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(what_libvirt_does_not_do_is_not_done, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_that_was_started_again_is_not_undefined, setup, teardown),
		cmocka_unit_test_setup_teardown(others_definition_of_a_transient_one_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(transient_one_that_is_defined_meanwhile_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(file_stays_until_libvirt_has_forgotten_it, setup, teardown),
		cmocka_unit_test_setup_teardown(what_others_have_defined_since_is_theirs, setup, teardown),
		cmocka_unit_test_setup_teardown(it_stays_and_has_its_file, setup, teardown),
		cmocka_unit_test_setup_teardown(it_stays_and_libvirt_that_forgot_it_knows_it_again, setup, teardown),
	};

	(void)argv;
	home_main(argc);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
