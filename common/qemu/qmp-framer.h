/*
 * qmp-framer.h: finds messages in the bytes that a QMP monitor sends, by counting braces outside strings: with -qmp-pretty one is
 * spread over many lines. Pure; for qmp.c, which also keeps in a buffer what is to be sent.
 */
#ifndef VMFERRY_QMP_FRAMER_H
#define VMFERRY_QMP_FRAMER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buffer {
	char *data;
	size_t len, size;
};

void buffer_append(struct buffer *b, const void *data, size_t len);

/* Bytes in, messages out. */
struct framer {
	struct buffer in;
	size_t at; /* bytes examined so far */
	unsigned depth;
	bool in_string, escaped;
};

/* Length of the first complete message, 0: there is none yet, or -EPROTO. Bytes before its '{' are whitespace. */
ssize_t framer_scan(struct framer *f);
/* Takes a message of that length off. NULL, and *why: it is not JSON. */
json_t *framer_take(struct framer *f, size_t len, json_error_t *why);

#endif
