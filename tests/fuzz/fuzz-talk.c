/*
 * fuzz-talk.c: libFuzzer on whoever is asked line by line: a guest's agent (agent-src/guest/agent-talk.c), whose bytes the guest chooses, and QEMU's
 * human monitor (common/qemu/hmp.c), whose connection the guest's console may share.
 *
 * The first byte chooses, and has settings. 0xfe ends what is read at once; to an agent 0xfd stands for the number that it is asked to repeat.
 */
#include "agent-talk.h"
#include "hmp.h"
#include "seed.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum selector { AGENT, TEXT, MONITOR, SELECTORS };
enum { SETTINGS = 16, TELNET = 0x10, SHARED = 0x20 };
enum { CUT = 0xfe, NUMBER = 0xfd };

static bool say(int fd, const uint8_t *p, size_t n)
{
	return !n || send(fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* All that the other end says, in packets. It listens until ends[1] is closed. */
static void say_all(int ends[2], const uint8_t *p, size_t n)
{
	const uint8_t *cut;

	require(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
	while ((cut = memchr(p, CUT, n)) && say(ends[1], p, (size_t)(cut - p))) {
		n -= (size_t)(cut - p) + 1;
		p = cut + 1;
	}
	say(ends[1], p, n);
	require(!shutdown(ends[1], SHUT_WR));
}

static uint8_t *with_number(const uint8_t *p, size_t *n)
{
	AUTO_FREE char *number = xasprintf("%d", (int)getpid());
	uint8_t *out = xmalloc(*n * strlen(number) + 1);
	size_t i, k = 0;

	for (i = 0; i < *n; i++) {
		if (p[i] == NUMBER)
			memcpy(out + k, number, strlen(number));
		else
			out[k] = p[i];
		k += p[i] == NUMBER ? strlen(number) : 1;
	}
	*n = k;
	return out;
}

static void try_agent(const uint8_t *p, size_t n)
{
	AUTO_FREE uint8_t *said = with_number(p, &n);
	AUTO_FREE struct agent *a = xcalloc(1, sizeof(*a));
	json_t *answer = NULL;
	struct err e;
	int ends[2];

	say_all(ends, said, n);
	a->fd = ends[0];
	if (!agent_synchronize(a, &e) && agent_call(a, "guest-fsfreeze-status", AGENT_SYNC_MS, &answer, &e))
		require(!answer);
	require(a->n <= AGENT_ANSWER_MAX);
	json_decref(answer);
	close(ends[0]);
	close(ends[1]);
}

static void expect_kept(const struct hmp_text *t)
{
	AUTO_FREE char *answer = hmp_text_answer(t), *error = answer ? hmp_text_error(answer) : NULL;

	require(t->n <= HMP_TEXT_MAX && t->n <= t->room);
	require(!memchr(t->n ? t->bytes : "", 0, t->n) && !memchr(t->n ? t->bytes : "", '\r', t->n));
	require(!answer || (strlen(answer) < t->n && hmp_text_prompted(t)));
	require(!hmp_text_greeted(t) || hmp_text_prompted(t));
	require(!error || (*error && !strchr(error, '\n') && strstr(answer, error)));
}

/* However it is cut, it says the same. */
static void try_text(bool telnet, const uint8_t *p, size_t n)
{
	struct hmp_text whole = {.telnet = telnet}, bytes = {.telnet = telnet};
	size_t i;

	hmp_text_feed(&whole, p, n);
	for (i = 0; i < n; i++)
		hmp_text_feed(&bytes, p + i, 1);
	expect_kept(&whole);
	require(whole.n == bytes.n && whole.state == bytes.state &&
		!memcmp(whole.n ? whole.bytes : "", bytes.n ? bytes.bytes : "", whole.n));
	hmp_text_fini(&whole);
	hmp_text_fini(&bytes);
}

static void try_monitor(uint8_t settings, const uint8_t *p, size_t n)
{
	struct hmp h = {.name = "m",
			.text.telnet = settings & TELNET,
			.greeting_ms = settings & SHARED ? 0 : HMP_ANSWER_MS,
			/* on a mux nobody greets */ .escape = settings & SHARED ? 1 : 0};
	AUTO_FREE char *answer = NULL;
	struct err e;
	int ends[2];

	say_all(ends, p, n);
	if (!hmp_begin(&h, ends[0], &e) && !hmp_ask(&h, "object_add monitor-qmp,help", &answer, &e)) {
		require(answer && !strchr(answer, '\r'));
		hmp_order(&h, "system_powerdown", &e);
	}
	hmp_end(&h);
	close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (!n)
		return 0;
	switch ((enum selector)(*p % SETTINGS % SELECTORS)) {
	case AGENT:
		try_agent(p + 1, n - 1);
		break;
	case TEXT:
		try_text(*p & TELNET, p + 1, n - 1);
		break;
	case MONITOR:
		try_monitor(*p, p + 1, n - 1);
		break;
	case SELECTORS:
		break;
	}
	return 0;
}

static const struct {
	int first;
	const char *name, *text;
} seeds[] = {
	{AGENT, "agent",
	 "{\"return\": {}}\n\xfe\xff{\"return\": 7}\n\xff{\"return\": \xfd}\n\xfe"
	 "{\"return\": \"thawed\"}\n"},
	{AGENT, "agent-refuses",
	 "\xff{\"return\": \xfd}\n\xfe"
	 "{\"error\": {\"class\": \"GenericError\", \"desc\": \"disabled\"}}\n"},
	{TEXT, "text", "QEMU 11.1.3 monitor\r\n(qemu) a\033[K\033[Dab\033[K\r\nError: no\r\n(qemu) "},
	{TEXT + TELNET, "telnet", "\xff\xfb\x01\xff\xfd\x03QEMU 11\r\n\xff\xfa\x18\x01 (qemu) \xff\xf0(qe\xff\xf1mu) "},
	{MONITOR, "monitor",
	 "QEMU 11.1.3 monitor\r\n(qemu) \xfe"
	 "object_add\033[K\r\nmonitor-qmp options:\r\n(qemu) \xfesystem_powerdown\r\nunknown command\r\n(qemu) "},
	{MONITOR + SHARED, "shared",
	 "login: \xfe\r\nC-a h    print this help\r\n\xfeQEMU 11.1.3 monitor\r\n(qemu) \xfeo\r\nhelp\r\n(qemu) \xfes\r\n(qemu) "},
};

static void write_seeds(void)
{
	char buf[1024];
	size_t i;

	for (i = 0; i < ARRAY_LEN(seeds); i++)
		seed_write(seeds[i].name, buf, (size_t)snprintf(buf, sizeof(buf), "%c%s", seeds[i].first, seeds[i].text));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}
