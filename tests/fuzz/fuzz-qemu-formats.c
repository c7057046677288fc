/*
 * fuzz-qemu-formats.c: libFuzzer on the small formats of a migrating QEMU: multifd's packets (agent-src/carry) and the return path.
 *
 * The first byte chooses; of the return path's messages its other bits say how they are cut, which must not matter.
 */
#include "be.h"
#include "qemu-multifd.h"
#include "qemu-rp.h"
#include "seed.h"

#include <errno.h>

enum selector { INIT, PACKET, RETURN_PATH, SELECT_COUNT };

static void try_init(const uint8_t *p, size_t n)
{
	struct multifd_init init;
	struct err e;

	if (n >= MULTIFD_INIT_BYTES && !multifd_init_decode(p, &init, &e))
		require(be32(p) == MULTIFD_MAGIC && qemu_channel_kind(p) == QEMU_CHANNEL_MULTIFD && !memcmp(init.uuid, p + 8, 16));
}

static void try_packet(const uint8_t *p, size_t n)
{
	static const uint8_t zeros[MULTIFD_PACKET_BYTES];
	uint8_t whole[MULTIFD_PACKET_BYTES];
	struct multifd_packet m;
	struct err e;
	unsigned i;
	int r;

	memcpy(whole, p, MIN(n, sizeof(whole)));
	memcpy(whole + MIN(n, sizeof(whole)), zeros, sizeof(whole) - MIN(n, sizeof(whole)));
	memset(&m, 0xa5, sizeof(m));
	r = multifd_packet_decode(whole, &m, &e);
	require(!r || ((r == -EPROTO || r == -ENOTSUP) && e.code == -r && e.msg[0]));
	if (r)
		return;
	require(m.normal_count + m.zero_count <= MULTIFD_PAGES_MAX && m.payload_bytes == (size_t)m.normal_count * QEMU_PAGE_BYTES);
	require(strlen(m.block) < sizeof(m.block) && (m.normal_count + m.zero_count ? *m.block != 0 : !*m.block));
	for (i = 0; i < m.normal_count + m.zero_count; i++)
		require(m.offsets[i] % QEMU_PAGE_BYTES == 0 && m.offsets[i] == be64(whole + 320 + 8 * i));
}

/* Messages one after another, as text of the same form; what is behind the last whole one is left out. */
static size_t reply_texts(const uint8_t *p, size_t n, size_t most, uint8_t *out, int *r)
{
	struct rp_decoder d = {.have = 0};
	struct rp_message m;
	size_t at = 0, len = 0, used;
	struct err e;

	for (*r = 0; at < n && *r >= 0; at += used) {
		used = 0;
		*r = rp_push(&d, p + at, MIN(n - at, most), &used, &m, &e);
		require(*r >= 0 || (*r == -EPROTO && e.code == EPROTO));
		require(*r < 0 || (used && used <= n - at));
		if (*r <= 0)
			continue;
		require(m.data_bytes <= RP_DATA_MAX);
		if (m.type == RP_PONG)
			len += rp_encode_pong(out + len, m.value);
		else if (m.type == RP_SHUT && !m.value)
			len += rp_encode_shut(out + len);
		else if (m.type == RP_SWITCHOVER_ACK)
			len += rp_encode_switchover_ack(out + len);
		else {
			memcpy(put16(put16(out + len, m.type), m.data_bytes), m.data, m.data_bytes);
			len += 4 + (size_t)m.data_bytes;
		}
	}
	return len;
}

static void try_return_path(const uint8_t *p, size_t n, size_t most)
{
	uint8_t *a = xmalloc(n + 8), *b = xmalloc(n + 8);
	int r, s;
	size_t k = reply_texts(p, n, SIZE_MAX, a, &r);

	require(k <= n && !memcmp(a, p, k)); /* the copy is equal to what was read */
	require(reply_texts(p, n, most, b, &s) == k && !memcmp(a, b, k) && (r < 0) == (s < 0));
	free(a);
	free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *exact;

	if (!n)
		return 0;
	exact = xmalloc(n);
	memcpy(exact, p + 1, n - 1);
	switch ((enum selector)(p[0] % SELECT_COUNT)) {
	case INIT:
		try_init(exact, n - 1);
		break;
	case PACKET:
		try_packet(exact, n - 1);
		break;
	case RETURN_PATH:
		try_return_path(exact, n - 1, 1 + p[0] / SELECT_COUNT);
		break;
	case SELECT_COUNT:
		break;
	}
	free(exact);
	return 0;
}

/* ---- seeds ---- */

static void write_seeds(void)
{
	uint8_t buf[1 + 320 + 24] = {PACKET};
	static uint8_t long_one[RP_DATA_MAX + 2000];
	uint8_t *p = buf + 1;

	put32(put32(p, MULTIFD_MAGIC), 1);
	put32(put32(put32(p + 8, 0), 128), 2);
	put64(p + 24, 7);
	put32(p + 32, 1);
	memcpy(p + 64, "pc.ram", 6);
	put64(put64(put64(p + 320, 0x1000), 0x5000), 0xf000);
	seed_write("packet", buf, sizeof(buf));
	put32(p + 8, 1);
	put32(p + 16, 0);
	put32(p + 32, 0);
	seed_write("sync", buf, sizeof(buf));
	buf[0] = INIT;
	seed_write("init", buf, 1 + MULTIFD_INIT_BYTES);
	memset(long_one, 0, sizeof(long_one));
	long_one[0] = RETURN_PATH;
	put16(put16(long_one + 1, 0x77), RP_DATA_MAX);
	seed_write("long-reply", long_one, sizeof(long_one));
	seed_write("replies", "\x0e\0\2\0\4\0\0\0\1\0\7\0\0\0\3\0\2xx\0\1\0\4\0\0\0\0", 25);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}
