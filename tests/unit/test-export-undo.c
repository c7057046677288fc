/* test-export-undo.c: what an export leaves in a QEMU is removed, and nothing of anybody else's; against a QEMU that is played here. */
#include "process.h"
#include "qemu-names.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/played-names.h"
#include "../lib/played-qemu.h"

#define DEAD  QEMU_PREFIX "x1-ffffffffff-" /* process 1 was not born then */
#define OTHER QEMU_PREFIX "x1-fffffffffe-"
#define OLDER "vmfx-1-fffffffffe-" /* a prefix as versions up to 0.1 wrote it */

static struct {
	json_t *jobs, *nodes; /* names; of nodes those that come first are above the others */
	bool stuck;	      /* one of the export's nodes cannot be removed */
} qemu;

/* The test and the QEMU wait for each other anyway, which ThreadSanitizer does not see. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static json_t *list(const json_t *names, const char *key)
{
	return done(names_told(names, key, json_pack("{s:s}", "status", "running")));
}

static json_t *take(json_t *names, const char *name)
{
	return names_take(names, name, NULL) ? done(json_object()) : error("there is none");
}

/* A quorum's children go after it. */
static bool is_below(const char *node)
{
	json_t *one;
	size_t i;

	json_array_foreach(qemu.nodes, i, one)
		if (!strncmp(json_string_value(one), node, strlen(node) - 2) && json_string_value(one)[strlen(node) - 2] == 'q')
			return node[strlen(node) - 2] != 'q';
	return false;
}

static json_t *answer_in_turn(const char *command, const json_t *args)
{
	const char *id = json_string_value(json_object_get(args, "id")), *node = json_string_value(json_object_get(args, "node-name"));

	if (!strcmp(command, "query-jobs"))
		return list(qemu.jobs, "id");
	if (!strcmp(command, "query-named-block-nodes"))
		return list(qemu.nodes, "node-name");
	if (!strcmp(command, "job-cancel") || !strcmp(command, "job-dismiss"))
		return take(qemu.jobs, id);
	if (!strcmp(command, "blockdev-del"))
		return is_below(node) || (qemu.stuck && strstr(node, DEAD)) ? error("it is in use") : take(qemu.nodes, node);
	return done(json_object());
}

static json_t *answer(const char *command, const json_t *args)
{
	json_t *a;

	pthread_mutex_lock(&turn);
	a = answer_in_turn(command, args);
	pthread_mutex_unlock(&turn);
	return a;
}

static int setup(void **state)
{
	(void)state;
	qemu.stuck = false;
	qemu.jobs = json_pack("[s,s,s]", "backup-of-the-night", DEAD "j0", DEAD "j1");
	qemu.nodes = json_pack("[s,s,s,s,s]", "spare", DEAD "t0", DEAD "n0", DEAD "q0", "disk0");
	return played_begin(answer);
}

static int teardown(void **state)
{
	(void)state;
	played_end();
	json_decref(qemu.jobs);
	json_decref(qemu.nodes);
	return 0;
}

static void what_is_the_exports_goes_from_the_top_down(void **state)
{
	(void)state;
	if (qemu_undo_jobs(q, loop, DEAD, &e) || qemu_undo_nodes(q, DEAD, NULL, &e))
		fail_msg("%s", e.msg);
	assert_names(qemu.jobs, "backup-of-the-night");
	assert_names(qemu.nodes, "spare disk0");
}

static void what_another_export_has_stays(void **state)
{
	(void)state;
	assert_int_equal(qemu_undo_jobs(q, loop, OTHER, &e), 0);
	assert_int_equal(qemu_undo_nodes(q, OTHER, NULL, &e), 0);
	assert_names(qemu.jobs, "backup-of-the-night " DEAD "j0 " DEAD "j1");
	assert_names(qemu.nodes, "spare " DEAD "t0 " DEAD "n0 " DEAD "q0 disk0");
}

static void what_cannot_go_is_an_error(void **state)
{
	(void)state;
	qemu.stuck = true;
	assert_int_equal(qemu_undo_nodes(q, DEAD, NULL, &e), -EREMOTEIO);
	assert_names(qemu.nodes, "spare " DEAD "t0 " DEAD "n0 " DEAD "q0 disk0");
}

static void what_dead_exporters_have_left_goes(void **state)
{
	unsigned removed;

	(void)state;
	pthread_mutex_lock(&turn);
	json_array_append_new(qemu.nodes, json_string(OTHER "t0"));
	json_array_append_new(qemu.nodes, json_string(OLDER "t0"));
	json_array_append_new(qemu.jobs, json_string(OLDER "j0"));
	pthread_mutex_unlock(&turn);
	assert_int_equal(qemu_undo_dead(q, loop, &removed, &e), 0);
	assert_true(removed > 0);
	assert_names(qemu.jobs, "backup-of-the-night");
	assert_names(qemu.nodes, "spare disk0");
}

static void what_a_living_exporter_has_stays(void **state)
{
	char prefix[QEMU_PREFIX_MAX], name[QEMU_PREFIX_MAX + 2];
	unsigned removed;

	(void)state;
	snprintf(name, sizeof(name), "%st0", qemu_prefix_of_process(prefix));
	pthread_mutex_lock(&turn);
	json_array_clear(qemu.jobs);
	json_array_clear(qemu.nodes);
	json_array_append_new(qemu.nodes, json_string(name));
	pthread_mutex_unlock(&turn);
	assert_int_equal(qemu_undo_dead(q, loop, &removed, &e), -EBUSY);
	assert_names(qemu.nodes, name);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_the_exports_goes_from_the_top_down), T(what_another_export_has_stays),    T(what_cannot_go_is_an_error),
		T(what_dead_exporters_have_left_goes),	       T(what_a_living_exporter_has_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
