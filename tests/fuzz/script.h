/*
 * script.h: how the bytes of a fuzzer become frames: a script of records, so that checksums and sequence numbers are
 * right unless a record asks for a wrong one.
 *
 *   record: u8 choice (low five bits: which message; 0x20: wrong checksum, 0x40: wrong sequence, 0x80: raw bytes
 *           instead of a frame), u16 length, payload
 */
#ifndef VMFERRY_FUZZ_SCRIPT_H
#define VMFERRY_FUZZ_SCRIPT_H

#include "messages.h"
#include "util.h"

#include <string.h>

#define SCRIPT_BYTES_MAX (128 * 1024)

static const uint16_t script_types[] = {
#define MESSAGE(NAME, name, number, fields) number,
#include "messages.def"
#undef MESSAGE
	0x0777, /* unknown, to be skipped */
	0x8777, /* unknown, critical */
};

/* A fuzzer learns checksums, too: what was to be wrong must not be a frame all the same. */
static void script_spoil(uint8_t *p, size_t n)
{
	struct frame_header h;

	if (n >= FRAME_HEADER_BYTES && !frame_header_decode(&h, p) && n - FRAME_HEADER_BYTES >= h.length && frame_intact(p, &h))
		p[20] ^= 1;
}

/* Writes to out (SCRIPT_BYTES_MAX); returns the number of bytes. *good: the frames before anything wrong. */
static size_t script_play(const uint8_t *p, size_t n, uint32_t channel, uint8_t *out, unsigned *good)
{
	struct reader r = reader_of(p, n);
	uint64_t sequence = 0;
	size_t at = 0, raw = 0;
	bool wrong = false, raw_first = false;

	*good = 0;
	while (reader_left(&r)) {
		uint8_t choice = read_u8(&r);
		size_t want = read_u16(&r), len = MIN(want, reader_left(&r));
		struct slice s = read_bytes(&r, len);
		struct frame_header h = {.type = script_types[(choice & 0x1f) % ARRAY_LEN(script_types)],
					 .channel = channel,
					 .length = (uint32_t)len};

		if (r.bad || at + FRAME_HEADER_BYTES + len > SCRIPT_BYTES_MAX)
			break;
		if (choice & 0x80) {
			memcpy(out + at, s.p, len);
			if (!wrong && len) {
				raw = at;
				wrong = raw_first = true;
			}
			at += len;
			continue;
		}
		if (h.type != MSG_ACK && h.type != MSG_ERROR) {
			h.sequence = ++sequence;
			if (choice & 0x40)
				h.sequence += 1 + (choice & 3);
		}
		if (len)
			memcpy(out + at + FRAME_HEADER_BYTES, s.p, len);
		frame_seal(out + at, &h);
		if (choice & 0x20)
			out[at + 20] ^= 1;
		wrong = wrong || choice & 0x60 || h.type == MSG_ERROR || h.type == 0x8777;
		if (!wrong && h.sequence && h.type != 0x0777)
			++*good;
		at += FRAME_HEADER_BYTES + len;
	}
	if (raw_first)
		script_spoil(out + raw, at - raw);
	return at;
}

#endif
