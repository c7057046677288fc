/* json-message.h: the control messages whose body is JSON (DESCRIBE, ACCEPT, PREPARE, COPY_READY, HANDOFF). */
#ifndef VMFERRY_JSON_MESSAGE_H
#define VMFERRY_JSON_MESSAGE_H

#include "channel.h"

#include <jansson.h>

/* Takes the reference to body. Too large a body is an error of ours: -EMSGSIZE. */
int json_message_send(struct channel *c, uint16_t type, const uint8_t attempt[16], json_t *body, struct err *e);
/* -EPROTO when malformed, or of another attempt (expect; NULL: any, which is stored in attempt). */
int json_message_take(uint16_t type, const uint8_t *p, size_t n, const uint8_t *expect, uint8_t attempt[16], json_t **body, struct err *e);
int handoff_message_send(struct channel *c, const uint8_t attempt[16], unsigned state, json_t *detail);
/* detail: NULL when there is none that can be read. */
int handoff_message_take(const uint8_t *p, size_t n, uint8_t attempt[16], unsigned *state, json_t **detail, struct err *e);

#endif
