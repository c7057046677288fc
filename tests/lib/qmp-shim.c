/*
 * qmp-shim.c: a QEMU whose monitor does not answer as it should, by LD_PRELOAD (build/VARIANT/shared). QMP_FAULT="COMMAND NTH WHAT" in the environment: when
 * an agent has given this COMMAND for the NTH time since the file named by QMP_WHILE is there, QEMU
 *   error    is asked for a command that there is not, so it does nothing and says so
 *   never    the same, and from then on always
 *   event    does what it was asked for, and says that something happened, but not that it did
 *   late     hangs for a moment, and answers in time
 *   later    hangs until somebody writes to the FIFO named by QMP_NOW, as soon as nobody waits for its answer any more
 * It happens once: the command is written to the file named by QMP_SEEN, and while that is there nothing happens. With COMMAND "*" all that agents ask is
 * written there instead. What others ask (without an id, as the tests do) is left alone. Only a QEMU has it; all others go on as if it were not there.
 */
#include "shim.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { FDS = 1024, AHEAD = 4096, WORD = 64, LATE_MS = 1500, LATER_MS = 30000 };

static const char EXECUTE[] = "{\"execute\":\"";
static const char ID[] = "\",\"id\":";

/* A connection to a monitor: what was last read of it, and the answer that is waited for. */
struct monitor {
	bool greeted;
	char before[sizeof(EXECUTE) - 1];
	long long id; /* 0: none */
};

static struct monitor monitors[FDS];
static char wanted[WORD], what[WORD];
static const char *seen, *as_long_as, *now;
static unsigned nth, count;

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("QMP_FAULT");

	seen = getenv("QMP_SEEN");
	as_long_as = getenv("QMP_WHILE");
	now = getenv("QMP_NOW");
	if (!text || !seen || !as_long_as || !now || !shim_is_under("qemu-system-") ||
	    sscanf(text, "%63s %u %63s", wanted, &nth, what) != 3)
		wanted[0] = '\0';
}

static struct monitor *monitor_of(int fd)
{
	return wanted[0] && fd >= 0 && fd < FDS ? &monitors[fd] : NULL;
}

static void note(const char *word, size_t n, int flags)
{
	int log = open(seen, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0600);

	if (log < 0)
		return;
	dprintf(log, "%.*s\n", (int)n, word);
	close(log);
}

/* Whether it is this command that goes wrong: name[n] of what an agent asks. */
static bool strikes(const char *name, size_t n)
{
	if (access(as_long_as, F_OK) != 0)
		return false;
	if (!strcmp(wanted, "*")) {
		note(name, n, 0);
		return false;
	}
	if (n != strlen(wanted) || memcmp(name, wanted, n) != 0 || ++count < nth)
		return false;
	if (strcmp(what, "never") != 0 && (count != nth || access(seen, F_OK) == 0))
		return false;
	note(name, n, O_EXCL);
	return true;
}

/* Examines the next bytes of a monitor, ahead[n], of which QEMU reads `taken`. Returns the index of the byte to change, or -1. */
static ssize_t look(struct monitor *m, const char *ahead, size_t n, size_t taken)
{
	enum { HAD = sizeof(EXECUTE) - 1 };
	char text[HAD + AHEAD + 1];
	const char *name, *after;
	ssize_t found = -1;
	size_t i;

	memcpy(text, m->before, HAD);
	memcpy(text + HAD, ahead, n);
	text[HAD + n] = '\0';
	for (i = 0; i < taken; i++) {
		if (memcmp(text + i, EXECUTE, HAD) != 0)
			continue;
		name = text + i + HAD;
		after = strstr(name, ID);
		if (!after || (size_t)(after - name) != strspn(name, "abcdefghijklmnopqrstuvwxyz-_") ||
		    !strikes(name, (size_t)(after - name)))
			continue;
		if (!strcmp(what, "error") || !strcmp(what, "never"))
			found = (ssize_t)i;
		else
			m->id = atoll(after + strlen(ID));
	}
	memcpy(m->before, text + taken, HAD);
	return found;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	REAL("recvmsg", ssize_t, int, struct msghdr *, int);
	struct monitor *m = monitor_of(fd);
	char ahead[AHEAD];
	ssize_t n, peeked, other;
	int i;

	if (!m || !m->greeted)
		return real(fd, msg, flags);
	peeked = recv(fd, ahead, sizeof(ahead), MSG_PEEK | MSG_DONTWAIT);
	n = real(fd, msg, flags);
	if (n <= 0 || peeked < n)
		return n;
	other = look(m, ahead, (size_t)peeked, (size_t)n);
	for (i = 0; other >= 0; other -= (ssize_t)msg->msg_iov[i++].iov_len)
		if ((size_t)other < msg->msg_iov[i].iov_len) {
			((char *)msg->msg_iov[i].iov_base)[other] = 'X';
			break;
		}
	return n;
}

/* The line of text[n] that answers with that id: where it begins, and its length without the line's end. */
static char *answer(char *text, size_t n, long long id, size_t *len)
{
	char word[WORD], *line = text, *end;
	size_t i = (size_t)snprintf(word, sizeof(word), "\"id\": %lld", id);

	for (; line < text + n; line = end + 1) {
		end = memchr(line, '\n', n - (size_t)(line - text));
		if (!end)
			return NULL;
		*len = (size_t)(end - line);
		for (char *at = memmem(line, *len, word, i); at; at = memmem(at + 1, *len - (size_t)(at + 1 - line), word, i))
			if (at[i] == '}' || at[i] == ',')
				return line;
	}
	return NULL;
}

/* Until it is told to go on, or so long. */
static void hang(int ms)
{
	struct pollfd p = {.fd = open(now, O_RDONLY | O_NONBLOCK | O_CLOEXEC), .events = POLLIN};

	poll(&p, 1, ms);
	close(p.fd);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	REAL("sendmsg", ssize_t, int, const struct msghdr *, int);
	static const char greeting[] = "{\"QMP\":";
	static const char event[] =
		"{\"timestamp\": {\"seconds\": 1, \"microseconds\": 0}, \"event\": \"RTC_CHANGE\", \"data\": {\"offset\": 0, \"qom-path\": \"/machine\"}}\r\n";
	struct monitor *m = monitor_of(fd);
	struct iovec *iov = msg->msg_iov;
	size_t len;
	char *line;

	if (!m || msg->msg_iovlen != 1)
		return real(fd, msg, flags);
	if (iov->iov_len > sizeof(greeting) && !memcmp(iov->iov_base, greeting, sizeof(greeting) - 1))
		*m = (struct monitor){.greeted = true};
	line = m->id ? answer(iov->iov_base, iov->iov_len, m->id, &len) : NULL;
	if (line) {
		m->id = 0;
		if (!strcmp(what, "event")) {
			memset(line, ' ', len);
			(void)!send(fd, event, sizeof(event) - 1, MSG_NOSIGNAL);
		} else {
			hang(!strcmp(what, "late") ? LATE_MS : LATER_MS);
		}
	}
	return real(fd, msg, flags);
}

int close(int fd)
{
	REAL("close", int, int);
	struct monitor *m = monitor_of(fd);

	if (m)
		*m = (struct monitor){0};
	return real(fd);
}
