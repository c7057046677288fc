/*
 * test-libvirt-rpc.c: the client of libvirt's RPC against a libvirtd that is played by a thread: late, of other numbers, too long, too
 * short, gone at every byte. A real one is asked by e2e/libvirt.
 */
#include "libvirt-rpc.h"
#include "unix-socket.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "../lib/played-libvirtd-thread.h"

/* The call ends so, and whether the connection is dead then. */
static void check_end(int code, bool dead)
{
	struct lv *v = connected();
	int r = call_lookup(v, &guest, &err);

	assert_int_equal(r, -code);
	assert_true(!code || (err.code == code && strstr(err.msg, "'web'")));
	if (!dead)
		plan.procedure = 0;
	assert_int_equal(call_lookup(v, &guest, &err), dead ? -EPIPE : 0);
	disconnect(v);
}

/* ---- what goes well ---- */

static void test_every_call_goes_well(void **state)
{
	size_t i;
	struct lv *v;

	(void)state;
	plan = no_plan();
	v = connected();
	assert_int_equal(lv_version(v), PLAYED_VERSION);
	assert_false(lv_is_user(v));
	for (i = 0; i < ARRAY_LEN(played_calls); i++)
		if (played_calls[i].call(v, &guest, &err) < 0)
			fail_msg("call %zu: %s", i, err.msg);
	assert_int_equal(lv_error_code(v), 0);
	disconnect(v);
}

