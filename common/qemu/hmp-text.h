/*
 * hmp-text.h: what QEMU's human monitor (HMP) says, read as text. Pure: no I/O.
 *
 * The monitor's line editor echoes every byte with terminal sequences around it, and ends the echo by a newline; the answer follows, and a prompt at
 * the beginning of a line. Over telnet there are negotiations between these bytes. On a character device that the guest's console shares (a
 * mux) the console's lines may stand anywhere, so that an answer proves nothing by itself.
 */
#ifndef VMFERRY_HMP_TEXT_H
#define VMFERRY_HMP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The most bytes of one answer with its echo, which grows with the square of a line. */
#define HMP_TEXT_MAX (512U << 10)

struct hmp_text {
	bool telnet;
	int state; /* within a sequence of several bytes */
	char *bytes;
	size_t n, room;
	bool too_long; /* further bytes are dropped */
};

/* Takes what was read. */
void hmp_text_feed(struct hmp_text *t, const void *bytes, size_t n);
/* A new monitor has greeted, and asks for a command: the greeting and the prompt follow each other. */
bool hmp_text_greeted(const struct hmp_text *t);
/* A prompt stands at the beginning of a line. */
bool hmp_text_prompted(const struct hmp_text *t);
/* The answer to the line that was sent since hmp_text_forget(), malloc'ed, without the last newline; NULL: it has not ended yet. */
char *hmp_text_answer(const struct hmp_text *t);
/* Forgets the text so far; an unfinished sequence goes on. */
void hmp_text_forget(struct hmp_text *t);
void hmp_text_fini(struct hmp_text *t);
/* The first line of an answer that reports an error, malloc'ed; NULL: there is none. */
char *hmp_text_error(const char *answer);

#endif
