/*
 * fuzz-qemu-stream.c: libFuzzer on the walker of QEMU's migration stream, and on the search for the run state in it (agent-src/carry).
 *
 * The first byte says how the rest is cut and where handlers pause; in it fe fd B stands for a page of bytes B, so that inputs stay small.
 * However it is cut, the same is told; what is told lies in the blocks of the list; and what is left of the stream is walked to the same
 * again.
 */
#include "be.h"
#include "qemu-runstate.h"
#include "qemu-stream.h"
#include "seed.h"
#include "xxh.h"

#include <zstd.h>

#define STREAM_MAX (256 * KIB)

struct walk {
	struct qemu_stream *s;
	uint64_t told;	/* a hash of what handlers were told, in order */
	uint64_t items; /* how many of them */
	uint32_t pauses;
	const struct ram_block *blocks;
	size_t count;
	size_t n; /* number of thin objects */
	uint8_t thin[STREAM_MAX];
};

static struct walk whole, cut, again;

/* Counts what the walker reports. Returns 1 to pause it. */
static int tell(struct walk *w, uint64_t what, uint64_t a, uint64_t b, const uint8_t *data, size_t n)
{
	uint64_t words[] = {what, a, b, w->n, w->told};

	require(w->n == qemu_stream_thin_bytes(w->s));
	w->told = XXH3_64bits_withSeed(data ? data : (const uint8_t *)"", n, XXH3_64bits(words, sizeof(words)));
	w->items++;
	w->pauses = w->pauses >> 1 | w->pauses << 31;
	return w->pauses & 1;
}

static int on_thin(void *ctx, const uint8_t *p, size_t n)
{
	struct walk *w = ctx;

	require(n && n <= sizeof(w->thin) - w->n);
	memcpy(w->thin + w->n, p, n);
	w->n += n;
	return 0;
}

static int on_blocks(void *ctx, const struct ram_block *blocks, size_t count)
{
	struct walk *w = ctx;
	size_t i;

	require(!w->blocks && count && count <= QEMU_BLOCKS_MAX);
	w->blocks = blocks;
	w->count = count;
	for (i = 0; i < count; i++)
		require(*blocks[i].name && strlen(blocks[i].name) < sizeof(blocks[i].name) && !(blocks[i].used_bytes % QEMU_PAGE_BYTES) &&
			ram_block_find(blocks, count, blocks[i].name) == (int)i);
	return tell(w, 1, count, 0, NULL, 0);
}

static void expect_place(const struct walk *w, unsigned block, uint64_t offset)
{
	require(w->blocks && block < w->count && !(offset % QEMU_PAGE_BYTES) && offset < w->blocks[block].used_bytes);
}

static int on_page(void *ctx, unsigned block, uint64_t offset, const uint8_t *data)
{
	expect_place(ctx, block, offset);
	return tell(ctx, 2, block, offset, data, QEMU_PAGE_BYTES);
}

static int on_zero(void *ctx, unsigned block, uint64_t offset)
{
	expect_place(ctx, block, offset);
	return tell(ctx, 3, block, offset, NULL, 0);
}

static int on_flush(void *ctx)
{
	return tell(ctx, 4, 0, 0, NULL, 0);
}

static int on_section_end(void *ctx, enum ram_section which)
{
	return tell(ctx, 5, which, 0, NULL, 0);
}

static int on_ping(void *ctx, uint32_t value)
{
	return tell(ctx, 6, value, 0, NULL, 0);
}

static int on_open_return_path(void *ctx)
{
	return tell(ctx, 7, 0, 0, NULL, 0);
}

static int on_records_mark(void *ctx)
{
	return tell(ctx, 8, 0, 0, NULL, 0);
}

static const struct qemu_stream_handlers handlers = {on_thin, on_blocks,	   on_page,	   on_zero, on_flush, on_section_end,
						     on_ping, on_open_return_path, on_records_mark};

/* In pieces of up to `most` bytes. Returns what the last push did. */
static int walk(struct walk *w, const uint8_t *p, size_t n, size_t most, uint32_t pauses, struct err *e)
{
	size_t at = 0, used, len;
	int r = 0;

	w->s = qemu_stream_new(&handlers, w);
	w->told = w->items = w->n = 0;
	w->blocks = NULL;
	w->pauses = pauses;
	while (at < n && r >= 0) {
		len = MIN(n - at, most);
		r = qemu_stream_push(w->s, p + at, len, &used, e);
		require(r < 0 || (used <= len && (r == 1 || used == len)));
		at += r < 0 ? 0 : used;
	}
	require(r >= 0 || (e->code == -r && e->msg[0]));
	qemu_stream_free(w->s);
	return MIN(r, 0);
}

static enum qemu_runstate runstate_of(const uint8_t *p, size_t n, size_t most)
{
	struct runstate_scan s = {.n = 0};
	size_t len;

