/*
 * journal-record.h: the records of a journal. Pure; only journal.c calls this.
 *
 * Each is on an 8 byte boundary, little endian:
 *
 *   u32 length    of the payload, 1 … JOURNAL_PAYLOAD_MAX; 0: the end (what is preallocated is zeros)
 *   u16 kind      enum record_kind
 *   u16 version   1
 *   u64 checksum  XXH3-64 over the 8 bytes before it and the payload
 *   payload       a JSON object as text; then zeros up to the boundary
 *
 * A state is written twice by one write, the second time as a TWIN: if only the first copy is damaged the twin counts, and damage to the
 * twin alone does not matter; so neither a torn write nor one bad spot loses COMMITTED. Bytes that are not a record and have no record
 * after them are a torn tail: they do not count. With a record after them they are damage: -EBADMSG.
 */
#ifndef VMFERRY_JOURNAL_RECORD_H
#define VMFERRY_JOURNAL_RECORD_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_HEADER_BYTES 16

enum record_kind { K_END = 0, K_BEGIN = 1, K_STATE = 2, K_TWIN = 3, K_OWN = 4, K_DISOWN = 5, K_NOTE = 6 };

struct record {
	enum record_kind kind;
	const uint8_t *payload;
	size_t len;
};

/* The bytes of a record with such a payload. */
size_t record_bytes(size_t payload_bytes);
/* Writes one record to out, which has record_bytes(len) zeroed bytes. */
void record_encode(uint8_t *out, enum record_kind kind, const char *text, size_t len);
/* True if a sound record starts at p. */
bool record_decode(const uint8_t *p, size_t left, struct record *r);
/* Calls fn for every record, until it fails. *end: the offset after the last one; *torn: bytes behind it are not zero. */
int record_replay(const uint8_t *buf, size_t size, const char *path, size_t *end, bool *torn,
		  int (*fn)(void *arg, const struct record *r, struct err *e), void *arg, struct err *e);

#endif
