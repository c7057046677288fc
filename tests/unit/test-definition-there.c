/*
 * test-definition-there.c: the definition of a libvirt guest that came as it ran, at the destination: the file that keeps it is all there is of it until libvirt
 * has defined the guest, so that it stays until then. libvirt is played; a real one is asked by e2e/libvirt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../agent-dst/parts/arriving-definition.c" /* the source's has functions of these names */
#include "../../agent-dst/parts/definition-plan.c"

#include "../../agent-dst/parts/domain.h"
#include "../../agent-dst/parts/living-devices.h"

#include "whereabouts.h"

#include <fcntl.h>
#include <time.h>

#include "../lib/played-libvirtd-home.h"

static struct attempt attempt;
static struct target target;
static struct domain domain;
static struct disks disks;
static struct definition d;
static char *path;

static int setup(void **state)
{
	json_t *begin = json_pack("{s:s}", "guest", "web");
	json_t *kept = json_pack("{s:s,s:s,s:s,s:b}", "name", guest.name, "uuid", HOME_UUID, "xml", "<domain/>", "autostart", 1);
	AUTO_FREE char *state_dir = NULL;
	int r = home_open();

	(void)state;
	memset(&attempt, 0, sizeof(attempt));
	attempt.id[0] = 1;
	state_dir = xasprintf("%s/state", home.dir);
	r = r ? r : attempt_begin(&attempt, state_dir, HO_DESTINATION, begin, &err);
	json_decref(begin);
	target = (struct target){.libvirt.domain = &domain, .name = guest.name};
	disks = (struct disks){.state_dir = NULL};
	d = (struct definition){.part = {&ops, &attempt}, .target = &target, .disks = &disks};
	path = xasprintf("%s/kept", home.dir);
	r = r ? r : kept_definition_write(path, kept, &err);
	json_decref(kept);
	home_starts_qemu();
	target.qemu.pid = home.qemu;
	attempt.handoff.state = HO_DST_DONE;
	return r ? r : process_start_time(home.qemu, &target.qemu.start_time);
}

static int teardown(void **state)
{
	(void)state;
	journal_close(attempt.journal);
	json_decref(d.failed);
	free(path);
	return home_close();
}

static int settle(void)
{
	json_t *detail = json_pack("{s:s}", "path", path);
	int r = undo_definition(&d.part, detail, &err);

	json_decref(detail);
	return r;
}

static void refuse(int32_t procedure, int number, unsigned times)
{
	home.refuses.procedure = procedure;
	home.refuses.number = number;
	home.refuses.times = times;
}

static bool is_kept(void)
{
	return !access(path, F_OK);
}

static void file_goes_when_libvirt_has_defined_it(void **state)
{
	(void)state;
	assert_int_equal(settle(), 0);
	assert_true(home.is_defined && was_defined(&d));
	assert_int_equal(home.calls[LV_DOMAIN_SET_AUTOSTART], 1);
	assert_false(is_kept());
	assert_int_equal(settle(), 0); /* again */
}

/* The file says that it is started when its host boots the next time, and then no more. */
static void keep_once(void)
{
	json_t *kept;

	assert_int_equal(kept_definition_read(path, &kept, &err), 0);
	json_object_set_new(kept, "autostart", json_false());
	json_object_set_new(kept, "autostart_once", json_true());
	assert_int_equal(unlink(path), 0);
	assert_int_equal(kept_definition_write(path, kept, &err), 0);
	json_decref(kept);
}

static void start_at_the_next_boot_alone_goes_to_who_knows_it(void **state)
{
	(void)state;
	keep_once();
	home.version = 12009000;
	assert_int_equal(settle(), 0);
	assert_int_equal(home.calls[LV_DOMAIN_SET_AUTOSTART], 0);
	assert_int_equal(home.calls[LV_DOMAIN_SET_AUTOSTART_ONCE], 1);
	assert_int_equal(json_array_size(d.failed), 0);
}

static void start_at_the_next_boot_alone_is_told_where_libvirt_is_older(void **state)
{
	(void)state;
	keep_once();
	assert_int_equal(settle(), 0);
	assert_true(home.is_defined);
	assert_int_equal(home.calls[LV_DOMAIN_SET_AUTOSTART_ONCE], 0);
	assert_non_null(
		strstr(json_string_value(json_array_get(d.failed, 0)), "(virsh autostart --once): this libvirt is older than 11.2"));
}

