/*
 * test-ssh.c: what the SSH client reads itself: targets, known_hosts, private keys' outsides, the server's first offer; quoting
 * for the remote shell; the last words of a command; and how it asks at a terminal.
 */
#include "shell-quote.h"
#include "ssh-backend.h"
#include "ssh-bootstrap.h"
#include "ssh-format.h"
#include "ssh-prompt.h"
#include "ssh.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Made with ssh-keygen for this test. */
#define ED_A	   "AAAAC3NzaC1lZDI1NTE5AAAAIE2WwpEt0R4VtKAVqYYFpE9W295OecW5/Dv/tzXjKi5e"
#define ED_B	   "AAAAC3NzaC1lZDI1NTE5AAAAIBERERERERERERERERERERERERERERERERERERERERER"
#define ED_A_PRINT "SHA256:BP1PvNpWyvGvD7xi22eREl2pGF54k94PCAZpNHoE9Xo"

static void same(const char *got, const char *wanted, const char *text)
{
	if ((got || wanted) && (!got || !wanted || strcmp(got, wanted)))
		fail_msg("%s: expected %s, got %s", text, wanted ? wanted : "nothing", got ? got : "nothing");
}

static void targets_are_split_into_user_host_and_port(void **state)
{
	static const struct {
		const char *text, *user, *host, *port;
	} cases[] = {
		{"host-b", NULL, "host-b", NULL},
		{"root@host-b", "root", "host-b", NULL},
		{"root@host-b:2222", "root", "host-b", "2222"},
		{"host-b:22", NULL, "host-b", "22"},
		{"ssh://root@host-b:2222", "root", "host-b", "2222"},
		{"ssh://host-b/", NULL, "host-b", NULL},
		{"root@[2001:db8::1]:2222", "root", "2001:db8::1", "2222"},
		{"[2001:db8::1]", NULL, "2001:db8::1", NULL},
		{"root@::1", "root", "::1", NULL},
		{"fe80::1%eth0", NULL, "fe80::1%eth0", NULL},
		{"user@domain@host", "user@domain", "host", NULL},
		{"DOM\\user@192.0.2.7", "DOM\\user", "192.0.2.7", NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct ssh_target t;
		struct err e;

		if (ssh_target_parse(cases[i].text, &t, &e))
			fail_msg("%s: %s", cases[i].text, e.msg);
		same(t.user, cases[i].user, cases[i].text);
		same(t.host, cases[i].host, cases[i].text);
		same(t.port, cases[i].port, cases[i].text);
		ssh_target_fini(&t);
	}
}

static void what_is_no_target_is_refused_and_leaves_the_result_alone(void **state)
{
	static const char *const bad[] = {"",	      "@host",	  "root@",     "host:",		 "host:0", "host:65536",
					  "host:ssh", "host:-1",  "[::1",      "[::1]x",	 "[]:22",  "-oProxyCommand=x",
					  "a@-host",  "-l@host",  "host name", "ssh://",	 "h;id",   "a b@host",
					  "$(id)@h",  "host:22:", "host\n",    "host:000000022", "[::1]:", "ho*st"};
	struct ssh_target t = {NULL, NULL, NULL};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e;

		if (ssh_target_parse(bad[i], &t, &e) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		ssh_target_fini(&t);
	}
}

/* The bytes of a key; known_hosts_line is the way back. */
static size_t key_of(const char *base64, uint8_t *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	size_t n = 0, have = 0;

	for (; *base64 && *base64 != '='; base64++) {
		bits = bits << 6 | (uint32_t)(strchr(digits, *base64) - digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
		}
	}
	return n;
}

static struct known_hosts look(const char *text, const char *host, unsigned port, const char *key)
{
	struct known_hosts k = {.verdict = KNOWN_NOT};
	uint8_t bytes[256];
	size_t n = key ? key_of(key, bytes) : 0;

	known_hosts_look(text, strlen(text), host, port, key ? bytes : NULL, n, &k);
	return k;
}

static void known_hosts_says_whose_key_it_is(void **state)
{
	static const struct {
		const char *text, *host;
		unsigned port;
		enum known verdict;
		unsigned line;
	} cases[] = {
		{"", "h", 22, KNOWN_NOT, 0},
		{"h ssh-ed25519 " ED_A "\n", "h", 22, KNOWN_SAME, 1},
		{"h ssh-ed25519 " ED_A, "H", 22, KNOWN_SAME, 1},
		{"H ssh-ed25519 " ED_A " comment\r\n", "h", 22, KNOWN_SAME, 1},
		{"h ssh-ed25519 " ED_A "\n", "hh", 22, KNOWN_NOT, 0},
		{"h ssh-ed25519 " ED_A "\n", "h", 2222, KNOWN_NOT, 0},
		{"[h]:2222 ssh-ed25519 " ED_A "\n", "h", 2222, KNOWN_SAME, 1},
		{"# x\n\nother,h,192.0.2.1 ssh-ed25519 " ED_A "\n", "192.0.2.1", 22, KNOWN_SAME, 3},
		{"h ssh-ed25519 " ED_B "\n", "h", 22, KNOWN_CHANGED, 1},
		{"h ssh-ed25519 " ED_B "\nh ssh-ed25519 " ED_A "\n", "h", 22, KNOWN_SAME, 2},
		{"h ssh-ed25519 " ED_A "\n@revoked * ssh-ed25519 " ED_A "\n", "h", 22, KNOWN_REVOKED, 2},
		{"@revoked h ssh-ed25519 " ED_B "\n", "h", 22, KNOWN_NOT, 0},
		{"@cert-authority h ssh-ed25519 " ED_A "\n", "h", 22, KNOWN_NOT, 0},
		{"*.example.org ssh-ed25519 " ED_A "\n", "b.example.org", 22, KNOWN_SAME, 1},
		{"*.example.org,!b.example.org ssh-ed25519 " ED_A "\n", "b.example.org", 22, KNOWN_NOT, 0},
		{"h? ssh-ed25519 " ED_A "\n", "h1", 22, KNOWN_SAME, 1},
		{"h ssh-rsa " ED_A "\n", "h", 22, KNOWN_NOT, 0}, /* the key has another type than the line says: a damaged line */
		{"h ssh-ed25519 " ED_A "x\n", "h", 22, KNOWN_NOT, 0},
		{"h ssh-ed25519\n", "h", 22, KNOWN_NOT, 0},
		{"h 1024 35 1234\n", "h", 22, KNOWN_NOT, 0},
		{"@unknown h ssh-ed25519 " ED_A "\n", "h", 22, KNOWN_NOT, 0},
		{"|1|oxE2GVDqGrS5+qbhzo1hrfG61ao=|VUTSSY2l6Q1ChYCfwm6s/PkVsQg= ssh-ed25519 " ED_A "\n", "host-b", 22, KNOWN_SAME, 1},
		{"|1|oxE2GVDqGrS5+qbhzo1hrfG61ao=|VUTSSY2l6Q1ChYCfwm6s/PkVsQg= ssh-ed25519 " ED_A "\n", "host-c", 22, KNOWN_NOT, 0},
		{"|1|x|y ssh-ed25519 " ED_A "\n", "h", 22, KNOWN_NOT, 0},
		{"|1| ssh-ed25519 " ED_A "\n", "h", 22, KNOWN_NOT, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct known_hosts k = look(cases[i].text, cases[i].host, cases[i].port, ED_A);

		if (k.verdict != cases[i].verdict || k.line != cases[i].line)
			fail_msg("%s for %s: %d in line %u", cases[i].text, cases[i].host, (int)k.verdict, k.line);
	}
}

/* ssh(1) reads it likewise: a zero byte ends its line, not the file. */
static void a_byte_of_zero_in_known_hosts_hides_no_line(void **state)
{
	static const char texts[][200] = {
		"# c\0\nh ssh-ed25519 " ED_B "\n",
		"\0\nh ssh-ed25519 " ED_B "\n",
		"# c\nh ssh-ed25519 " ED_B "\0 \n",
	};
	struct known_hosts k;
	uint8_t key[256];
	size_t n = key_of(ED_A, key), i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		k = (struct known_hosts){.verdict = KNOWN_NOT};
		known_hosts_look(texts[i], sizeof(texts[i]), "h", 22, key, n, &k);
		assert_int_equal(k.verdict, KNOWN_CHANGED);
		assert_int_equal(k.line, 2);
	}
}

static void the_types_of_known_keys_are_listed_once(void **state)
{
	struct known_hosts k = look("h ssh-ed25519 " ED_A "\nh ssh-ed25519 " ED_B "\nx ssh-ed25519 " ED_A "\n", "h", 22, NULL);

	(void)state;
	assert_string_equal(k.types, "ssh-ed25519");
	assert_int_equal(k.verdict, KNOWN_NOT);
}

static void a_line_that_was_written_is_read_again(void **state)
{
	uint8_t key[256];
	size_t n = key_of(ED_A, key);
	AUTO_FREE char *line = known_hosts_line("Host-B", 2222, key, n);
	char print[64];

	(void)state;
	assert_string_equal(line, "[host-b]:2222 ssh-ed25519 " ED_A "\n");
	assert_int_equal(look(line, "host-b", 2222, ED_A).verdict, KNOWN_SAME);
	ssh_fingerprint(key, n, print);
	assert_string_equal(print, ED_A_PRINT);
}

static void a_private_key_shows_its_type_and_whether_it_is_locked(void **state)
{
	static const struct {
		const char *text, *type;
		bool is_key, encrypted;
	} cases[] = {
		{"-----BEGIN OPENSSH PRIVATE KEY-----\n"
		 "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
		 "QyNTUxOQAAACBNlsKRLdEeFbSgFamGBaRPVtveTnnFufw7/7c14youXgAAAIg88o49PPKO\n"
		 "PQAAAAtzc2gtZWQyNTUxOQAAACBNlsKRLdEeFbSgFamGBaRPVtveTnnFufw7/7c14youXg\n"
		 "AAAECM3ZYMeBkkKp5QZTozyGE1Y1tstRNdBUBczAmMi07OP02WwpEt0R4VtKAVqYYFpE9W\n"
		 "295OecW5/Dv/tzXjKi5eAAAABHRlc3QB\n"
		 "-----END OPENSSH PRIVATE KEY-----\n",
		 "ssh-ed25519", true, false},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\n"
		 "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDHrknZEH\n"
		 "G3vqMlfOzQjRBpAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIEUN7/KreI+o2IVn\n"
		 "uEq3UNGaku4yjtRd+ifr1u1olT20AAAAkJ8BoYuYTqHSXUO5u2T1goMrSwdSaLPVMs4eEg\n"
		 "EOCDc/iIHKaJhP8GM8ThRQkr21FB+Phe4iLUC6qiQyTvh7yCkPbJSlUkG9SCYxuu+ofDur\n"
		 "6EZF9pxeFab2RxS6lPXeZcDELD6AZFaR0/g+C/2iuEfxexRz/TzYdrePPooJRzfkdfs+br\n"
		 "gNdUGK7CCpZ/PNcg==\n"
		 "-----END OPENSSH PRIVATE KEY-----\n",
		 "ssh-ed25519", true, true},
		{"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", "ssh-rsa", true, true},
		{"-----BEGIN EC PRIVATE KEY-----\nMHc", "", true, false},
		{"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "", true, true},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "", false, false},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE", "", false, false},
		{"ssh-ed25519 " ED_A " me\n", "", false, false},
		{"", "", false, false},
	};
	AUTO_FREE struct private_key *key = xmalloc(sizeof(*key));
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		bool is_key = private_key_look(cases[i].text, key);

		if (is_key != cases[i].is_key || (is_key && (strcmp(key->type, cases[i].type) || key->encrypted != cases[i].encrypted)))
			fail_msg("case %zu: %d, type '%s', encrypted %d", i, is_key, key->type, key->encrypted);
	}
}

