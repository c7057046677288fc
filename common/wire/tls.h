/*
 * tls.h: one end of a TLS 1.3 connection with a pre-shared key, from memory to memory: no I/O here. link.h moves its bytes
 * while the connection is made, conn-link.h afterwards.
 *
 * The only ciphersuite is TLS_AES_128_GCM_SHA256, with psk_dhe_ke: each connection has fresh keys. Certificates, tickets and
 * early data are not used. The keys are changed after every TLS_REKEY_BYTES (RFC 8446, 5.5).
 *
 * After tls_new() an object may be used in any one thread.
 */
#ifndef VMFERRY_TLS_H
#define VMFERRY_TLS_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TLS_SECRET_BYTES 32
#define TLS_NAME_MAX	 64
#define TLS_RECORD_MAX	 (16384 + 256) /* bytes of ciphertext, without its header (RFC 8446, 5.2) */
#define TLS_REKEY_BYTES	 (64ULL << 30)
#define TLS_SUITE	 "TLS_AES_128_GCM_SHA256"
#define TLS_DESCRIPTION	 "TLS 1.3, " TLS_SUITE

/* A name and its secret. Knowing the secret is as good as the right to start programs there. */
struct tls_key {
	char name[TLS_NAME_MAX + 1];
	uint8_t secret[TLS_SECRET_BYTES];
};

struct tls;

/* The end that connects. */
struct tls *tls_conn_client(const struct tls_key *key);
/* The end that is connected to, by anyone who has one of the keys (borrowed until the handshake is over). */
struct tls *tls_conn_server(const struct tls_key *keys, size_t count);
void tls_conn_free(struct tls *t); /* NULL ok */

/* Goes on with the handshake: 1 done; 0 when it needs more from the peer, or has something to send; -errno. */
int tls_conn_handshake(struct tls *t, struct err *e);
/* True if the other end has proved that it has a key. A client does so with the first thing it says (the binder of RFC 8446, 4.2.11.2). */
bool tls_conn_has_key(const struct tls *t);

/* Ciphertext from the peer: put up to *cap bytes at what is returned, then say how many there are. */
uint8_t *tls_conn_input(struct tls *t, size_t *cap);
void tls_conn_input_add(struct tls *t, size_t n);
/* Number of bytes of it that are still to be decrypted. */
size_t tls_conn_input_bytes(const struct tls *t);
/* Plaintext out of it: > 0 bytes; 0: more ciphertext is needed; -EPIPE: the peer has ended the connection properly; else
 * -errno. */
ssize_t tls_conn_decrypt(struct tls *t, uint8_t *p, size_t cap, struct err *e);

/* Adds n bytes to the ciphertext that is to be sent. */
int tls_conn_encrypt(struct tls *t, const uint8_t *p, size_t n, struct err *e);
/* Number of bytes to be sent in all. */
size_t tls_conn_output_bytes(const struct tls *t);
/* The next bytes to send: *n is 0 only if there are none. They stay where they are, whatever else is called (an alert may be
 * added at any time), until all *n bytes are reported as sent. */
const uint8_t *tls_conn_output(struct tls *t, size_t *n);
void tls_conn_output_sent(struct tls *t, size_t n);
/* Adds the notice that this end sends nothing more. */
void tls_conn_end(struct tls *t);

/* Test hooks: change keys after so many bytes instead; how often this end has changed them. */
void tls_conn_rekey_after(struct tls *t, uint64_t bytes);
unsigned tls_conn_rekeys(const struct tls *t);

#endif
