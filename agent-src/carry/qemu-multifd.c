/* qemu-multifd.c: see qemu-multifd.h. Layouts: QEMU migration/multifd.h, and captures of 7.2 and 10.0. */
#include "qemu-multifd.h"
#include "be.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MULTIFD_VERSION 1

enum multifd_flag { MULTIFD_SYNC = 0x1 };

static int check_multifd_start(const uint8_t *p, struct err *e)
{
	if (be32(p) != MULTIFD_MAGIC)
		return err_set(e, EPROTO, "a multifd packet starts with 0x%08" PRIx32, be32(p));
	if (be32(p + 4) != MULTIFD_VERSION)
		return err_set(e, ENOTSUP, "multifd version %" PRIu32 "; use --ram-mode opaque", be32(p + 4));
	return 0;
}

int multifd_init_decode(const uint8_t in[MULTIFD_INIT_BYTES], struct multifd_init *out, struct err *e)
{
	int ret = check_multifd_start(in, e);

	if (ret < 0)
		return ret;
	memcpy(out->uuid, in + 8, sizeof(out->uuid));
	out->id = in[24];
	return 0;
}

/*
 * magic, version, flags, pages_alloc, normal_pages, next_packet_size: be32; packet_num: be64;
 * zero_pages (0 before QEMU 9.0), unused: be32; unused: be64[3]; block: char[256]; offset:
 * be64[128]. next_packet_size and, without pages, block and offset are stale in SYNC packets
 * of 7.2: not used.
 */
int multifd_packet_decode(const uint8_t in[MULTIFD_PACKET_BYTES], struct multifd_packet *out, struct err *e)
{
	uint32_t flags = be32(in + 8), alloc = be32(in + 12), normal = be32(in + 16);
	uint32_t zero = be32(in + 32);
	const uint8_t *name = in + 64, *offsets = in + 320;
	int ret = check_multifd_start(in, e);
	size_t len;

	if (ret < 0)
		return ret;
	if (flags & ~(uint32_t)MULTIFD_SYNC)
		return err_set(e, ENOTSUP, "multifd flags 0x%" PRIx32 " (compression or unknown); use --ram-mode opaque", flags);
	if (alloc > MULTIFD_PAGES_MAX)
		return err_set(e, ENOTSUP, "multifd packets of %" PRIu32 " pages; use --ram-mode opaque", alloc);
	if (normal > MULTIFD_PAGES_MAX || zero > MULTIFD_PAGES_MAX - normal)
		return err_set(e, EPROTO, "a multifd packet says %" PRIu32 " pages and %" PRIu32 " zero pages", normal, zero);
	len = strnlen((const char *)name, sizeof(out->block));
	if (len == sizeof(out->block) || (len == 0 && normal + zero > 0))
		return err_set(e, EPROTO, "a multifd packet without a RAM block's name");
	for (unsigned i = 0; i < normal + zero; i++)
		if (be64(offsets + 8 * i) % QEMU_PAGE_BYTES)
			return err_set(e, EPROTO, "a multifd packet has the page offset 0x%" PRIx64, be64(offsets + 8 * i));

	out->sync = flags & MULTIFD_SYNC;
	out->packet_num = be64(in + 24);
	out->normal_count = normal;
	out->zero_count = zero;
	out->payload_bytes = (size_t)normal * QEMU_PAGE_BYTES;
	memset(out->block, 0, sizeof(out->block));
	if (normal + zero > 0)
		memcpy(out->block, name, len);
	for (unsigned i = 0; i < normal + zero; i++)
		out->offsets[i] = be64(offsets + 8 * i);
	return 0;
}
