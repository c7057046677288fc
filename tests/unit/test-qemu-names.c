/*
 * test-qemu-names.c: what counts as undone in the source QEMU, against a QEMU that is played here: it has bitmaps, exports and an NBD server,
 * and may refuse.
 */
#include "qemu-names.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "../lib/played-names.h"
#include "../lib/played-qemu.h"
#include "../lib/sockets.h"

#define PREFIX "vmferry-deadbeef-"

static struct {
	json_t *bitmaps;    /* names */
	json_t *exports;    /* ids */
	json_t *lingering;  /* exports that stay for this many further questions */
	const char *refuse; /* a command, or the name of what is not to be removed */
	const char *starts; /* at this socket an NBD server, before it answers anything */
	int fd;
	unsigned stops;
	bool nbd;
} qemu;

/* ---- QEMU's side ---- */

static json_t *nodes(void)
{
	return json_pack("[{s:s},{s:s,s:o}]", "node-name", "file0", "node-name", "disk0", "dirty-bitmaps",
			 names_told(qemu.bitmaps, "name", json_pack("{s:b}", "busy", 0)));
}

static json_t *exports(void)
{
	json_t *list = names_told(qemu.exports, "id", NULL), *rest = names_told(qemu.lingering, "id", NULL);

	json_array_extend(list, rest);
	json_decref(rest);
	json_array_clear(qemu.lingering);
	return list;
}

static json_t *take(json_t *from, const char *name, const char *otherwise, json_t *to)
{
	if (qemu.refuse && !strcmp(qemu.refuse, name))
		return error("it is currently in use by another operation and cannot be used");
	return names_take(from, name, to) ? done(json_object()) : error(otherwise);
}

static json_t *carry_out(const char *command, const json_t *args)
{
	if (qemu.starts)
		qemu.fd = unix_bound(qemu.starts);
	qemu.starts = NULL;
	if (qemu.refuse && !strcmp(qemu.refuse, command))
		return error("no");
	if (!strcmp(command, "query-named-block-nodes"))
		return done(nodes());
	if (!strcmp(command, "query-block-exports"))
		return done(exports());
	if (!strcmp(command, "block-dirty-bitmap-remove"))
		return take(qemu.bitmaps, json_string_value(json_object_get(args, "name")), "Dirty bitmap 'x' not found", NULL);
	if (!strcmp(command, "block-export-del"))
		return take(qemu.exports, json_string_value(json_object_get(args, "id")), "Export 'x' is not found", qemu.lingering);
	if (!strcmp(command, "nbd-server-stop")) {
		qemu.stops++;
		return qemu.nbd ? done(json_object()) : error("NBD server not running");
	}
	return done(json_object());
}

static int setup(void **state)
{
	(void)state;
	memset(&qemu, 0, sizeof(qemu));
	qemu.bitmaps = json_pack("[s,s,s,s]", "backup", PREFIX "1-7", PREFIX "2-7", "vmferry-01234567-1-0");
	qemu.exports = json_pack("[s,s,s]", "theirs", PREFIX "1-r1", PREFIX "1-r10");
	qemu.lingering = json_array();
	qemu.nbd = true;
	return played_begin(carry_out);
}

static int teardown(void **state)
{
	(void)state;
	played_end();
	json_decref(qemu.bitmaps);
	json_decref(qemu.exports);
	json_decref(qemu.lingering);
	return 0;
}

/* ---- the tests ---- */

