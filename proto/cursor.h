/*
 * cursor.h: the one way bytes are decoded or encoded: little endian, bounded, sticky failure.
 *
 * After any overrun `bad` is set, every later read gives 0 and every later write does nothing; check once
 * at the end. Pure.
 */
#ifndef VMFERRY_CURSOR_H
#define VMFERRY_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
	const uint8_t *p;
	size_t n;
};

struct reader {
	const uint8_t *p, *end;
	bool bad;
};

struct writer {
	uint8_t *start, *p, *end;
	bool bad;
};

struct reader reader_of(const void *p, size_t n);
uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
/* n bytes, borrowed from the input; {NULL,0} and bad when there are fewer. */
struct slice read_bytes(struct reader *r, size_t n);
/* LEB128, at most 10 bytes. */
uint64_t read_varint(struct reader *r);
size_t reader_left(const struct reader *r);

struct writer writer_of(void *p, size_t n);
void write_u8(struct writer *w, uint8_t v);
void write_u16(struct writer *w, uint16_t v);
void write_u32(struct writer *w, uint32_t v);
void write_u64(struct writer *w, uint64_t v);
void write_bytes(struct writer *w, const void *p, size_t n);
void write_varint(struct writer *w, uint64_t v);
size_t writer_len(const struct writer *w);
size_t writer_left(const struct writer *w);

#endif