static void test_replies_are_read(void **state)
{
	struct lv_domain *all, one;
	enum lv_state is;
	struct lv *v;
	unsigned checkpoints;
	char **list, *text;
	size_t n;
	bool yes;
	int reason;

	(void)state;
	plan = no_plan();
	v = connected();
	assert_int_equal(lv_domains(v, &all, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_string_equal(all[1].name, "web");
	assert_memory_equal(all[1].uuid, played_uuid, LV_UUID_LEN);
	assert_int_equal(all[1].id, -1);
	lv_domains_free(all, n);
	assert_int_equal(lv_lookup(v, "web", &one, &err), 0);
	assert_string_equal(one.name, "web");
	assert_int_equal(lv_state_of(v, &one, &is, &reason, &err), 0);
	assert_true(is == LV_PAUSED && reason == 1);
	assert_int_equal(lv_checkpoint_count(v, &one, &checkpoints, &err), 0);
	assert_int_equal(checkpoints, 3);
	assert_int_equal(lv_snapshots(v, &one, &list, &n, &text, &err), 0);
	assert_true(n == 2 && !strcmp(list[1], "<xml/>") && !strcmp(text, "second"));
	lv_strings_free(list, n);
	free(text);
	lv_domain_fini(&one);
	assert_int_equal(lv_networks(v, &list, &n, &err), 0);
	assert_true(n == 2 && !strcmp(list[1], "dmz"));
	lv_strings_free(list, n);
	assert_int_equal(lv_pool(v, "default", &yes, &text, &err), 0);
	assert_true(yes && !strcmp(text, "<xml/>"));
	free(text);
	disconnect(v);
}

static void test_no_snapshot_need_be_current(void **state)
{
	char **xmls, *current = (char *)"?";
	struct lv *v;
	size_t n;

	(void)state;
	plan = plan_for(LV_HAS_CURRENT_SNAPSHOT);
	plan.own_body = true;
	lv_write_u32(&plan.body, 0);
	v = connected();
	assert_int_equal(lv_snapshots(v, &guest, &xmls, &n, &current, &err), 0);
	assert_null(current);
	lv_strings_free(xmls, n);
	disconnect(v);
}

/* Checks the arguments of calls against the definition of the protocol. */
static void test_arguments_are_as_libvirt_has_them(void **state)
{
	struct lv_writer w = {0};
	struct lv *v;

	(void)state;
	plan = plan_for(LV_DOMAIN_UNDEFINE_FLAGS);
	v = connected();
	assert_int_equal(lv_undefine(v, &guest, &err), 0);
	lv_write_string(&w, "web");
	lv_write_uuid(&w, guest.uuid);
	lv_write_u32(&w, (uint32_t)-1);
	lv_write_u32(&w, 2 | 8 | 64); /* SNAPSHOTS_METADATA, KEEP_NVRAM, KEEP_TPM */
	assert_int_equal(libvirtd.args.n, w.n);
	assert_memory_equal(libvirtd.args.data, w.data, w.n);
	lv_writer_fini(&w);
	plan.procedure = LV_LIST_ALL_SNAPSHOTS;
	assert_int_equal(call_snapshots(v, &guest, &err), 0);
	assert_int_equal(be32(libvirtd.args.data + libvirtd.args.n - 8), 1);
	assert_int_equal(be32(libvirtd.args.data + libvirtd.args.n - 4), 1 << 10); /* parents before children */
	disconnect(v);
	lv_writer_fini(&libvirtd.args);
}

static void test_pings_are_answered_and_events_passed_over(void **state)
{
	struct lv *v;

	(void)state;
	plan = plan_for(LV_DOMAIN_LOOKUP_NAME);
	plan.pings = 3;
	plan.events = 2;
	v = connected();
	assert_int_equal(call_lookup(v, &guest, &err), 0);
	assert_int_equal(libvirtd.pongs, 3);
	disconnect(v);
}

static void test_longest_string_is_sent_and_no_longer_one(void **state)
{
	char *name = xcalloc(1, LV_STRING_MAX + 2);
	struct lv_domain out;
	struct lv *v;

	(void)state;
	plan = plan_for(LV_DOMAIN_LOOKUP_NAME);
	v = connected();
	memset(name, 'x', LV_STRING_MAX);
	assert_int_equal(lv_lookup(v, name, &out, &err), 0);
	lv_domain_fini(&out);
	assert_int_equal(libvirtd.args.n, 4 + LV_STRING_MAX);
	name[LV_STRING_MAX] = 'x';
	assert_int_equal(lv_lookup(v, name, &out, &err), -E2BIG);
	assert_int_equal(call_lookup(v, &guest, &err), 0);
	free(name);
	disconnect(v);
	lv_writer_fini(&libvirtd.args);
}

/* ---- a libvirtd that errs ---- */

static void test_heads_of_other_calls_end_the_connection(void **state)
{
	struct plan cases[] = {
		{.xor_serial = 1},
		{.xor_program = 1},
		{.xor_program = LV_PROGRAM ^ LV_KEEPALIVE},
		{.xor_procedure = 1},
		{.xor_type = LV_REPLY},	    /* a call */
		{.xor_type = LV_REPLY ^ 3}, /* a stream */
		{.xor_type = 0x80000000U},  /* an unknown type */
		{.xor_version = 2},
		{.status = 2},
		{.length = LV_HEAD_BYTES - 1},
		{.length = 4},
		{.length = LV_MESSAGE_MAX + 1},
		{.length = 0xffffffff},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		plan = cases[i];
		plan.procedure = LV_DOMAIN_LOOKUP_NAME;
		plan.body_bytes = WHOLE;
		plan.sent_bytes = NO_CUT;
		check_end(EPROTO, true);
		assert_true(!cases[i].length || strstr(err.msg, "which is not between")); /* before anything is made of it */
	}
}

static void test_no_reply_is_a_timeout(void **state)
{
	struct lv *v;

	(void)state;
	plan = plan_for(LV_DOMAIN_LOOKUP_NAME);
	plan.silent = true;
	v = connected();
	lv_set_deadline(v, 30);
	assert_int_equal(call_lookup(v, &guest, &err), -ETIMEDOUT);
	assert_int_equal(call_lookup(v, &guest, &err), -EPIPE);
	disconnect(v);
}

/* The head claims more bytes than come. */
static void test_half_a_reply_is_a_timeout(void **state)
{
	struct lv *v;

	(void)state;
	plan = plan_for(LV_DOMAIN_LOOKUP_NAME);
	plan.length = 1000;
	v = connected();
	lv_set_deadline(v, 30);
	assert_int_equal(call_lookup(v, &guest, &err), -ETIMEDOUT);
	disconnect(v);
}

static void test_gone_at_every_byte_of_a_reply(void **state)
{
	struct lv_writer w = {0};
	long i, all;

	(void)state;
	played_reply(&w, LV_DOMAIN_LOOKUP_NAME);
	all = (long)(LV_HEAD_BYTES + w.n);
	lv_writer_fini(&w);
	for (i = 0; i < all; i++) {
		plan = plan_for(LV_DOMAIN_LOOKUP_NAME);
		plan.sent_bytes = i;
		check_end(ECONNRESET, true);
	}
}

/* Checks a call whose procedure gets a reply of so many bytes. */
static void check_reply_of(const struct played_call *c, int32_t procedure, size_t bytes)
{
	struct lv *v;
	int r;

	plan = plan_for(procedure);
	plan.body_bytes = bytes;
	v = connected();
	r = c->call(v, &guest, &err);
	if (r != -EPROTO)
		fail_msg("procedure %d with %zu bytes: %d %s", procedure, bytes, r, r ? err.msg : "");
	assert_int_equal(c->call(v, &guest, &err), -EPIPE);
	disconnect(v);
}

static void test_replies_of_every_other_length_are_refused(void **state)
{
	size_t i, k, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(played_calls); i++) {
		const struct played_call *c = &played_calls[i];

		for (k = 0; k < ARRAY_LEN(c->procedures) && c->procedures[k]; k++) {
			struct lv_writer w = {0};

			played_reply(&w, c->procedures[k]);
			for (n = 0; n < w.n; n++)
				check_reply_of(c, c->procedures[k], n);
			check_reply_of(c, c->procedures[k], w.n + 1);
			check_reply_of(c, c->procedures[k], w.n + 4);
			lv_writer_fini(&w);
		}
	}
}

/* Replies of a list: how many it says to have, and what its first member begins with. */
static void test_hostile_counts_are_refused(void **state)
{
	static const struct {
		int32_t procedure;
		int (*call)(struct lv *v, const struct lv_domain *d, struct err *e);
	} lists[] = {
		{LV_LIST_ALL_DOMAINS, call_domains},
		{LV_LIST_ALL_SNAPSHOTS, call_snapshots},
		{LV_LIST_ALL_NETWORKS, call_networks},
		{LV_LIST_ALL_CHECKPOINTS, call_checkpoint_count},
	};
	static const uint32_t counts[] = {1, 3, LV_LIST_MAX, LV_LIST_MAX + 1, 0x10000000, 0x80000000, 0xffffffff};
	struct lv *v;
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lists) * ARRAY_LEN(counts); i++) {
		plan = plan_for(lists[i / ARRAY_LEN(counts)].procedure);
		plan.own_body = true;
		lv_write_u32(&plan.body, counts[i % ARRAY_LEN(counts)]);
		for (k = 0; k < 16; k++)
			lv_write_u32(&plan.body, 0x7fffffff);
		v = connected();
		assert_int_equal(lists[i / ARRAY_LEN(counts)].call(v, &guest, &err), -EPROTO);
		disconnect(v);
	}
}

