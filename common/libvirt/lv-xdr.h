/*
 * lv-xdr.h: the values that libvirt's RPC is made of (XDR, RFC 4506): bounded, sticky failure. Pure.
 *
 * After an overrun, or a length beyond its limit, `bad` is set: every later read gives 0 or NULL, and every later write does nothing;
 * check once at the end. The limits are those of libvirt's src/remote/remote_protocol.x and src/rpc/virnetprotocol.x, which both its
 * ends enforce.
 */
#ifndef VMFERRY_LV_XDR_H
#define VMFERRY_LV_XDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LV_UUID_LEN    16
#define LV_STRING_MAX  (4U << 20)	  /* bytes of a string (REMOTE_STRING_MAX), and of a cookie */
#define LV_LIST_MAX    16384U		  /* members of a list of guests, networks, snapshots … (REMOTE_DOMAIN_LIST_MAX and the like) */
#define LV_MESSAGE_MAX ((32U << 20) + 4U) /* bytes of a message with its length word (VIR_NET_MESSAGE_MAX does not count that) */

struct lv_reader {
	const uint8_t *p, *end;
	bool bad;
};

struct lv_reader lv_reader_of(const void *p, size_t n);
uint32_t lv_read_u32(struct lv_reader *r);
int32_t lv_read_i32(struct lv_reader *r);
uint64_t lv_read_u64(struct lv_reader *r);
/* Text without NUL, malloc'ed; NULL when bad. */
char *lv_read_string(struct lv_reader *r);
/* Reads a string as lv_read_string() does, but one that may be missing: NULL then, too. */
char *lv_read_optional(struct lv_reader *r);
/* Zeroes when bad. */
void lv_read_uuid(struct lv_reader *r, uint8_t uuid[LV_UUID_LEN]);
/* Bytes of any kind, borrowed from the input; NULL and *n 0 when bad. */
const uint8_t *lv_read_opaque(struct lv_reader *r, size_t *n);
/* The number of members of a list, each of at least member_bytes: at most max, and no more than the rest of the message can hold. */
size_t lv_read_count(struct lv_reader *r, size_t max, size_t member_bytes);
size_t lv_reader_left(const struct lv_reader *r);
/* True if all was read, and well. */
bool lv_reader_done(const struct lv_reader *r);

/* Parses a UUID of 8-4-4-4-12 hexadecimal digits; false: text is not one. */
bool lv_uuid_parse(const char *text, uint8_t out[LV_UUID_LEN]);

/* Grows as it is written to; starts as zeroes. */
struct lv_writer {
	uint8_t *data;
	size_t n, room;
	bool bad; /* a string, or all of it, is longer than libvirt takes */
};

void lv_writer_fini(struct lv_writer *w);
/* Writes n bytes, padded to a multiple of four. */
void lv_write_bytes(struct lv_writer *w, const void *p, size_t n);
void lv_write_u32(struct lv_writer *w, uint32_t v);
void lv_write_u64(struct lv_writer *w, uint64_t v);
void lv_write_string(struct lv_writer *w, const char *s);
/* NULL: missing. */
void lv_write_optional(struct lv_writer *w, const char *s);
void lv_write_opaque(struct lv_writer *w, const void *p, size_t n);
void lv_write_uuid(struct lv_writer *w, const uint8_t uuid[LV_UUID_LEN]);

#endif
