/* hmp.c: see hmp.h. */
#include "hmp.h"
#include "util.h"
#include "deadline.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEYBOARD_MS 1000 /* time for a monitor that got the keyboard to say so */

/* 1: more has come, 0: nothing within that time. */
static int read_more(struct hmp *h, uint64_t until, struct err *e)
{
	struct pollfd p = {.fd = h->fd, .events = POLLIN};
	char chunk[4096];
	ssize_t n;
	int r = poll(&p, 1, ms_left(until));

	if (r <= 0)
		return r < 0 && errno != EINTR ? err_sys(e, errno, "cannot wait for the monitor %s", h->name) : 0;
	n = read(h->fd, chunk, sizeof(chunk));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return err_set(e, EPIPE, "the monitor %s closed the connection", h->name);
	hmp_text_feed(&h->text, chunk, (size_t)n);
	return h->text.too_long ? err_set(e, EMSGSIZE, "the monitor %s says more than %u bytes at once", h->name, HMP_TEXT_MAX) : 1;
}

/* 1: the condition holds, 0: not within that time. */
static int wait_until(struct hmp *h, bool (*holds)(const struct hmp_text *t), unsigned ms, struct err *e)
{
	uint64_t until = now_ns() + ms * 1000000ULL;
	int r = 0;

	while (!holds(&h->text) && r >= 0 && ms_left(until))
		r = read_more(h, until, e);
	return r < 0 ? r : holds(&h->text);
}

static int type_bytes(struct hmp *h, const char *bytes, size_t n, struct err *e)
{
	uint64_t until = now_ns() + HMP_ANSWER_MS * 1000000ULL;

	while (n) {
		struct pollfd p = {.fd = h->fd, .events = POLLOUT};
		ssize_t sent = send(h->fd, bytes, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == ENOTSOCK)
			sent = write(h->fd, bytes, n);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(e, errno, "cannot write to the monitor %s", h->name);
		if (sent > 0) {
			bytes += sent;
			n -= (size_t)sent;
		} else if (!ms_left(until) || poll(&p, 1, ms_left(until)) < 0) {
			return err_set(e, ETIMEDOUT, "the monitor %s takes nothing", h->name);
		}
	}
	return 0;
}

static int switch_keyboard(struct hmp *h, struct err *e)
{
	const char keys[2] = {h->escape, 'c'};

	hmp_text_forget(&h->text);
	return type_bytes(h, keys, sizeof(keys), e);
}

/* The first line of what a mux itself answers to its escape and h, whoever has the keyboard. */
static const char mux_help[] = "print this help";

static bool has_helped(const struct hmp_text *t)
{
	return t->n && memmem(t->bytes, t->n, mux_help, strlen(mux_help));
}

/* 1: the monitor has the keyboard, 0: it has not, or -errno. The mux answers only after it has opened the connection, upon which a monitor
 * that has the keyboard greets; so even a slow QEMU has sent the greeting by now. */
static int has_keyboard(struct hmp *h, struct err *e)
{
	const char keys[2] = {h->escape, 'h'};
	int r = type_bytes(h, keys, sizeof(keys), e) ?: wait_until(h, has_helped, HMP_ANSWER_MS, e);

	if (r < 0)
		return r;
	return r ? hmp_text_greeted(&h->text)
		 : err_set(e, EBUSY, "the monitor %s shares its connection, and does not answer: QEMU hangs, or is no mux there", h->name);
}

static int take_keyboard(struct hmp *h, struct err *e)
{
	int r = has_keyboard(h, e);

	if (r)
		return MIN(r, 0);
	r = switch_keyboard(h, e);
	h->took_keyboard = !r;
	r = r ?: wait_until(h, hmp_text_prompted, KEYBOARD_MS, e);
	return r < 0 ? r
	       : r   ? 0
		     : err_set(e, ENOTSUP, "the monitor %s shares its connection with the guest's console, and did not get the keyboard",
			       h->name);
}

int hmp_begin(struct hmp *h, int fd, struct err *e)
{
	int r;

	h->fd = fd;
	h->took_keyboard = false;
	r = wait_until(h, hmp_text_greeted, h->greeting_ms, e);
	if (r)
		return r < 0 ? r : 0;
	if (h->escape) /* a mux greets once this monitor has the keyboard */
		return take_keyboard(h, e);
	return err_set(e, EBUSY, "the monitor %s did not greet within %u ms: another client has it, or QEMU hangs", h->name,
		       h->greeting_ms);
}

static bool has_answered(const struct hmp_text *t)
{
	AUTO_FREE char *answer = hmp_text_answer(t);

	return answer != NULL;
}

int hmp_ask(struct hmp *h, const char *line, char **answer, struct err *e)
{
	AUTO_FREE char *typed = xasprintf("%s\n", line);
	int r;

	hmp_text_forget(&h->text);
	r = type_bytes(h, typed, strlen(typed), e) ?: wait_until(h, has_answered, HMP_ANSWER_MS, e);
	if (r < 0)
		return r;
	if (!r)
		return err_set(e, ETIMEDOUT, "the monitor %s did not answer '%s' within %u s", h->name, line, HMP_ANSWER_MS / 1000);
	*answer = hmp_text_answer(&h->text);
	return 0;
}

int hmp_order(struct hmp *h, const char *line, struct err *e)
{
	AUTO_FREE char *answer = NULL;
	AUTO_FREE char *error = NULL;
	int r = hmp_ask(h, line, &answer, e);

	error = r ? NULL : hmp_text_error(answer);
	return error ? err_set(e, EREMOTEIO, "QEMU refused '%s': %s", line, error) : r;
}

void hmp_end(struct hmp *h)
{
	struct err ignored;

	if (h->took_keyboard && h->fd >= 0)
		switch_keyboard(h, &ignored);
	h->took_keyboard = false;
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	hmp_text_fini(&h->text);
}