/* More members than a list may have, each of them good. */
static void test_list_has_a_limit(void **state)
{
	size_t i, n;

	(void)state;
	for (n = LV_LIST_MAX; n <= LV_LIST_MAX + 1; n++) {
		struct lv *v;

		plan = plan_for(LV_LIST_ALL_DOMAINS);
		plan.own_body = true;
		lv_write_u32(&plan.body, (uint32_t)n);
		for (i = 0; i < n; i++)
			played_domain(&plan.body);
		lv_write_u32(&plan.body, (uint32_t)n);
		v = connected();
		assert_int_equal(call_domains(v, &guest, &err), n > LV_LIST_MAX ? -EPROTO : 0);
		disconnect(v);
	}
}

/* ---- what libvirt refuses ---- */

static void plan_refusal(int32_t procedure, int number, const char *words)
{
	int i;

	plan = plan_for(procedure);
	plan.own_body = true;
	plan.status = LV_ERROR;
	lv_write_u32(&plan.body, (uint32_t)number);
	lv_write_u32(&plan.body, 10); /* code of QEMU's driver */
	lv_write_optional(&plan.body, words);
	lv_write_u32(&plan.body, 2); /* an error */
	for (i = 0; i < 4; i++)
		lv_write_optional(&plan.body, NULL);
	lv_write_u32(&plan.body, 0);
	lv_write_u32(&plan.body, 0);
	lv_write_u32(&plan.body, 0);
}

static void test_refusals_have_codes_and_libvirt_s_words(void **state)
{
	static const struct {
		int number, code;
	} cases[] = {
		{42, ENOENT}, {43, ENOENT}, {49, ENOENT}, {50, ENOENT}, {66, ENOENT}, {72, ENOENT},   {28, EEXIST},   {55, EALREADY},
		{68, EBUSY},  {87, EBUSY},  {88, EACCES}, {29, EACCES}, {3, ENOTSUP}, {1, EREMOTEIO}, {9, EREMOTEIO}, {-1, EREMOTEIO},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct lv *v;

		plan_refusal(LV_DOMAIN_LOOKUP_NAME, cases[i].number, "Domain\nnot found");
		v = connected();
		assert_int_equal(call_lookup(v, &guest, &err), -cases[i].code);
		assert_int_equal(err.code, cases[i].code);
		assert_int_equal(lv_error_code(v), cases[i].number);
		assert_non_null(strstr(err.msg, "cannot find guest 'web': Domain not found"));
		plan.procedure = 0;
		assert_int_equal(call_lookup(v, &guest, &err), 0);
		disconnect(v);
	}
}

