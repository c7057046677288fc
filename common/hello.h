/*
 * hello.h: the first frames on every connection, before a channel has it: both sides send HELLO and check the other's.
 * Blocking, with deadlines.
 */
#ifndef VMFERRY_HELLO_H
#define VMFERRY_HELLO_H

#include "err.h"
#include "link.h"

#include <stdint.h>

struct hello {
	uint8_t session[16];
	uint32_t channel;
	uint32_t generation;
	char token[65];	   /* what the peer must know; "" for none */
	char software[64]; /* filled from the peer */
};

int hello_send(struct link *l, const struct hello *mine, unsigned timeout_ms, struct err *e);
/* Refuses other versions and unknown required features with a sentence. */
int hello_receive(struct link *l, struct hello *theirs, unsigned timeout_ms, struct err *e);
/* Tells the peer why, before closing; best effort. */
void hello_refuse(struct link *l, const char *text);

#endif
