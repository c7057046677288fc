/* peer-error.h: makes a peer's words safe for the user's terminal. Pure. */
#ifndef VMFERRY_PEER_ERROR_H
#define VMFERRY_PEER_ERROR_H

#include "cursor.h"
#include "err.h"

#include <stddef.h>
#include <stdint.h>

/* Cut to fit into out, and without control characters; returns out. */
const char *peer_words(char *out, size_t cap, struct slice s);
/* The payload of an ERROR as our error: always negative. */
int peer_error(const uint8_t *payload, size_t n, struct err *e);

#endif