static void it_stays_if_libvirt_refuses(void **state)
{
	static const int numbers[] = {HOME_INTERNAL, HOME_NO_NETWORK, HOME_BUSY, 0};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(numbers); i++) {
		refuse(LV_DOMAIN_DEFINE_XML_FLAGS, numbers[i], 1);
		assert_int_not_equal(settle(), 0);
		assert_true(strstr(err.msg, path) && strstr(err.msg, "vmferry recover web"));
		assert_true(is_kept());
	}
	assert_int_equal(settle(), 0);
	assert_false(is_kept());
}

static void it_stays_if_no_libvirt_runs(void **state)
{
	(void)state;
	home_goes_away();
	assert_int_not_equal(settle(), 0);
	assert_true(is_kept());
	home_is_back();
	assert_int_equal(settle(), 0);
	assert_true(home.is_defined);
	assert_false(is_kept());
}

static void transient_guest_is_not_defined(void **state)
{
	json_t *kept = json_pack("{s:s,s:s,s:s,s:b}", "name", guest.name, "uuid", HOME_UUID, "xml", "<domain/>", "transient", 1);

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(kept_definition_write(path, kept, &err), 0);
	json_decref(kept);
	home_goes_away(); /* libvirt has nothing to be told */
	assert_int_equal(settle(), 0);
	home_is_back();
	assert_false(is_kept());
	assert_int_equal(home.calls[LV_DOMAIN_DEFINE_XML_FLAGS], 0);
}

static void network_stands_still(int32_t procedure, struct lv_writer *body, uint32_t *status)
{
	home_answers(procedure, body, status);
	if (procedure == LV_NETWORK_IS_ACTIVE)
		home_number(body, 0);
}

/* Memory as it was before the call must not matter. */
static void __attribute__((noinline)) fill_the_stack(void)
{
	volatile char bytes[8192];
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = 1;
}

static void network_that_is_not_active_is_told(void **state)
{
	json_t *net = json_pack("{s:s,s:s}", "kind", "network", "name", "office");
	struct lv *v;

	(void)state;
	plan.answer = network_stands_still;
	target.libvirt.domain = NULL;
	d.accept = json_pack("{s:[],s:[]}", "cautions", "networks");
	assert_int_equal(lv_open(&v, ASK_MS, &err), 0);
	fill_the_stack();
	look_at_network(&d, v, net, false);
	lv_close(v);
	json_decref(net);
	assert_int_equal(json_array_size(json_object_get(d.accept, "cautions")), 1);
	json_decref(d.accept);
	d.accept = NULL;
	target.libvirt.domain = &domain;
}

static void libvirt_is_not_asked_of_a_guest_that_is_not_here(void **state)
{
	(void)state;
	attempt.handoff.state = HO_DST_ABORTED;
	assert_int_equal(settle(), 0);
	assert_false(is_kept());
	assert_int_equal(home.calls[LV_DOMAIN_DEFINE_XML_FLAGS], 0);
}

#define WITH_IMAGE(path)                                                                                                                   \
	"<domain><devices><disk><source file='" path "'/><target dev='vda'/><alias name='virtio-disk0'/></disk></devices></domain>"

/* A snapshot comes as the guest is being defined. */
static void image_changes_meanwhile(int32_t procedure, struct lv_writer *body, uint32_t *status)
{
	home_answers(procedure, body, status);
	if (procedure == LV_DOMAIN_GET_XML) {
		body->n = 0;
		lv_write_string(body, home.calls[LV_DOMAIN_DEFINE_XML_FLAGS] ? WITH_IMAGE("/vm/new") : WITH_IMAGE("/vm/old"));
	}
}

static void image_that_comes_while_it_is_defined_is_not_lost(void **state)
{
	json_t *kept, *told = json_array();
	struct lv *v;

	(void)state;
	plan.answer = image_changes_meanwhile;
	assert_int_equal(kept_definition_read(path, &kept, &err), 0);
	json_object_set_new(kept, "xml", json_string(WITH_IMAGE("/vm/old")));
	json_object_set_new(kept, "devices", living_devices(WITH_IMAGE("/vm/old")));
	assert_int_equal(lv_open(&v, ASK_MS, &err), 0);
	assert_int_equal(living_definition_define(v, kept, home.dir, told, &err), 0);
	lv_close(v);
	assert_int_equal(home.calls[LV_DOMAIN_DEFINE_XML_FLAGS], 2);
	assert_non_null(strstr(json_text(kept, "xml"), "/vm/new"));
	assert_int_equal(json_array_size(told), 1);
	json_decref(kept);
	json_decref(told);
}

