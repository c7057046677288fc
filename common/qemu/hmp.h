/*
 * hmp.h: a conversation with QEMU's human monitor (HMP) over a connection that the caller made: line by line, each with a deadline. Blocks
 * the calling thread.
 *
 * We type only after the monitor has asked for a command. A monitor that shares a mux with the guest's console may not have the keyboard:
 * QEMU's own escape, which no guest sees, gives it to the monitor, and back in the end.
 */
#ifndef VMFERRY_HMP_H
#define VMFERRY_HMP_H

#include "err.h"
#include "hmp-text.h"

#define HMP_ANSWER_MS 5000

struct hmp {
	int fd;
	const char *name; /* name of the monitor, for messages */
	struct hmp_text text;
	unsigned greeting_ms; /* time for the monitor to greet: on a mux it does not greet unless it has the keyboard */
	char escape;	      /* escape character of a mux that the console shares; 0: not a mux */
	bool took_keyboard;
};

/* Waits for the greeting. h owns fd from now on, also after an error; hmp_end() closes it. The caller sets name, text.telnet, greeting_ms
 * and escape. -EBUSY: no greeting came. -ENOTSUP: the guest's console has the keyboard, and keeps it. */
int hmp_begin(struct hmp *h, int fd, struct err *e);
/* Sends the line, and waits for its answer; malloc'ed. -ETIMEDOUT, -EMSGSIZE, -EPIPE. */
int hmp_ask(struct hmp *h, const char *line, char **answer, struct err *e);
/* Does the same as hmp_ask() with a command whose answer is empty; -EREMOTEIO: QEMU answered with an error. */
int hmp_order(struct hmp *h, const char *line, struct err *e);
/* Gives the keyboard back, and leaves. */
void hmp_end(struct hmp *h);

#endif