static void only_what_has_the_attempts_prefix_is_removed(void **state)
{
	static const uint8_t attempt[ATTEMPT_ID_LEN] = {0xde, 0xad, 0xbe, 0xef, 1};
	char prefix[QEMU_PREFIX_MAX];

	(void)state;
	assert_string_equal(qemu_prefix(prefix, attempt), PREFIX);
	assert_int_equal(qemu_undo_bitmaps(q, prefix, &e), 0);
	assert_names(qemu.bitmaps, "backup vmferry-01234567-1-0");
	assert_int_equal(qemu_undo_exports(q, loop, prefix, &e), 0);
	assert_names(qemu.exports, "theirs");
	assert_int_equal(json_array_size(qemu.lingering), 0); /* waited for */
	assert_int_equal(qemu_undo_bitmaps(q, prefix, &e), 0);
	assert_int_equal(qemu_undo_exports(q, loop, prefix, &e), 0);
}

static void a_busy_bitmap_is_an_error_and_the_others_go(void **state)
{
	(void)state;
	qemu.refuse = PREFIX "1-7";
	assert_int_equal(qemu_undo_bitmaps(q, PREFIX, &e), -EREMOTEIO);
	assert_non_null(strstr(e.msg, "in use by another operation"));
	assert_names(qemu.bitmaps, "backup " PREFIX "1-7 vmferry-01234567-1-0");
	qemu.refuse = NULL;
	assert_int_equal(qemu_undo_bitmaps(q, PREFIX, &e), 0);
	assert_names(qemu.bitmaps, "backup vmferry-01234567-1-0");
}

static void an_export_that_stays_is_an_error_and_the_others_go(void **state)
{
	(void)state;
	qemu.refuse = PREFIX "1-r1";
	assert_int_equal(qemu_undo_exports(q, loop, PREFIX, &e), -EREMOTEIO);
	assert_names(qemu.exports, "theirs " PREFIX "1-r1");
}

static void what_qemu_does_not_say_does_not_count_as_gone(void **state)
{
	(void)state;
	qemu.refuse = "query-block-exports";
	assert_int_equal(qemu_undo_exports(q, loop, PREFIX, &e), -EREMOTEIO);
	qemu.refuse = "query-named-block-nodes";
	assert_int_equal(qemu_undo_bitmaps(q, PREFIX, &e), -EREMOTEIO);
	qmp_close(q);
	q = NULL;
}

static void somebody_elses_nbd_server_is_not_stopped(void **state)
{
	char path[64];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/vmferry-undo-%d.nbd", (int)getpid());
	unlink(path);
	fd = unix_bound(path);
	qemu.refuse = "nbd-server-stop";
	assert_int_equal(qemu_undo_nbd_server(q, getpid(), path, &e), -EREMOTEIO);
	assert_int_equal(access(path, F_OK), 0);
	qemu.refuse = NULL;
	assert_int_equal(qemu_undo_nbd_server(q, getpid(), path, &e), 0);
	assert_int_equal(qemu.stops, 1);
	assert_int_equal(access(path, F_OK), -1);
	close(fd);

	close(unix_bound(path)); /* a socket that no process serves, so a server that runs is another */
	assert_int_equal(qemu_undo_nbd_server(q, getpid(), path, &e), 0);
	assert_int_equal(qemu.stops, 1);
	assert_int_equal(access(path, F_OK), -1);

	fd = unix_bound(path);
	qemu.nbd = false;
	assert_int_equal(qemu_undo_nbd_server(q, getpid(), path, &e), 0);
	assert_int_equal(qemu.stops, 2);
	close(fd);
}

static void an_nbd_server_that_only_now_starts_is_stopped(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/tmp/vmferry-undo-%d.nbd", (int)getpid());
	unlink(path);
	qemu.starts = path;
	assert_int_equal(qemu_undo_nbd_server(q, getpid(), path, &e), 0);
	assert_int_equal(qemu.stops, 1);
	close(qemu.fd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(only_what_has_the_attempts_prefix_is_removed),       T(a_busy_bitmap_is_an_error_and_the_others_go),
		T(an_export_that_stays_is_an_error_and_the_others_go), T(what_qemu_does_not_say_does_not_count_as_gone),
		T(somebody_elses_nbd_server_is_not_stopped),	       T(an_nbd_server_that_only_now_starts_is_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