/* The entry that the part "arrived" has the journal own; gone: the guest has left since. */
static void note_arrival(bool gone)
{
	AUTO_FREE char *where = whereabouts_path(home.dir, "web");
	json_t *detail = json_pack("{s:s,s:{s:s,s:s,s:[s],s:[]}}", "path", where, "entry", "guest", "web", "attempt", "01", "disks",
				   "/vm/web", "known");
	json_t *left = json_pack("{s:s,s:s,s:s,s:[s]}", "guest", "web", "attempt", "02", "gone_to", "host-c", "disks", "/vm/web");

	assert_int_equal(attempt_own(&attempt, "arrived", detail, &err), 0);
	if (gone)
		assert_int_equal(whereabouts_add(where, left, &err), 0);
	json_decref(left);
}

static void guest_that_has_ended_is_not_started_at_boot(void **state)
{
	(void)state;
	note_arrival(false);
	home_ends_qemu();
	assert_int_equal(settle(), 0);
	assert_true(home.is_defined);
	assert_int_equal(home.calls[LV_DOMAIN_SET_AUTOSTART], 0);
}

/* libvirt forgets it in a moment. */
static void guest_whose_end_libvirt_has_not_seen_is_defined(void **state)
{
	(void)state;
	note_arrival(false);
	home_ends_qemu();
	home.lags = true;
	assert_int_equal(settle(), 0);
	home.lags = false;
	assert_true(home.is_defined);
	assert_int_equal(home.calls[LV_DOMAIN_SET_AUTOSTART], 0);
}

static void guest_that_has_left_again_is_not_defined(void **state)
{
	(void)state;
	note_arrival(true);
	home_ends_qemu();
	assert_int_equal(settle(), 0);
	assert_false(home.is_defined);
}

static void guest_is_not_defined_if_nobody_knows_where_it_is(void **state)
{
	AUTO_FREE char *where = whereabouts_path(home.dir, "web");
	AUTO_FREE char *dir = xasprintf("%s/guests", home.dir);

	(void)state;
	note_arrival(false);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(mkdir(where, 0700), 0);
	home_ends_qemu();
	assert_int_not_equal(settle(), 0);
	assert_false(home.is_defined);
	assert_true(is_kept());
}

/* A later life, as the guest is given to the user: others have undefined it since. */
static void guest_that_was_defined_once_is_left_to_others(void **state)
{
	AUTO_FREE char *there = NULL;

	(void)state;
	disks.state_dir = home.dir;
	there = place_of(&d);
	assert_int_equal(rename(path, there), 0);
	assert_int_equal(attempt_note(&attempt, DEFINED, json_pack("{s:b}", "yes", 1), &err), 0);
	home_ends_qemu();
	definition_settle(&d);
	assert_non_null(d.settled);
	assert_int_equal(home.calls[LV_DOMAIN_DEFINE_XML_FLAGS], 0);
	fini(&d.part);
	d.failed = NULL;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(file_goes_when_libvirt_has_defined_it, setup, teardown),
		cmocka_unit_test_setup_teardown(start_at_the_next_boot_alone_goes_to_who_knows_it, setup, teardown),
		cmocka_unit_test_setup_teardown(start_at_the_next_boot_alone_is_told_where_libvirt_is_older, setup, teardown),
		cmocka_unit_test_setup_teardown(it_stays_if_libvirt_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(it_stays_if_no_libvirt_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(transient_guest_is_not_defined, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_that_has_ended_is_not_started_at_boot, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_whose_end_libvirt_has_not_seen_is_defined, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_that_has_left_again_is_not_defined, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_is_not_defined_if_nobody_knows_where_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_that_was_defined_once_is_left_to_others, setup, teardown),
		cmocka_unit_test_setup_teardown(image_that_comes_while_it_is_defined_is_not_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(network_that_is_not_active_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(libvirt_is_not_asked_of_a_guest_that_is_not_here, setup, teardown),
	};

	(void)argv;
	home_main(argc);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
