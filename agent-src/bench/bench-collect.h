/*
 * bench-collect.h: listens to a guest while it is moved: its heartbeat over UDP and its probe over TCP.
 *
 * The peer is the witness in the test guest (tests/guest/witness-net.c, witness-probe.c). One thread of its own does nothing
 * but listen; times are the kernel's (SO_TIMESTAMPNS) for datagrams, so that a busy machine does not make gaps. Every function
 * may be called from any thread but collector_free, which is the last. IPv4, as the witness is.
 *
 * Whoever reaches the port can send to it: what counts is what has the token, which each collector draws, and which the guest alone is told.
 */
#ifndef VMFERRY_BENCH_COLLECT_H
#define VMFERRY_BENCH_COLLECT_H

#include "bench-heartbeat.h"
#include "err.h"

#include <stdbool.h>

/* Beats that are kept, 40 bytes each: nearly three hours. Later ones are counted only. */
#define COLLECTOR_BEATS_MAX 10000000

#define TOKEN_BYTES 16u

struct collector;

/* The TCP probe since collector_clear. Times are CLOCK_REALTIME. */
struct probe {
	bool connected;
	/* The guest's own numbers of its connections. first: the one that was there at the beginning, or the first after it. The
	 * same number: the same connection all the time. 0: there was none. */
	uint64_t connection_first, connection_last;
	uint64_t records, record_ns; /* record_ns: when the last came; 0: none did */
	/* Between two records, on whatever connections; also from the beginning to the first, and from the last until now. */
	uint64_t longest_gap_ns, gap_at_ns;
	/* The number of records that the guest had sent, as of its last one, without having seen their echo: small as long as the way to
	 * the guest works, too. */
	uint64_t unechoed;
};

/* CLOCK_REALTIME. */
uint64_t realtime_ns(void);

/* Listens on the same port for both. address: numeric; NULL: any (the only one that hears a broadcast). port 0: chosen by the
 * kernel, see collector_port(). */
int collector_new(struct collector **out, const char *address, unsigned port, struct err *e);
unsigned collector_port(const struct collector *c);
/* The token with which each beat and each record ends, as hexadecimal digits. */
const char *collector_token(const struct collector *c);
/* NULL ok. */
void collector_free(struct collector *c);

/* Forgets what was heard so far; connections stay. */
void collector_clear(struct collector *c);
/* Beats since then. */
uint64_t collector_heard(struct collector *c);
/* A copy of the beats since then, in order of arrival; the caller frees it. Returns how many. */
size_t collector_beats(struct collector *c, struct beat **out);
void collector_probe(struct collector *c, struct probe *out);

#endif