static size_t kexinit(uint8_t *out, const char *before, const char *host_keys)
{
	uint8_t *p = out + sprintf((char *)out, "%s", before), *length = p;
	size_t n = strlen(host_keys);

	p += 4;
	*p++ = 4;  /* padding */
	*p++ = 20; /* SSH_MSG_KEXINIT */
	memset(p, 7, 16);
	p += 16;
	memcpy(p, "\0\0\0\4abcd", 8);
	p += 8;
	*p++ = 0;
	*p++ = 0;
	*p++ = (uint8_t)(n >> 8);
	*p++ = (uint8_t)n;
	memcpy(p, host_keys, n);
	p += n;
	n = (size_t)(p - length - 4);
	length[0] = length[1] = 0;
	length[2] = (uint8_t)(n >> 8);
	length[3] = (uint8_t)n;
	return (size_t)(p - out);
}

static void the_host_keys_that_a_server_offers_are_found(void **state)
{
	static const char *const before[] = {"SSH-2.0-OpenSSH_9.2\r\n", "hello\r\nSSH-2.0-x\n"};
	uint8_t data[1024];
	char out[SSH_TYPES_MAX];
	size_t i, cut, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(before); i++) {
		n = kexinit(data, before[i], "rsa-sha2-512,rsa-sha2-256");
		kexinit_host_keys(data, n, out);
		assert_string_equal(out, "rsa-sha2-512,rsa-sha2-256");
		for (cut = 0; cut < n; cut++) {
			kexinit_host_keys(data, cut, out);
			assert_string_equal(out, "");
		}
	}
	n = kexinit(data, before[0], "bad\nname");
	kexinit_host_keys(data, n, out);
	assert_string_equal(out, "");
}

