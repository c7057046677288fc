/*
 * hmp.h: a conversation with QEMU's human monitor (HMP) over a connection that somebody else made: line by line, each with a deadline. Blocks
 * the calling thread.
 *
 * Nothing is typed before the monitor has asked for a command. A monitor that shares a mux with the guest's console may not have the keyboard: QEMU's own
 * escape, which no guest sees, gives it to the monitor, and back in the end.
 */
#ifndef VMFERRY_HMP_H
#define VMFERRY_HMP_H

#include "err.h"
#include "hmp-text.h"

#define HMP_ANSWER_MS 5000

struct hmp {
	int fd;
	const char *name; /* of the monitor, for messages */
	struct hmp_text text;
	unsigned greeting_ms; /* for it to greet: on a mux it does not, unless it has the keyboard */
	char escape;	      /* of a mux that two share; 0: it is none */
	bool took_keyboard;
};

/* Waits for the greeting. fd is h's from now on, also after an error: hmp_end(). name, text.telnet, greeting_ms and escape are set by the caller. -EBUSY: it does not greet.
 * -ENOTSUP: the guest's console has the keyboard, and keeps it. */
int hmp_begin(struct hmp *h, int fd, struct err *e);
/* Sends the line, and waits for its answer; malloc'ed. -ETIMEDOUT, -EMSGSIZE, -EPIPE. */
int hmp_ask(struct hmp *h, const char *line, char **answer, struct err *e);
/* The same of a line that answers nothing, or says what went wrong: -EREMOTEIO. */
int hmp_order(struct hmp *h, const char *line, struct err *e);
/* Gives the keyboard back, and leaves. */
void hmp_end(struct hmp *h);

#endif
