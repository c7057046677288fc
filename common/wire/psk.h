/*
 * psk.h: the keys of TLS connections, in files: a line each, NAME:KEY, the key 64 hex digits. '#' begins a comment. A file
 * that others may read is refused.
 *
 * A standing destination agent has a line for every source that may move guests there; a source has its own.
 */
#ifndef VMFERRY_PSK_H
#define VMFERRY_PSK_H

#include "tls.h"

#define PSK_KEYS_MAX 1024

/* *keys is malloc'ed. -EINVAL: a line cannot be understood, or there is none; -EPERM: others may read or change the file. */
int psk_read(const char *path, struct tls_key **keys, size_t *count, struct err *e);
/* Parses "NAME:KEY", without a line's end. */
int psk_parse(const char *line, struct tls_key *key, struct err *e);
/* A fresh random key. */
void psk_new(const char *name, struct tls_key *key);
/* "NAME:KEY"; out has PSK_TEXT_MAX bytes. */
#define PSK_TEXT_MAX (TLS_NAME_MAX + 2 + 2 * TLS_SECRET_BYTES)
void psk_print(const struct tls_key *key, char out[PSK_TEXT_MAX]);

#endif