static void the_last_words_are_kept(void **state)
{
	AUTO_FREE struct ssh_tail *t = xcalloc(1, sizeof(*t));
	char out[SSH_STDERR_MAX + 1];
	AUTO_FREE char *big = xcalloc(1, 3 * SSH_STDERR_MAX);
	int i;

	(void)state;
	for (i = 0; i < 10000; i++)
		ssh_tail_append(t, "0123456789", 10);
	ssh_tail_append(t, "end\377\n\r\n", 7);
	ssh_tail_text(t, out);
	assert_int_equal(strlen(out), SSH_STDERR_MAX - 3);
	assert_string_equal(out + strlen(out) - 7, "789end?");
	memset(big, 'x', 3 * SSH_STDERR_MAX);
	ssh_tail_append(t, big, 3 * SSH_STDERR_MAX);
	ssh_tail_text(t, out);
	assert_int_equal(strspn(out, "x"), SSH_STDERR_MAX);
}

static void arguments_are_quoted_for_the_shell(void **state)
{
	AUTO_FREE char *plain = shell_quote("a b");
	AUTO_FREE char *odd = shell_quote("it's $x `y` \\");
	AUTO_FREE char *empty = shell_quote("");

	(void)state;
	assert_string_equal(plain, "'a b'");
	assert_string_equal(odd, "'it'\\''s $x `y` \\'");
	assert_string_equal(empty, "''");
}

