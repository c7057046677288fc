/* hmp-text.c: see hmp-text.h. */
#include "hmp-text.h"
#include "util.h"

#include <string.h>

static const char prompt[] = "(qemu) ";

/* Bytes of telnet (RFC 854). */
enum { TELNET_SE = 240, TELNET_SB = 250, TELNET_WILL = 251, TELNET_DONT = 254, TELNET_IAC = 255, ESCAPE = 0x1b };

/* The state that the bytes read so far have left. */
enum state {
	PLAIN,
	IN_ESCAPE,  /* ESC */
	IN_CONTROL, /* ESC [, up to a byte from @ to ~ */
	IN_IAC,
	IN_OPTION,	   /* IAC WILL and the like, before the option's number */
	IN_NEGOTIATION,	   /* IAC SB */
	IN_NEGOTIATION_IAC /* and IAC within it */
};

static void keep_byte(struct hmp_text *t, unsigned char c)
{
	if (c == '\r' || c == '\0' || t->too_long)
		return;
	if (t->n == HMP_TEXT_MAX) {
		t->too_long = true;
		return;
	}
	if (t->n == t->room) {
		t->room = MAX(2 * t->room, (size_t)4096);
		t->bytes = xrealloc(t->bytes, t->room);
	}
	t->bytes[t->n++] = (char)c;
}

static enum state after_plain(struct hmp_text *t, unsigned char c)
{
	if (c == ESCAPE)
		return IN_ESCAPE;
	if (t->telnet && c == TELNET_IAC)
		return IN_IAC;
	keep_byte(t, c);
	return PLAIN;
}

static enum state after_iac(struct hmp_text *t, unsigned char c)
{
	if (c == TELNET_SB)
		return IN_NEGOTIATION;
	if (c >= TELNET_WILL && c <= TELNET_DONT)
		return IN_OPTION;
	if (c == TELNET_IAC)
		keep_byte(t, c);
	return PLAIN;
}

static enum state after(struct hmp_text *t, enum state state, unsigned char c)
{
	switch (state) {
	case PLAIN:
		return after_plain(t, c);
	case IN_ESCAPE:
		return c == '[' ? IN_CONTROL : PLAIN;
	case IN_CONTROL:
		return c >= '@' && c <= '~' ? PLAIN : IN_CONTROL;
	case IN_IAC:
		return after_iac(t, c);
	case IN_OPTION:
		return PLAIN;
	case IN_NEGOTIATION:
		return c == TELNET_IAC ? IN_NEGOTIATION_IAC : IN_NEGOTIATION;
	case IN_NEGOTIATION_IAC:
		return c == TELNET_SE ? PLAIN : IN_NEGOTIATION;
	}
	return PLAIN;
}

void hmp_text_feed(struct hmp_text *t, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i++)
		t->state = (int)after(t, (enum state)t->state, p[i]);
}

/* The first place at or after from, at the beginning of a line, that reads so; n: there is none. */
static size_t find_line(const struct hmp_text *t, size_t from, const char *text)
{
	size_t length = strlen(text), i;

	for (i = from; i + length <= t->n; i++)
		if ((!i || t->bytes[i - 1] == '\n') && !memcmp(t->bytes + i, text, length))
			return i;
	return t->n;
}

/* The byte behind the first newline at or after from; n: there is none. */
static size_t next_line(const struct hmp_text *t, size_t from)
{
	const char *end = from < t->n ? memchr(t->bytes + from, '\n', t->n - from) : NULL;

	return end ? (size_t)(end - t->bytes) + 1 : t->n;
}

bool hmp_text_greeted(const struct hmp_text *t)
{
	size_t greeting = find_line(t, 0, "QEMU "), second = next_line(t, greeting);

	return second < t->n && find_line(t, second, prompt) == second;
}

bool hmp_text_prompted(const struct hmp_text *t)
{
	return find_line(t, 0, prompt) < t->n;
}

char *hmp_text_answer(const struct hmp_text *t)
{
	size_t begin = next_line(t, 0), end = find_line(t, begin, prompt);

	if (!begin || begin == t->n || end == t->n)
		return NULL;
	return xstrndup(t->bytes + begin, end > begin ? end - begin - 1 : 0);
}

void hmp_text_forget(struct hmp_text *t)
{
	t->n = 0;
	t->too_long = false;
}

void hmp_text_fini(struct hmp_text *t)
{
	free(t->bytes);
	*t = (struct hmp_text){.bytes = NULL};
}

char *hmp_text_error(const char *answer)
{
	static const char *const beginnings[] = {"Error", "error", "unknown command", "Unknown", "invalid", "Parameter", "Invalid"};
	const char *line;

	for (line = answer; *line; line += strcspn(line, "\n"), line += *line == '\n')
		for (size_t i = 0; i < ARRAY_LEN(beginnings); i++)
			if (!strncmp(line, beginnings[i], strlen(beginnings[i])))
				return xstrndup(line, strcspn(line, "\n"));
	return NULL;
}
