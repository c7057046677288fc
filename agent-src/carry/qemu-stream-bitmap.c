/*
 * qemu-stream-bitmap.c: the section of the dirty bitmap that holds QEMU (ram-hold.h), as qemu-stream.c walks over it. Only ours, which is empty, is taken.
 * Layout: QEMU migration/block-dirty-bitmap.c.
 */
#include "qemu-stream-private.h"
#include "be.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Flags of a chunk of a dirty bitmap. */
enum bitmap_flag {
	BITMAP_EOS = 0x01,
	BITMAP_ZEROES = 0x02,
	BITMAP_NAME = 0x04,
	BITMAP_NODE = 0x08,
	BITMAP_START = 0x10,
	BITMAP_BITS = 0x40,
	BITMAP_MORE_FLAGS = 0x80,
};

static step_fn step_bitmap_flags, step_bitmap_skipped;

/* The chunk has no more names: what its flags say follows. Its bits are all zero, as nobody writes to its node. */
static int expect_bitmap_content(struct qemu_stream *s, struct err *e)
{
	unsigned flags = s->bitmap.flags;

	if (flags & BITMAP_START)
		return stream_expect(s, 5, step_bitmap_skipped); /* be32 granularity, u8 flags */
	if (flags & BITMAP_BITS)
		return flags & BITMAP_ZEROES ? stream_expect(s, 12, step_bitmap_skipped) /* be64 sector, be32 sectors */
					     : stream_refuse(s, e, ENOTSUP, "a dirty bitmap that is not empty");
	return step_bitmap_skipped(s, NULL, e);
}

static int step_bitmap_skipped(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	(void)p;
	(void)e;
	return s->bitmap.flags & BITMAP_EOS ? stream_expect(s, 5, stream_footer) : stream_expect(s, 1, step_bitmap_flags);
}

static int step_bitmap_name(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	(void)p;
	s->bitmap.flags &= ~BITMAP_NAME;
	return expect_bitmap_content(s, e);
}

static int step_bitmap_name_length(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	return p[0] ? stream_expect(s, p[0], step_bitmap_name) : stream_refuse(s, e, EPROTO, "a dirty bitmap without a name");
}

static int expect_bitmap_name(struct qemu_stream *s, struct err *e)
{
	return s->bitmap.flags & BITMAP_NAME ? stream_expect(s, 1, step_bitmap_name_length) : expect_bitmap_content(s, e);
}

static int step_bitmap_node(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	static const char ours[] = HOLD_PREFIX;

	if (s->need < sizeof(ours) - 1 || memcmp(p, ours, sizeof(ours) - 1))
		return stream_refuse(s, e, ENOTSUP, "a dirty bitmap that the move did not make");
	return expect_bitmap_name(s, e);
}

static int step_bitmap_node_length(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	return p[0] ? stream_expect(s, p[0], step_bitmap_node) : stream_refuse(s, e, EPROTO, "a dirty bitmap of a node without a name");
}

static int step_bitmap_flags(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	if (p[0] & BITMAP_MORE_FLAGS)
		return stream_refuse(s, e, ENOTSUP, "dirty bitmap flags 0x%02x", p[0]);
	s->bitmap.flags = p[0];
	return p[0] & BITMAP_NODE ? stream_expect(s, 1, step_bitmap_node_length) : expect_bitmap_name(s, e);
}

int stream_bitmap_section(struct qemu_stream *s)
{
	s->bitmap.reading = true;
	return stream_expect(s, 1, step_bitmap_flags);
}

int stream_bitmap_begin(struct qemu_stream *s, uint32_t version, struct err *e)
{
	if (version != 1 || s->bitmap.begun)
		return stream_refuse(s, e, ENOTSUP, "section 'dirty-bitmap' version %" PRIu32 ", or twice", version);
	s->bitmap.begun = true;
	s->bitmap.id = be32(s->section_head + 1);
	return stream_bitmap_section(s);
}