/* In a process of its own, which has that terminal. */
static int answer_at(const char *terminal, const char *question)
{
	char answer[PROMPT_MAX];
	struct err e;

	alarm(60);
	if (setsid() < 0 || open(terminal, O_RDWR) < 0)
		return 2;
	return prompt_ask(question, false, answer, &e) || strcmp(answer, "secret");
}

static void what_a_server_asks_drives_no_terminal(void **state)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), other_end, status;
	char name[64], said[256] = "";
	size_t n = 0;
	pid_t pid;

	(void)state;
	assert_true(terminal >= 0 && !grantpt(terminal) && !unlockpt(terminal) && !ptsname_r(terminal, name, sizeof(name)));
	other_end = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC); /* the terminal stays open, so that a read waits for its process */
	assert_true(other_end >= 0);
	pid = fork();
	if (!pid)
		_exit(answer_at(name, "evil\033[2J\177\302\2332J\n\tPassword: "));
	while (!strstr(said, "Password: ") && n < sizeof(said) - 1) {
		ssize_t r = read(terminal, said + n, sizeof(said) - 1 - n);

		assert_true(r > 0);
		n += (size_t)r;
	}
	assert_int_equal(write(terminal, "secret\n", 7), 7);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_string_equal(said, "evil?[2J???2J\r\n\tPassword: ");
	close(other_end);
	close(terminal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_are_split_into_user_host_and_port),
		cmocka_unit_test(what_is_no_target_is_refused_and_leaves_the_result_alone),
		cmocka_unit_test(known_hosts_says_whose_key_it_is),
		cmocka_unit_test(a_byte_of_zero_in_known_hosts_hides_no_line),
		cmocka_unit_test(the_types_of_known_keys_are_listed_once),
		cmocka_unit_test(a_line_that_was_written_is_read_again),
		cmocka_unit_test(a_private_key_shows_its_type_and_whether_it_is_locked),
		cmocka_unit_test(the_host_keys_that_a_server_offers_are_found),
		cmocka_unit_test(the_last_words_are_kept),
		cmocka_unit_test(arguments_are_quoted_for_the_shell),
		cmocka_unit_test(what_a_server_asks_drives_no_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
