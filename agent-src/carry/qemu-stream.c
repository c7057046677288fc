/*
 * qemu-stream.c: pure walker of QEMU's migration streams; see qemu-stream.h.
 *
 * The main channel is a chain of small items whose length is known before they are read. Each item
 * has a step function that judges it and names the next item (`stream_expect`). An item that lies whole in
 * the input is used where it is; one that is cut is put together in `hold`. No item is longer than
 * a page, so nothing the stream says can make the walker allocate or wait for more, but the block
 * list, which has a named maximum.
 *
 * Layouts: QEMU migration/savevm.c, ram.c, and captures of 7.2 and 10.0.
 */
#include "qemu-stream-private.h"
#include "be.h"
#include "qemu-multifd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

#define FILE_MAGIC   0x5145564d /* "QEVM" */
#define FILE_VERSION 3
#define RAM_VERSION  4
#define FOOTER_MAGIC 0x7e
#define PAGE_BITS    12
#define PAGE_MASK    (~(uint64_t)(QEMU_PAGE_BYTES - 1))

enum section_type {
	TYPE_EOF = 0x00,
	TYPE_START = 0x01,
	TYPE_PART = 0x02,
	TYPE_END = 0x03,
	TYPE_FULL = 0x04,
	TYPE_SUBSECTION = 0x05,
	TYPE_VMDESC = 0x06,
	TYPE_CONFIGURATION = 0x07,
	TYPE_COMMAND = 0x08,
};

enum command { CMD_OPEN_RETURN_PATH = 1, CMD_PING = 2, CMD_POSTCOPY_ADVISE = 3, CMD_SWITCHOVER_START = 11 };

enum ram_flag {
	RAM_ZERO = 0x02,
	RAM_MEM_SIZE = 0x04,
	RAM_PAGE = 0x08,
	RAM_EOS = 0x10,
	RAM_CONTINUE = 0x20,
	RAM_FLUSH = 0x200,
};

static step_fn step_type, step_record;

/* Copies a counted name for comparison; -EPROTO if it is empty, too long or holds a NUL. */
static int copy_name(char out[256], const uint8_t *p, size_t n)
{
	if (n == 0 || n > 255 || memchr(p, 0, n))
		return -EPROTO;
	memcpy(out, p, n);
	out[n] = '\0';
	return 0;
}

/* The name as it may be shown on a terminal. */
static const char *shown(char *name)
{
	for (char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return name;
}

/* --- RAM blocks and channel kinds --- */

int ram_block_find(const struct ram_block *blocks, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(blocks[i].name, name) == 0)
			return (int)i;
	return -ENOENT;
}

int ram_block_check(const struct ram_block *blocks, size_t count, unsigned index, uint64_t offset)
{
	if (index >= count || offset & ~PAGE_MASK || offset >= blocks[index].used_bytes ||
	    blocks[index].used_bytes - offset < QEMU_PAGE_BYTES)
		return -EPROTO;
	return 0;
}

enum qemu_channel qemu_channel_kind(const uint8_t first[4])
{
	if (be32(first) == FILE_MAGIC)
		return QEMU_CHANNEL_MAIN;
	if (be32(first) == MULTIFD_MAGIC)
		return QEMU_CHANNEL_MULTIFD;
	return QEMU_CHANNEL_UNKNOWN;
}

/* --- helpers of the steps --- */

int stream_expect(struct qemu_stream *s, size_t need, step_fn *step)
{
	s->need = need;
	s->step = step;
	return 0;
}

static int told(struct qemu_stream *s, int ret)
{
	if (ret <= 0)
		return ret;
	s->paused = true;
	return 0;
}

static int keep(struct qemu_stream *s, const uint8_t *p, size_t n)
{
	s->thin_bytes += n;
	return told(s, s->on.thin(s->ctx, p, n));
}

