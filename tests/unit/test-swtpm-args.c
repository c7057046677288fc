/* test-swtpm-args.c: the command line of a swtpm: what is read from it, what is refused, and the line of the one that takes its place. */
#include "swtpm-args.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct line {
	char *text;
	char *argv[32];
	size_t argc;
};

static void split(struct line *l, const char *text)
{
	char *word, *save = NULL;

	*l = (struct line){.text = xasprintf("swtpm %s", text)};
	for (word = strtok_r(l->text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		assert_true(l->argc + 1 < ARRAY_LEN(l->argv));
		l->argv[l->argc++] = word;
	}
}

static int take(struct swtpm *s, const char *text, struct err *e)
{
	struct line l;
	int r;

	split(&l, text);
	r = swtpm_read(s, l.argv, l.argc, e);
	free(l.text);
	return r;
}

#define NEEDED "--tpmstate dir=/s --ctrl type=unixio,path=/c"

static void expect(const char *options, const char *to)
{
	AUTO_FREE char *from = xasprintf("socket %s", options);
	AUTO_FREE char *got = xstrdup("");
	struct swtpm s;
	struct err e;
	char **line;
	size_t i;

	if (take(&s, from, &e))
		fail_msg("%s: %s", from, e.msg);
	line = swtpm_line(&s, "/x/swtpm", true);
	for (i = 1; line[i]; i++) {
		char *longer = xasprintf("%s%s%s", got, i > 1 ? " " : "", line[i]);

		free(got);
		got = longer;
		free(line[i]);
	}
	assert_string_equal(line[0], "/x/swtpm");
	free(line[0]);
	free(line);
	assert_string_equal(got, to);
	swtpm_fini(&s);
}

#define LINE "socket --tpmstate dir=/s,mode=0600 --ctrl type=unixio,path=/c,mode=0600"
#define ENDS " --terminate --daemon"

static void what_goes_along_is_in_the_new_line(void **state)
{
	(void)state;
	expect(NEEDED, LINE ENDS);
	expect(NEEDED " --tpm2", LINE " --tpm2" ENDS);
	expect("--ctrl=type=unixio,mode=0666,uid=1,path=/c --tpm2 --tpmstate=backend-uri=dir:///s", LINE " --tpm2" ENDS);
	expect(NEEDED " --locality reject-locality-4,allow-set-locality --seccomp action=none -t",
	       LINE " --locality reject-locality-4,allow-set-locality --seccomp action=none" ENDS);
	expect(NEEDED " -d --daemon --terminate --flags not-need-init --migration incoming,release-lock-outgoing", LINE ENDS);
	expect("--tpmstate dir=/old --tpmstate dir=/s,lock --ctrl type=unixio,path=/old --ctrl type=unixio,path=/c", LINE ENDS);
}

static void what_is_left_out_is_told(void **state)
{
	struct swtpm s;
	struct err e;

	(void)state;
	assert_int_equal(take(&s, "socket " NEEDED " --log file=/l,level=20 --pid file=/p -t", &e), 0);
	assert_string_equal(s.left_out, "--log, --pid");
	assert_true(s.terminates);
	assert_false(s.tpm2);
	assert_string_equal(s.socket, "/c");
	assert_string_equal(s.state, "/s");
	swtpm_fini(&s);
	assert_int_equal(take(&s, "socket " NEEDED, &e), 0);
	assert_null(s.left_out);
	assert_false(s.terminates);
	swtpm_fini(&s);
}

static void expect_refused(const char *text, const char *why)
{
	struct swtpm s = {.tpm2 = true};
	struct err e = {.code = 0};

	assert_int_equal(take(&s, text, &e), -ENOTSUP);
	if (!strstr(e.msg, why))
		fail_msg("\"%s\" is not in: %s", why, e.msg);
	assert_true(s.tpm2);
	assert_null(s.socket);
}

static void what_cannot_go_along_is_refused(void **state)
{
	(void)state;
	expect_refused("socket " NEEDED " --key file=/k", "encrypted with a key of this host (--key)");
	expect_refused("socket " NEEDED " --key=pwdfile=/k", "(--key)");
	expect_refused("socket " NEEDED " --migration-key file=/k", "(--migration-key)");
	expect_refused("socket " NEEDED " --runas tss", "another user");
	expect_refused("socket " NEEDED " -r tss", "another user");
	expect_refused("socket " NEEDED " -rtss", "another user");
	expect_refused("socket " NEEDED " --server type=tcp,port=1", "others than QEMU");
	expect_refused("socket " NEEDED " -p 1", "others than QEMU");
	expect_refused("socket " NEEDED " --fd 3", "parent process passed it");
	expect_refused("socket " NEEDED " --flags not-need-init,startup-clear", "--flags not-need-init,startup-clear");
	expect_refused("socket " NEEDED " --locality allow-set-locality,x", "--locality");
	expect_refused("socket " NEEDED " --locality ,", "--locality");
	expect_refused("socket " NEEDED " --seccomp action=kill,x", "--seccomp");
	expect_refused("socket " NEEDED " --profile name=x", "does not know its option --profile");
	expect_refused("socket " NEEDED " --tpm", "does not know its option --tpm");
	expect_refused("socket " NEEDED " --tpm2=x", "--tpm2=x");
	expect_refused("socket " NEEDED " --log", "cannot be read");
	expect_refused("socket " NEEDED " x", "option x");
	expect_refused("socket --tpmstate dir=/s --ctrl type=tcp,port=5", "not reach it at a unix socket");
	expect_refused("socket --tpmstate dir=/s --ctrl type=unixio,fd=5", "not reach it at a unix socket");
	expect_refused("socket --tpmstate dir=/s --ctrl type=unixio,path=/c,clientfd=5", "not reach it at a unix socket");
	expect_refused("socket --tpmstate backend-uri=file:///x --ctrl type=unixio,path=/c", "not in a directory");
	expect_refused("socket --ctrl type=unixio,path=/c", "where its state is");
	expect_refused("socket --tpmstate dir=/s", "where its socket is");
	expect_refused("socket", "where its socket is");
	expect_refused("chardev --vtpm-proxy " NEEDED, "where its socket is");
	expect_refused("", "where its socket is");
}

static void expect_socket(const char *text, const char *want)
{
	AUTO_FREE char *got = NULL;
	struct line l;

	split(&l, text);
	got = swtpm_socket(l.argv, l.argc);
	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
	free(l.text);
}

static void socket_is_found_in_a_line_that_is_refused(void **state)
{
	(void)state;
	expect_socket("socket --key file=/k --ctrl type=unixio,path=/c --unknown x y --tpm2", "/c");
	expect_socket("socket --tpmstate dir=/s --ctrl type=tcp,port=5", NULL);
	expect_socket("socket --ctrl", NULL);
	expect_socket("cuse --ctrl type=unixio,path=/c", NULL);
}

static void program_is_known_by_its_name(void **state)
{
	(void)state;
	assert_true(swtpm_is("swtpm"));
	assert_true(swtpm_is("/usr/bin/swtpm"));
	assert_false(swtpm_is("/usr/bin/swtpm_setup"));
	assert_false(swtpm_is("/usr/swtpm/x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_along_is_in_the_new_line), cmocka_unit_test(what_is_left_out_is_told),
		cmocka_unit_test(what_cannot_go_along_is_refused),    cmocka_unit_test(socket_is_found_in_a_line_that_is_refused),
		cmocka_unit_test(program_is_known_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