static void test_refusal_need_not_have_words(void **state)
{
	(void)state;
	plan_refusal(LV_DOMAIN_LOOKUP_NAME, 42, NULL);
	check_end(ENOENT, false);
}

static void test_taken_name_is_told_from_other_failures(void **state)
{
	struct lv *v;

	(void)state;
	plan_refusal(LV_DOMAIN_DEFINE_XML_FLAGS, 9, "domain 'web' already exists with uuid x");
	v = connected();
	assert_int_equal(call_define(v, &guest, &err), -EEXIST);
	assert_int_equal(err.code, EEXIST);
	disconnect(v);
	plan_refusal(LV_DOMAIN_DEFINE_XML_FLAGS, 27, "no domain element");
	v = connected();
	assert_int_equal(call_define(v, &guest, &err), -EREMOTEIO);
	disconnect(v);
}

static void test_refusal_that_is_none_ends_the_connection(void **state)
{
	(void)state;
	plan_refusal(LV_DOMAIN_LOOKUP_NAME, 42, "no");
	plan.body_bytes = 14;
	check_end(EPROTO, true);
}

/* ---- its beginning ---- */

static void check_open(int code, const char *words)
{
	struct lv *v = NULL;

	assert_int_equal(connect_to_played(&v), -code);
	assert_true(!code == !!v);
	assert_true(!code || strstr(err.msg, words));
	disconnect(v);
}

static void plan_auth(unsigned count, uint32_t one, uint32_t other)
{
	plan = plan_for(LV_AUTH_LIST);
	plan.own_body = true;
	lv_write_u32(&plan.body, count);
	if (count > 0)
		lv_write_u32(&plan.body, one);
	if (count > 1)
		lv_write_u32(&plan.body, other);
}

static void test_ways_to_be_let_in(void **state)
{
	(void)state;
	plan_auth(0, 0, 0);
	check_open(0, NULL);
	plan_auth(2, 1, 0); /* SASL or none */
	check_open(0, NULL);
	plan_auth(1, 2, 0); /* polkit, which agrees */
	check_open(0, NULL);
	plan_auth(1, 1, 0);
	check_open(ENOTSUP, "SASL");
	plan_auth(1, 0x20, 0); /* type 32: a shift by it would overflow */
	check_open(ENOTSUP, "password");
	plan_auth(1, 0xffffffff, 0);
	check_open(ENOTSUP, "password");
	plan_auth(3, 0, 0);
	check_open(EPROTO, "malformed");
}

static void test_polkit_may_say_no(void **state)
{
	(void)state;
	plan = plan_for(LV_AUTH_POLKIT);
	plan.auth = 2;
	plan.own_body = true;
	lv_write_u32(&plan.body, 0); /* 0: the authentication is not complete */
	check_open(EACCES, "polkit");
	plan_refusal(LV_AUTH_POLKIT, 94, "authentication unavailable: no polkit agent available");
	plan.auth = 2;
	check_open(EACCES, "no polkit agent");
}

static void test_old_libvirt_is_refused(void **state)
{
	(void)state;
	plan = plan_for(LV_GET_LIB_VERSION);
	plan.own_body = true;
	lv_write_u64(&plan.body, 8009000);
	check_open(ENOTSUP, "libvirt 8.9.0");
	plan = plan_for(LV_GET_LIB_VERSION);
	plan.own_body = true;
	lv_write_u64(&plan.body, 9000000);
	check_open(0, NULL);
}

static void test_refused_uri_has_libvirt_s_words(void **state)
{
	(void)state;
	plan_refusal(LV_CONNECT_OPEN, 5, "no connection driver available for qemu:///system");
	check_open(ENOTSUP, "no connection driver");
}