int stream_refuse(const struct qemu_stream *s, struct err *e, int code, const char *fmt, ...)
{
	char what[ERR_MAX / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return err_set(e, code, "QEMU's migration stream has %s at offset %" PRIu64 "%s", what, s->item_offset,
		       code == ENOTSUP ? "; use --ram-mode opaque" : "");
}

/* --- header and configuration --- */

static int step_file_header(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	if (be32(p) != FILE_MAGIC)
		return stream_refuse(s, e, EPROTO, "magic 0x%08" PRIx32 " instead of QEVM", be32(p));
	if (be32(p + 4) != FILE_VERSION)
		return stream_refuse(s, e, ENOTSUP, "format version %" PRIu32, be32(p + 4));
	stream_expect(s, 1, step_type);
	return keep(s, p, 8);
}

static int step_config_name(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	size_t n = s->need;

	(void)e;
	s->in_configuration = true;
	stream_expect(s, 1, step_type);
	return keep(s, p, n);
}

static int step_config_length(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	uint32_t n = be32(p);

	if (n == 0 || n > 255)
		return stream_refuse(s, e, EPROTO, "a machine name of %" PRIu32 " bytes", n);
	stream_expect(s, n, step_config_name);
	return keep(s, p, 4);
}

static int step_config_capabilities(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	/* Only capabilities that change the layout are ever listed (x-ignore-shared, mapped-ram).
	 */
	if (be32(p) != 0)
		return stream_refuse(s, e, ENOTSUP, "%" PRIu32 " capabilities that change its layout", be32(p));
	stream_expect(s, 1, step_type);
	return keep(s, p, 4);
}

static int step_config_uuid(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	(void)e;
	stream_expect(s, 1, step_type);
	return keep(s, p, 16);
}

static int step_config_page_bits(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	if (be32(p) != PAGE_BITS)
		return stream_refuse(s, e, ENOTSUP, "target pages of 2^%" PRIu32 " bytes", be32(p));
	stream_expect(s, 1, step_type);
	return keep(s, p, 4);
}

static int step_subsection(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	size_t n = s->need, len = n - 4;
	uint32_t version = be32(p + len);
	char name[256];

	if (copy_name(name, p, len) < 0)
		return stream_refuse(s, e, EPROTO, "a subsection name with a NUL");
	if (version != 1)
		return stream_refuse(s, e, ENOTSUP, "subsection '%s' version %" PRIu32, shown(name), version);
	if (strcmp(name, "configuration/capabilities") == 0)
		stream_expect(s, 4, step_config_capabilities);
	else if (strcmp(name, "configuration/uuid") == 0)
		stream_expect(s, 16, step_config_uuid);
	else if (strcmp(name, "configuration/target-page-bits") == 0)
		stream_expect(s, 4, step_config_page_bits);
	else
		return stream_refuse(s, e, ENOTSUP, "subsection '%s'", shown(name));
	return keep(s, p, n);
}

static int step_subsection_length(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	if (p[0] == 0)
		return stream_refuse(s, e, EPROTO, "a subsection without a name");
	stream_expect(s, p[0] + 4u, step_subsection);
	return keep(s, p, 1);
}

/* --- commands --- */

static int tell_command(struct qemu_stream *s, const uint8_t *data)
{
	stream_expect(s, 1, step_type);
	if (s->command == CMD_PING)
		return told(s, s->on.ping(s->ctx, be32(data)));
	if (s->command == CMD_OPEN_RETURN_PATH)
		return told(s, s->on.open_return_path(s->ctx));
	return 0;
}

static int step_command_data(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	int ret = keep(s, p, s->need);

	(void)e;
	return ret < 0 ? ret : tell_command(s, p);
}

static int step_command(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	uint16_t n = be16(p + 2), want;
	int ret;

	s->command = be16(p);
	if (s->command == CMD_POSTCOPY_ADVISE && !n) /* the dirty bitmap alone sends it so: no RAM will follow late */
		return stream_expect(s, 1, step_type);
	if (s->command == CMD_PING)
		want = 4;
	else if (s->command == CMD_OPEN_RETURN_PATH || s->command == CMD_SWITCHOVER_START)
		want = 0;
	else
		return stream_refuse(s, e, ENOTSUP, "command %u (postcopy, COLO or unknown)", s->command);
	if (n != want)
		return stream_refuse(s, e, EPROTO, "command %u with %u bytes of data", s->command, n);
	ret = keep(s, s->section_head, 1);
	if (ret >= 0)
		ret = keep(s, p, 4);
	if (ret < 0)
		return ret;
	return want ? stream_expect(s, want, step_command_data) : tell_command(s, NULL);
}

/* --- RAM sections --- */

int stream_footer(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	uint32_t id = s->bitmap.reading ? s->bitmap.id : s->ram_id;
	int ret = 0;

	if (p[0] != FOOTER_MAGIC)
		return stream_refuse(s, e, ENOTSUP, "no section footer (byte 0x%02x)", p[0]);
	if (be32(p + 1) != id)
		return stream_refuse(s, e, EPROTO, "the footer of section %" PRIu32 " in section %" PRIu32, be32(p + 1), id);
	if (!s->bitmap.reading) {
		s->ram_ended = s->section == RAM_COMPLETE;
		if (s->section != RAM_PART)
			ret = keep(s, p, 5);
	}
	s->bitmap.reading = false;
	if (s->ram_ended && s->bitmap.begun == s->bitmap.ended)
		s->step = NULL;
	else
		stream_expect(s, 1, step_type);
	return ret;
}

static int step_page(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	(void)e;
	stream_expect(s, 8, step_record);
	return told(s, s->on.page(s->ctx, s->record.block, s->record.offset, p));
}

static int step_fill(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	if (p[0] != 0)
		return stream_refuse(s, e, ENOTSUP, "a page filled with byte 0x%02x", p[0]);
	stream_expect(s, 8, step_record);
	return told(s, s->on.zero(s->ctx, s->record.block, s->record.offset));
}

static int expect_content(struct qemu_stream *s, struct err *e)
{
	if (ram_block_check(s->list.at, s->list.count, s->record.block, s->record.offset) < 0)
		return stream_refuse(s, e, EPROTO, "a page at 0x%" PRIx64 " of a RAM block of 0x%" PRIx64 " bytes", s->record.offset,
				     s->list.at[s->record.block].used_bytes);
	return s->record.kind == RAM_PAGE ? stream_expect(s, QEMU_PAGE_BYTES, step_page) : stream_expect(s, 1, step_fill);
}

static int step_block_name(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	char name[256];
	int i;

	if (copy_name(name, p, s->need) < 0)
		return stream_refuse(s, e, EPROTO, "a RAM block name with a NUL");
	i = ram_block_find(s->list.at, s->list.count, name);
	if (i < 0)
		return stream_refuse(s, e, EPROTO, "the unlisted RAM block '%s'", shown(name));
	s->record.block = (unsigned)i;
	s->record.has_block = true;
	return expect_content(s, e);
}

static int step_block_name_length(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	if (p[0] == 0)
		return stream_refuse(s, e, EPROTO, "a RAM block without a name");
	return stream_expect(s, p[0], step_block_name);
}

static step_fn step_list_length;

static int step_list_entry(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	size_t n = s->need, len = n - 8;
	uint64_t used = be64(p + len);
	struct ram_block b = {.used_bytes = used};
	int ret;

	if (copy_name(b.name, p, len) < 0)
		return stream_refuse(s, e, EPROTO, "a RAM block name with a NUL");
	if (used & ~PAGE_MASK || used > s->list.left)
		return stream_refuse(s, e, EPROTO, "RAM block '%s' of 0x%" PRIx64 " bytes, 0x%" PRIx64 " left", shown(b.name), used,
				     s->list.left);
	if (s->list.count == QEMU_BLOCKS_MAX || ram_block_find(s->list.at, s->list.count, b.name) >= 0)
		return stream_refuse(s, e, EPROTO, "RAM block '%s' twice, or more than %d blocks", shown(b.name), QEMU_BLOCKS_MAX);
	if ((s->list.count & (s->list.count + 1)) == 0)
		s->list.at = xrealloc(s->list.at, (2 * s->list.count + 1) * sizeof(b));
	s->list.at[s->list.count++] = b;
	s->list.left -= used;
	ret = keep(s, p, n);
	if (ret < 0)
		return ret;
	if (s->list.left > 0)
		return stream_expect(s, 1, step_list_length);
	s->list.whole = true;
	stream_expect(s, 8, step_record);
	return told(s, s->on.blocks(s->ctx, s->list.at, s->list.count));
}

static int step_list_length(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	if (p[0] == 0)
		return stream_refuse(s, e, EPROTO, "a RAM block without a name");
	stream_expect(s, p[0] + 8u, step_list_entry);
	return keep(s, p, 1);
}

static int step_mem_size(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	if (s->section != RAM_SETUP || s->list.whole)
		return stream_refuse(s, e, ENOTSUP, "a second list of RAM blocks");
	s->list.left = be64(p) & PAGE_MASK;
	if (s->list.left == 0)
		return stream_refuse(s, e, EPROTO, "an empty list of RAM blocks");
	if (s->list.left > QEMU_RAM_MAX)
		return stream_refuse(s, e, EPROTO, "0x%" PRIx64 " bytes of RAM blocks, of which 0x%llx are possible,", s->list.left,
				     QEMU_RAM_MAX);
	stream_expect(s, 1, step_list_length);
	return keep(s, p, 8);
}

static int step_flush(struct qemu_stream *s, struct err *e)
{
	if (s->section == RAM_SETUP)
		s->has_flush = true;
	if (!s->has_flush)
		return stream_refuse(s, e, ENOTSUP, "a MULTIFD_FLUSH record, but had none in its first section");
	return told(s, s->on.flush(s->ctx));
}

/* The end is told here and not after the footer: QEMU flushes behind the EOS and may then wait for its multifd channels
 * before the footer leaves. */
static int step_eos(struct qemu_stream *s, const uint8_t *p)
{
	int ret = s->section == RAM_PART ? 0 : keep(s, p, 8);

	stream_expect(s, 5, stream_footer);
	return ret < 0 ? ret : told(s, s->on.section_end(s->ctx, s->section));
}

static int step_record(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	uint64_t word = be64(p);
	unsigned flags = word & ~PAGE_MASK;

	if (flags == RAM_MEM_SIZE)
		return step_mem_size(s, p, e);
	if (!s->list.whole)
		return stream_refuse(s, e, ENOTSUP, "RAM flags 0x%03x before the list of RAM blocks", flags);
	if ((flags == RAM_EOS || flags == RAM_FLUSH) && word & PAGE_MASK)
		return stream_refuse(s, e, EPROTO, "an address with RAM flags 0x%03x", flags);
	if (flags == RAM_EOS)
		return step_eos(s, p);
	if (flags == RAM_FLUSH)
		return step_flush(s, e);

	s->record.kind = flags & ~(unsigned)RAM_CONTINUE;
	s->record.offset = word & PAGE_MASK;
	if (s->record.kind != RAM_PAGE && s->record.kind != RAM_ZERO)
		return stream_refuse(s, e, ENOTSUP, "RAM flags 0x%03x", flags);
	if (s->section == RAM_SETUP)
		return stream_refuse(s, e, ENOTSUP, "pages in its first RAM section");
	if (!(flags & RAM_CONTINUE))
		return stream_expect(s, 1, step_block_name_length);
	if (!s->record.has_block)
		return stream_refuse(s, e, EPROTO, "a page that continues no RAM block");
	return expect_content(s, e);
}

static int step_section_id(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	int ret;

	if (s->bitmap.begun && be32(p) == s->bitmap.id) {
		s->bitmap.ended = s->section == RAM_COMPLETE;
		return stream_bitmap_section(s);
	}
	if (!s->has_ram || s->ram_ended || be32(p) != s->ram_id)
		return stream_refuse(s, e, ENOTSUP, "section %" PRIu32 " while RAM is section %" PRIu32, be32(p), s->ram_id);
	stream_expect(s, 8, step_record);
	if (s->section == RAM_PART)
		return 0;
	ret = keep(s, s->section_head, 1);
	if (ret >= 0)
		ret = keep(s, p, 4);
	return ret < 0 ? ret : told(s, s->on.records_mark(s->ctx));
}

/* name, be32 instance, be32 version */
static int step_start_name(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	size_t n = s->need, len = n - 8;
	uint32_t instance = be32(p + len), version = be32(p + len + 4);
	char name[256];
	int ret;

	if (copy_name(name, p, len) < 0)
		return stream_refuse(s, e, EPROTO, "a section name with a NUL");
	if (strcmp(name, "dirty-bitmap") == 0)
		return stream_bitmap_begin(s, version, e);
	if (strcmp(name, "ram") != 0)
		return stream_refuse(s, e, ENOTSUP, "the iterable section '%s'", shown(name));
	if (instance != 0 || version != RAM_VERSION)
		return stream_refuse(s, e, ENOTSUP, "section 'ram' instance %" PRIu32 " version %" PRIu32, instance, version);
	if (s->has_ram)
		return stream_refuse(s, e, ENOTSUP, "a second section 'ram'");
	s->has_ram = true;
	s->ram_id = be32(s->section_head + 1);
	stream_expect(s, 8, step_record);
	ret = keep(s, s->section_head, sizeof(s->section_head));
	return ret < 0 ? ret : keep(s, p, n);
}

/* be32 section id, u8 length of the name */
static int step_start(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	if (p[4] == 0)
		return stream_refuse(s, e, EPROTO, "a section without a name");
	memcpy(s->section_head + 1, p, 5);
	return stream_expect(s, p[4] + 8u, step_start_name);
}

static int step_type(struct qemu_stream *s, const uint8_t *p, struct err *e)
{
	bool was_in_configuration = s->in_configuration && p[0] == TYPE_SUBSECTION;

	s->in_configuration = was_in_configuration;
	if (s->ram_ended && p[0] != TYPE_END)
		return stream_refuse(s, e, ENOTSUP, "section type 0x%02x before the end of a dirty bitmap", p[0]);
	switch (p[0]) {
	case TYPE_SUBSECTION:
		if (!was_in_configuration)
			return stream_refuse(s, e, ENOTSUP, "a subsection out of place");
		stream_expect(s, 1, step_subsection_length);
		break;
	case TYPE_CONFIGURATION:
		if (s->configured || s->has_ram)
			return stream_refuse(s, e, ENOTSUP, "a CONFIGURATION out of place");
		s->configured = true;
		stream_expect(s, 4, step_config_length);
		break;
	case TYPE_COMMAND:
		s->section_head[0] = p[0];
		return stream_expect(s, 4, step_command);
	case TYPE_START:
		s->section_head[0] = p[0];
		s->section = RAM_SETUP;
		return stream_expect(s, 5, step_start);
	case TYPE_PART:
	case TYPE_END:
		if (!s->has_ram && !s->bitmap.begun)
			return stream_refuse(s, e, EPROTO, "section type 0x%02x before its start", p[0]);
		s->section_head[0] = p[0];
		s->section = p[0] == TYPE_PART ? RAM_PART : RAM_COMPLETE;
		return stream_expect(s, 4, step_section_id);
	case TYPE_EOF:
		return stream_refuse(s, e, EPROTO, "its end, before RAM was complete,");
	case TYPE_FULL:
	case TYPE_VMDESC:
		return stream_refuse(s, e, ENOTSUP, "section type 0x%02x before RAM was complete", p[0]);
	default:
		return stream_refuse(s, e, ENOTSUP, "unknown section type 0x%02x", p[0]);
	}
	return keep(s, p, 1);
}

/* --- the walker --- */

struct qemu_stream *qemu_stream_new(const struct qemu_stream_handlers *handlers, void *ctx)
{
	struct qemu_stream *s = xcalloc(1, sizeof(*s));

	s->on = *handlers;
	s->ctx = ctx;
	stream_expect(s, 8, step_file_header);
	return s;
}

void qemu_stream_free(struct qemu_stream *s)
{
	if (!s)
		return;
	free(s->list.at);
	free(s);
}

/* Takes one item, or what there is of it. Returns the bytes taken; sets *ret to what its step said.
 */
static size_t take_item(struct qemu_stream *s, const uint8_t *p, size_t n, int *ret, struct err *e)
{
	const uint8_t *item = p;
	size_t need = s->need, took = MIN(need - s->held, n);

	*ret = 0;
	if (took < need) {
		memcpy(s->hold + s->held, p, took);
		s->held += took;
		if (s->held < need)
			return took;
		s->held = 0;
		item = s->hold;
	}
	*ret = s->step(s, item, e);
	if (*ret == 0)
		s->item_offset += need;
	return took;
}

static size_t take_device_state(struct qemu_stream *s, const uint8_t *p, size_t n, int *ret)
{
	s->item_offset += n;
	*ret = keep(s, p, n);
	return n;
}

int qemu_stream_push(struct qemu_stream *s, const uint8_t *p, size_t n, size_t *used, struct err *e)
{
	size_t pos = 0;
	int ret;

	if (s->failed.code) {
		*e = s->failed;
		return -e->code;
	}
	s->paused = false;
	while (pos < n && !s->paused) {
		if (s->step)
			pos += take_item(s, p + pos, n - pos, &ret, e);
		else
			pos += take_device_state(s, p + pos, n - pos, &ret);
		if (ret < 0) {
			s->failed = *e;
			s->failed.code = -ret;
			return ret;
		}
	}
	*used = pos;
	return s->paused;
}

uint64_t qemu_stream_thin_bytes(const struct qemu_stream *s)
{
	return s->thin_bytes;
}

bool qemu_stream_has_flush(const struct qemu_stream *s)
{
	return s->has_flush;
}
