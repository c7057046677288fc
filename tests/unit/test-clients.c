/* test-clients.c: whether somebody listens where the guest's QEMU connects when it starts. In a network namespace of this test, if it may have one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/sockets.h"

#include "../../agent-dst/parts/clients.h"
#include "qemu-args.h"
#include "util.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/test-clients.XXXXXX";
static struct err e;

/* Sentences and obstacles of a line that has that option: how many. *first: the first one, malloc'ed. */
static size_t check(const char *how, const char *option, const char *value, char **first)
{
	char *words[] = {(char *)"qemu-system-x86_64", (char *)option, (char *)value};
	const struct args_options o = {.cwd = "/", .at_rest = !strcmp(how, "cold")};
	struct target t = {.description = json_pack("{s:s}", "how", how)};
	json_t *said = json_array();
	size_t n;

	if (qemu_args_rewrite(&t.args, words, ARRAY_LEN(words), &o, &e))
		fail_msg("%s %s: %s", option, value, e.msg);
	clients_examine(&t);
	clients_tell(&t, said);
	if (t.obstacles.list)
		json_array_extend(said, t.obstacles.list);
	n = json_array_size(said);
	*first = xstrdup(json_string_value(json_array_get(said, 0)));
	obstacles_fini(&t.obstacles);
	args_result_fini(&t.args);
	json_decref(t.description);
	json_decref(said);
	return n;
}

static void expect(const char *how, const char *option, const char *value, const char *words)
{
	AUTO_FREE char *said = NULL;
	size_t n = check(how, option, value, &said);

	if (n != (words ? 1 : 0) || (words && !strstr(said, words)))
		fail_msg("%s %s: %zu, %s", option, value, n, said ?: "-");
}

static int listening_at(uint16_t *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

static void a_port_that_nobody_listens_at(void **state)
{
	uint16_t port;
	int fd = listening_at(&port);
	AUTO_FREE char *serial = xasprintf("tcp:127.0.0.1:%u", port), *telnet = xasprintf("telnet:localhost:%u", port),
		       *mon = xasprintf("mon:%s", serial);
	AUTO_FREE char *node = xasprintf("socket,id=c,host=localhost,port=%u", port), *again = xasprintf("%s,reconnect-ms=100", node);
	AUTO_FREE char *server = xasprintf("%s,server=on,wait=off", node), *away = xasprintf("tcp:192.0.2.1:%u", port);

	(void)state;
	expect("live", "-serial", serial, NULL);
	expect("live", "-chardev", node, NULL);
	close(fd);
	expect("live", "-serial", serial, "where no process listens at the destination: start what is to listen there");
	expect("live", "-serial", telnet, "-serial connects to port ");
	expect("cold", "-serial", mon, "-serial connects to port ");
	expect("warm", "-chardev", node, "-chardev connects to port ");
	expect("live", "-chardev", again, NULL);
	expect("live", "-chardev", server, NULL);
	expect("live", "-serial", away, NULL); /* nobody is connected to */
	expect("cold", "-chardev", node, "yet: its QEMU starts only once one does");
}

static void a_socket_that_nobody_listens_on(void **state)
{
	AUTO_FREE char *path = xasprintf("%s/s", dir), *node = xasprintf("socket,id=c,path=%s", path), *serial = xasprintf("unix:%s", path);
	AUTO_FREE char *again = xasprintf("%s,reconnect-ms=100", node), *vde = xasprintf("vde,id=n,sock=%s", dir);
	int fd = unix_listening(path);

	(void)state;
	expect("live", "-chardev", node, NULL);
	close(fd);
	expect("live", "-chardev", node, "where no process listens at the destination: start what is to listen there");
	expect("quick", "-serial", serial, path);
	expect("live", "-chardev", again, NULL);
	expect("cold", "-serial", serial, "yet: its QEMU starts only once one does");
	unlink(path);
	expect("live", "-netdev", vde, NULL);	/* a switch of vde is a directory */
	expect("live", "-chardev", node, NULL); /* the line says itself that it is missing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_port_that_nobody_listens_at),
					   cmocka_unit_test(a_socket_that_nobody_listens_on)};
	int failed;

	assert_non_null(mkdtemp(dir));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