static int listen_at(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && strlen(path) <= UNIX_SOCKET_PATH_MAX);
	strcpy(sa.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void test_nobody_listens(void **state)
{
	char dir[] = "/tmp/test-libvirt-rpc-XXXXXX";
	AUTO_FREE char *path = NULL;
	struct lv *v = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/libvirt-sock", dir);
	assert_int_equal(lv_open_at(&v, path, "qemu:///system", PATIENCE_MS, &err), -ENOENT);
	close(listen_at(path)); /* the socket stays */
	assert_int_equal(lv_open_at(&v, path, "qemu:///system", PATIENCE_MS, &err), -ENOENT);
	assert_non_null(strstr(err.msg, path));
	assert_null(v);
	unlink(path);
	rmdir(dir);
}

static void test_listener_that_says_nothing_is_a_timeout(void **state)
{
	char dir[] = "/tmp/test-libvirt-rpc-XXXXXX";
	AUTO_FREE char *path = NULL;
	struct lv *v = NULL;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/libvirt-sock", dir);
	fd = listen_at(path);
	assert_int_equal(lv_open_at(&v, path, "qemu:///system", 30, &err), -ETIMEDOUT);
	close(fd);
	unlink(path);
	rmdir(dir);
}

/* Another user's socket is a name in a directory as any other: nothing is said to it. */
static void test_listener_of_another_user_is_not_believed(void **state)
{
	char dir[] = "/tmp/test-libvirt-rpc-XXXXXX", byte;
	AUTO_FREE char *path = NULL;
	struct lv *v = NULL;
	int fd, pair[2], to;
	pid_t child;

	(void)state;
	if (geteuid()) {
		print_message("skipped: only root can be another user\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0777), 0);
	path = xasprintf("%s/libvirt-sock", dir);
	assert_int_equal(pipe(pair), 0);
	child = fork();
	if (!child) {
		if (setresuid(65534, 65534, 65534))
			_exit(1);
		fd = listen_at(path);
		if (write(pair[1], "", 1) != 1)
			_exit(1);
		to = accept(fd, NULL, NULL);
		_exit(to < 0 || recv(to, &byte, 1, 0) ? 1 : 0);
	}
	assert_int_equal(read(pair[0], &byte, 1), 1);
	assert_int_equal(lv_open_at(&v, path, "qemu:///system", PATIENCE_MS, &err), -EACCES);
	assert_non_null(strstr(err.msg, "65534"));
	assert_int_equal(waitpid(child, &fd, 0), child);
	assert_int_equal(fd, 0);
	close(pair[0]);
	close(pair[1]);
	unlink(path);
	rmdir(dir);
}

/* An address of a unix socket holds 107 bytes, and a name is cut between characters. */
static void test_socket_of_a_guest_has_an_address(void **state)
{
	char name[121] = "";
	AUTO_FREE char *whole = lv_guest_socket("/run/libvirt", "ram", "web");
	AUTO_FREE char *even = NULL, *odd = NULL;
	size_t i;

	(void)state;
	for (i = 0; i < 60; i++)
		strcat(name, "\xc3\xa4");
	even = lv_guest_socket("/run/user/1000/libvirt/vmferry-0123456789abcdef", "ram", name);
	odd = lv_guest_socket("/run/user/10000/libvirt/vmferry-0123456789abcdef", "ram", name);
	assert_string_equal(whole, "/run/libvirt/ram.tunnelmigrate.dest.web");
	assert_true(strlen(even) >= 106 && strlen(even) <= 107 && text_is_utf8(even));
	assert_true(strlen(odd) >= 106 && strlen(odd) <= 107 && text_is_utf8(odd));
	assert_int_not_equal(strlen(even), strlen(odd)); /* the cut of one of them would fall within a character */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_socket_of_a_guest_has_an_address),
		cmocka_unit_test(test_every_call_goes_well),
		cmocka_unit_test(test_replies_are_read),
		cmocka_unit_test(test_no_snapshot_need_be_current),
		cmocka_unit_test(test_arguments_are_as_libvirt_has_them),
		cmocka_unit_test(test_pings_are_answered_and_events_passed_over),
		cmocka_unit_test(test_longest_string_is_sent_and_no_longer_one),
		cmocka_unit_test(test_heads_of_other_calls_end_the_connection),
		cmocka_unit_test(test_no_reply_is_a_timeout),
		cmocka_unit_test(test_half_a_reply_is_a_timeout),
		cmocka_unit_test(test_gone_at_every_byte_of_a_reply),
		cmocka_unit_test(test_replies_of_every_other_length_are_refused),
		cmocka_unit_test(test_hostile_counts_are_refused),
		cmocka_unit_test(test_list_has_a_limit),
		cmocka_unit_test(test_refusals_have_codes_and_libvirt_s_words),
		cmocka_unit_test(test_refusal_need_not_have_words),
		cmocka_unit_test(test_taken_name_is_told_from_other_failures),
		cmocka_unit_test(test_refusal_that_is_none_ends_the_connection),
		cmocka_unit_test(test_ways_to_be_let_in),
		cmocka_unit_test(test_polkit_may_say_no),
		cmocka_unit_test(test_old_libvirt_is_refused),
		cmocka_unit_test(test_refused_uri_has_libvirt_s_words),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_listener_that_says_nothing_is_a_timeout),
		cmocka_unit_test(test_listener_of_another_user_is_not_believed),
	};

	plan = no_plan();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
