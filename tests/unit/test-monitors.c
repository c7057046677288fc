/* test-monitors.c: what query-chardev says of sockets on which somebody might give orders to a waiting QEMU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../agent-dst/parts/monitors.h"
#include "net.h"

#include "../lib/played-qemu.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

static void expect(const char *filename, bool is_unix, bool connected, const char *address, const char *peer)
{
	struct chardev_socket s;

	assert_true(monitors_parse(filename, &s));
	assert_int_equal(s.is_unix, is_unix);
	assert_int_equal(s.connected, connected);
	assert_string_equal(s.address, address);
	assert_string_equal(s.peer, peer);
}

/* The names are those that QEMU 7.2 and 10.0 print. */
static void listening_sockets_are_taken_apart(void **state)
{
	(void)state;
	expect("disconnected:unix:/run/a.qmp,server=on", true, false, "/run/a.qmp", "");
	expect("unix:/run/a.qmp,server=on", true, true, "/run/a.qmp", "");
	expect("disconnected:tcp:127.0.0.1:4444,server=on", false, false, "127.0.0.1:4444", "");
	expect("disconnected:telnet:0.0.0.0:4444,server=on", false, false, "0.0.0.0:4444", "");
	expect("tcp:127.0.0.1:4444,server=on <-> 127.0.0.1:53412", false, true, "127.0.0.1:4444", "127.0.0.1:53412");
	expect("disconnected:tcp:[::1]:4444,server=on", false, false, "[::1]:4444", "");
	expect("disconnected:websocket:127.0.0.1:4444,server=on", false, false, "127.0.0.1:4444", "");
	/* a socket without a file cannot be hidden */
	expect("disconnected:unix:/run/a,abstract=on,tight=on,server=on", true, false, "/run/a,abstract=on,tight=on", "");
	/* a name may have anything in it */
	expect("unix:/run/x,server=on <-> /a.qmp,server=on", true, true, "/run/x,server=on <-> /a.qmp", "");
}

static void what_does_not_listen_is_left_alone(void **state)
{
	static const char *const others[] = {"pty:/dev/pts/3",
					     "vc",
					     "file",
					     "unix:/run/manager.sock",
					     "tcp:10.0.0.1:99 <-> 10.0.0.2:1",
					     "",
					     "disconnected:",
					     "disconnected:unix:,server=on",
					     "unix:,server=on",
					     "udp",
					     "disconnected:vsock:2:1,server=on"};
	struct chardev_socket s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(monitors_parse(others[i], &s));
}

static void expect_monitor(const char *label, const char *const *line, bool yes)
{
	json_t *chardevs = json_pack("[{s:s,s:s},{s:s,s:s},{s:s,s:s}]", "label", "serial0", "filename", "mux", "label", "c1", "filename",
				     "mux", "label", "c2", "filename", "stdio");
	struct args_result r = {.argv = (char **)line};

	while (line[r.argc])
		r.argc++;
	if (monitors_has(&r, chardevs, label) != yes)
		fail_msg("%s is %sa monitor", label, yes ? "not " : "");
	json_decref(chardevs);
}

/* Labels as QEMU 10.0 makes them. */
static void monitors_are_known_by_their_labels(void **state)
{
	static const char *const line[] = {"qemu",
					   "-mon",
					   "mode=control,chardev=m1",
					   "-mon",
					   "m2",
					   "-qmp",
					   "chardev:m3",
					   "-monitor",
					   "chardev:m4",
					   "-gdb",
					   "chardev:m5",
					   "-serial",
					   "chardev:s1",
					   "-name",
					   "chardev:s2",
					   "-object",
					   "monitor-hmp,id=o,chardev=m6",
					   "-object",
					   "{\"qom-type\": \"monitor-qmp\", \"id\": \"p\", \"chardev\": \"m7\"}",
					   "-object",
					   "secret,id=c3,chardev=s3",
					   NULL};
	static const char *const monitors[] = {"compat_monitor0",
					       "compat_monitor12",
					       "compat_monitor1-base",
					       "gdb",
					       "serial0-base",
					       "c1-base",
					       "m1",
					       "m2",
					       "m3",
					       "m4",
					       "m5",
					       "m6",
					       "m7"},
				 *const others[] = {"serial0", "serial1", "c1",	       "c2", "c2-base", "-base", "s1", "s2",
						    "m",       "m12",	  "parallel0", "",   "s3",	"o",	 "p"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(monitors) / sizeof(monitors[0]); i++)
		expect_monitor(monitors[i], line, true);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		expect_monitor(others[i], line, false);
}

/* ---- a monitor on a TCP port, of a QEMU that serves who has connected when it comes to it ---- */

static struct {
	unsigned late; /* for so many questions it serves nobody yet */
	int port;      /* port of the chardev that the monitor serves then */
} qemu;

static json_t *chardevs(const char *command, const json_t *args)
{
	AUTO_FREE char *filename = qemu.late ? xstrdup("disconnected:tcp:127.0.0.1:4444,server=on")
					     : xasprintf("tcp:127.0.0.1:4444,server=on <-> 127.0.0.1:%d", qemu.port);

	(void)args;
	if (!strcmp(command, "qmp_capabilities"))
		return done(json_object());
	if (strcmp(command, "query-chardev"))
		return error("what is that?");
	qemu.late -= qemu.late > 0;
	return done(json_pack("[{s:s,s:s,s:b}]", "label", "compat_monitor0", "filename", filename, "frontend-open", 1));
}

/* ours: it is we whom QEMU serves. */
static int wait_for_it(unsigned late, bool ours)
{
	struct attempt a = {.handing_off = false};
	struct target t = {.part = {.a = &a}, .qmp_path = (char *)"/run/ours.qmp", .dir = (char *)"/nowhere"};
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	qemu.late = late;
	qemu.port = net_local_port(fd) + !ours;
	assert_int_equal(played_begin(chardevs), 0);
	a.loop = loop;
	t.qmp = q;
	t.occupied[t.occupied_count++] = fd;
	r = monitors_wait_until_alone(&t, &e);
	played_end();
	close(fd);
	return r;
}

static void a_qemu_that_serves_us_late_is_waited_for(void **state)
{
	(void)state;
	assert_int_equal(wait_for_it(0, true), 0);
	assert_int_equal(wait_for_it(5, true), 0);
	assert_int_equal(qemu.late, 0);
}

static void who_was_quicker_is_not(void **state)
{
	(void)state;
	assert_int_equal(wait_for_it(0, false), -EBUSY);
	assert_non_null(strstr(e.msg, "another client is connected to the monitor 127.0.0.1:4444"));
	assert_int_equal(wait_for_it(5, false), -EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listening_sockets_are_taken_apart),
		cmocka_unit_test(what_does_not_listen_is_left_alone),
		cmocka_unit_test(monitors_are_known_by_their_labels),
		cmocka_unit_test(a_qemu_that_serves_us_late_is_waited_for),
		cmocka_unit_test(who_was_quicker_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