	for (; n; p += len, n -= len) {
		len = MIN(n, most);
		runstate_scan(&s, p, len);
	}
	return runstate_found(&s);
}

static size_t expand(const uint8_t *p, size_t n, uint8_t *out)
{
	size_t at = 0, i;

	for (i = 0; i < n && at + QEMU_PAGE_BYTES < STREAM_MAX; i++) {
		if (i + 2 < n && p[i] == 0xfe && p[i + 1] == 0xfd) {
			memset(out + at, p[i + 2], QEMU_PAGE_BYTES);
			at += QEMU_PAGE_BYTES;
			i += 2;
		} else {
			out[at++] = p[i];
		}
	}
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static uint8_t stream[STREAM_MAX];
	size_t most, len;
	struct err e, f;
	int r;

	if (!n)
		return 0;
	len = expand(p + 1, n - 1, stream);
	most = p[0] & 1 ? 1 + (size_t)p[0] / 2 : 1000 * (1 + (size_t)p[0]);
	r = walk(&whole, stream, len, SIZE_MAX, 0, &e);
	require(walk(&cut, stream, len, most, p[0] * 0x01010101U, &f) == r && (!r || !strcmp(e.msg, f.msg)));
	require(whole.items == cut.items && whole.told == cut.told && whole.n == cut.n && !memcmp(whole.thin, cut.thin, cut.n));
	if (!r) {
		require(!walk(&again, whole.thin, whole.n, SIZE_MAX, 0, &e));
		require(again.n == whole.n && !memcmp(again.thin, whole.thin, again.n));
	}
	require(runstate_of(stream, len, SIZE_MAX) == runstate_of(stream, len, most));
	return 0;
}

/* ---- seeds ---- */

static const char modern[] =
	"\x2aQEVM\0\0\0\3\7\0\0\0\2pc"
	"\5\36configuration/target-page-bits\0\0\0\1\0\0\0\14\5\22"
	"configuration/uuid\0\0\0\1"
	"0123456789abcdef"
	"\10\0\1\0\0\10\0\2\0\4\0\0\0\1"
	"\1\0\0\0\2\3ram\0\0\0\0\0\0\0\4\0\0\0\0\0\1\60\4\6pc.ram\0\0\0\0\0\1\0\0\4/rom\0\0\0\0\0\0\x20\0\4bios\0\0\0\0\0\0\x10\0"
	"\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\20\x7e\0\0\0\2"
	"\2\0\0\0\2\0\0\0\0\0\0\x30\10\6pc.ram\xfe\xfd\xa1\0\0\0\0\0\0\x40\x28\xfe\xfd\xa2\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\20\x7e\0\0\0\2"
	"\2\0\0\0\2\0\0\0\0\0\0\xf0\x22\0\0\0\0\0\0\0\x10\10\4/rom\xfe\xfd\xb1\0\0\0\0\0\0\0\20\x7e\0\0\0\2"
	"\10\0\13\0\0\3\0\0\0\2\0\0\0\0\0\0\0\50\xfe\xfd\xb2\0\0\0\0\0\0\0\20\x7e\0\0\0\2";

/* The end of every stream: RUNSTATE_BYTES, and VMDESC. */
static const char running[] = "\4\0\0\0\x2a\13globalstate\0\0\0\0\0\0\0\1\0\0\0\10running";

static void write_capture(const char *name, uint8_t first)
{
	AUTO_FREE char *path = xasprintf("tests/data/streams/%s.zst", name);
	static uint8_t packed[16384], text[256 * 1024];
	FILE *f = fopen(path, "re");
	size_t n;

	require(f);
	n = ZSTD_decompress(text + 1, sizeof(text) - 1, packed, fread(packed, 1, sizeof(packed), f));
	fclose(f);
	require(!ZSTD_isError(n) && n > 4000);
	text[0] = first;
	seed_write(name, text, 4000);
}

static void write_seeds(void)
{
	uint8_t end[sizeof(modern) + 1024] = {0}, twice[sizeof(modern)];
	size_t n = sizeof(modern) - 1;

	seed_write("modern", modern, n);
	memcpy(end, modern, n);
	end[0] = 1; /* byte by byte */
	memcpy(end + n, running, sizeof(running) - 1);
	memcpy(end + n + 129, "\x7e\0\0\0\x2a\0\6\0\0\0\2{}", 13);
	memcpy(twice, modern, n);
	memcpy(memmem(twice, n, "bios", 4), "/rom", 4);
	seed_write("twice", twice, n);
	seed_write("whole", end, n + 142);
	write_capture("qemu-10.0-multifd-main", 1);
	write_capture("qemu-10.0-single-main", 80);
	write_capture("qemu-7.2-multifd-main", 77);
}

/* agent-src */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}
