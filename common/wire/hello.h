/*
 * hello.h: the first frames on every connection, before a channel has it: both sides send HELLO and check the other's. In
 * clear each side then proves that it knows the token: PROTOCOL.md, "Proof". TLS has proved more already. Where a channel goes on over
 * another connection, both then say RESUME.
 */
#ifndef VMFERRY_HELLO_H
#define VMFERRY_HELLO_H

#include "err.h"
#include "link.h"
#include "messages.h"

#include <stdint.h>

#define HELLO_PAYLOAD_MAX 4096 /* payload of HELLO, PROOF, or ERROR in their place */
#define HELLO_PROOF_BYTES 32
#define HELLO_WAY_MAX	  128

struct hello {
	uint8_t session[16];
	uint32_t channel;
	uint32_t generation; /* 0: the channel's first connection */
	uint64_t received;   /* else, of RESUME: the last frame that the channel has taken */
	uint8_t nonce[16];   /* fresh for each connection */
	uint8_t host[16];    /* the same for all that runs on one host */
	char software[64];
	char way[HELLO_WAY_MAX]; /* net_way(), as the source sees it; "": no matter */
	bool proves;
	uint8_t proof[HELLO_PROOF_BYTES];
};

/* A frame that is coming in. All zero before the first. */
struct hello_input {
	size_t have;
	uint8_t bytes[FRAME_HEADER_BYTES + HELLO_PAYLOAD_MAX];
};

/* Fills in nonce and host. */
void hello_begin(struct hello *mine);
/* 0 ms: at once, or it fails. */
int hello_send(struct link *l, const struct hello *mine, unsigned timeout_ms, struct err *e);
/* Refuses other versions and unknown required features with a sentence. */
int hello_receive(struct link *l, struct hello *theirs, unsigned timeout_ms, struct err *e);
/* Does the same as hello_receive() without waiting: 1: it is there, 0: again when more has come in. */
int hello_receive_more(struct link *l, struct hello_input *in, struct hello *theirs, struct err *e);
/* Tells the peer why, before closing; best effort, without waiting. */
void hello_refuse(struct link *l, const char *text);

/* The proof that a side knows the token, valid for this connection only. */
enum hello_side { HELLO_SOURCE, HELLO_DESTINATION };
void hello_prove(enum hello_side by, const char *token, const struct hello *source, const struct hello *destination,
		 uint8_t out[HELLO_PROOF_BYTES]);
/* True if the proof is right. Compares in constant time. */
bool hello_proof_is(const uint8_t proof[HELLO_PROOF_BYTES], enum hello_side by, const char *token, const struct hello *source,
		    const struct hello *destination);
int hello_send_proof(struct link *l, const uint8_t proof[HELLO_PROOF_BYTES], unsigned timeout_ms, struct err *e);
int hello_receive_proof_more(struct link *l, struct hello_input *in, uint8_t proof[HELLO_PROOF_BYTES], struct err *e);

/* RESUME: mine->received, about the channel and generation of HELLO. */
int hello_send_resume(struct link *l, const struct hello *mine, unsigned timeout_ms, struct err *e);
/* Into theirs->received; -EPROTO if it is about anything else than theirs was. */
int hello_receive_resume(struct link *l, struct hello *theirs, unsigned timeout_ms, struct err *e);
int hello_receive_resume_more(struct link *l, struct hello_input *in, struct hello *theirs, struct err *e);

#endif
