/* qemu-runstate.c: see qemu-runstate.h. */
#include "qemu-runstate.h"
#include "be.h"
#include "util.h"
#include "words.h"

#include <string.h>

#define KEEP	    (RUNSTATE_BYTES - 1)
#define TYPE_FULL   0x04
#define TYPE_FOOTER 0x7e
#define TYPE_EOF    0x00
#define TYPE_VMDESC 0x06
#define ID_AT	    1
#define NAME_AT	    5
#define LENGTH_AT   25
#define STATE_AT    29
#define STATE_BYTES 32 /* bytes of the 100 that are the state; QEMU 9.0 has put other fields behind it */
#define FOOTER_AT   129
#define EOF_AT	    134
#define VMDESC_AT   135

static const char name[] = "\x0bglobalstate\0\0\0\0\0\0\0\1"; /* followed by instance 0, version 1 */
#define NAME_BYTES 12 /* bytes that are searched for: one that ends in zeroes is found slowly among zeroes */

static const char *const by_error[] = {"io-error", "guest-panicked", "watchdog", "internal-error", NULL};

static enum qemu_runstate state_of(const uint8_t *p)
{
	const char *state = (const char *)p + STATE_AT;
	size_t n = strnlen(state, STATE_BYTES);

	if (p[0] != TYPE_FULL || memcmp(p + NAME_AT, name, sizeof(name) - 1) || n == STATE_BYTES || be32(p + LENGTH_AT) != n + 1 ||
	    p[FOOTER_AT] != TYPE_FOOTER || memcmp(p + FOOTER_AT + 1, p + ID_AT, 4) || p[EOF_AT] != TYPE_EOF || p[VMDESC_AT] != TYPE_VMDESC)
		return RUNSTATE_UNKNOWN;
	if (word_index(by_error, state) >= 0)
		return RUNSTATE_STOPPED_BY_ERROR;
	return strcmp(state, "running") && strcmp(state, "suspended") ? RUNSTATE_STOPPED : RUNSTATE_LIVE;
}

/* Looks for run states that lie completely in p, which begins at this offset of the stream. */
static void look(struct runstate_scan *s, const uint8_t *p, size_t n, uint64_t offset)
{
	enum qemu_runstate state;
	const uint8_t *at;
	size_t i = 0;

	while (n - i >= RUNSTATE_BYTES && (at = memmem(p + i + NAME_AT, n - i - RUNSTATE_BYTES + NAME_BYTES, name, NAME_BYTES))) {
		at -= NAME_AT;
		state = state_of(at);
		i = (size_t)(at - p);
		if (state != RUNSTATE_UNKNOWN) {
			s->state = state;
			s->end = offset + i + RUNSTATE_BYTES + be32(at + VMDESC_AT + 1);
		}
		i++;
	}
}

static void keep(struct runstate_scan *s, const uint8_t *p, size_t n)
{
	s->n = MIN(n, KEEP);
	memmove(s->held, p + n - s->n, s->n);
}

void runstate_scan(struct runstate_scan *s, const uint8_t *p, size_t n)
{
	memcpy(s->held + s->n, p, MIN(n, KEEP));
	look(s, s->held, s->n + MIN(n, KEEP), s->passed - s->n);
	look(s, p, n, s->passed);
	s->passed += n;
	if (n < KEEP)
		keep(s, s->held, s->n + n);
	else
		keep(s, p, n);
}

enum qemu_runstate runstate_found(const struct runstate_scan *s)
{
	return s->passed == s->end ? s->state : RUNSTATE_UNKNOWN;
}
