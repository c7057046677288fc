/*
 * token.h: the secret that a source and a destination agent without keys share, as anyone who may talk to that agent may start
 * programs there. It is 64 hex digits in STATE_DIR/token, readable by its owner only; a copy of it is the right to move guests
 * there. It never goes over a connection: hello.h proves it.
 */
#ifndef VMFERRY_TOKEN_H
#define VMFERRY_TOKEN_H

#include "err.h"

#include <stddef.h>

#define TOKEN_CHARS 64

/* TOKEN_CHARS random hex digits. */
void token_new(char out[TOKEN_CHARS + 1]);
/* The token of this host's agent, made when there is none yet. */
int token_own(const char *state_dir, char out[TOKEN_CHARS + 1], struct err *e);
/* Reads the token from a file; -ENOENT when there is none, -EPERM when others may read or change it. */
int token_read(const char *path, char out[TOKEN_CHARS + 1], struct err *e);

#endif
