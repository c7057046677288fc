/*
 * fuzz-vma.c: libFuzzer on archives of Proxmox VE's (agent-src/import/vma.c). Digests, which nobody guesses, are made right before it is read, and so is
 * whose extents they are.
 */
#include "be.h"
#include "seed.h"
#include "util.h"
#include "vma.h"

#include <openssl/evp.h>
#include <string.h>

#define HEADER 12288u
#define EXTENT 512u

static void write_seeds(void)
{
	static uint8_t a[1 + HEADER + 512 + EXTENT];
	uint8_t *p = a, *blobs = p + HEADER, *x = p + HEADER + 512;

	memcpy(p, "VMA", 4);
	put32(p + 4, 1);
	put32(p + 48, HEADER);
	put32(p + 52, 512);
	put32(p + 56, HEADER + 512);
	memcpy(blobs, "\0\x0c\0drive-scsi0\0\x11\0qemu-server.conf\0\2\0x\n", 38);
	put32(p + 4096 + 32, 1);
	put64(p + 4096 + 40, 65536);
	put32(p + 2044, 15);
	put32(p + 3068, 34);
	memcpy(x, "VMAE", 4);
	put64(x + 40, 1ull << 32);
	seed_write("vma", (const char *)a, sizeof(a) - 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}

static void digest(uint8_t *p, size_t n, size_t at)
{
	uint8_t value[EVP_MAX_MD_SIZE];
	unsigned bytes;

	memset(p + at, 0, 16);
	require(EVP_Digest(p, n, value, &bytes, EVP_md5(), NULL) == 1);
	memcpy(p + at, value, 16);
}

static void make_right(uint8_t *p, size_t n)
{
	size_t at = n >= HEADER ? be32(p + 56) : 0;

	if (at < HEADER || at > n)
		return;
	digest(p, at, 32);
	while (n - at >= EXTENT) {
		memcpy(p + at + 8, p + 8, 16);
		digest(p + at, EXTENT, 24);
		at += EXTENT + MIN((size_t)be16(p + at + 6) * 4096, n - at - EXTENT);
	}
}

struct reading {
	const uint8_t *p;
	size_t n;
};

static int read_it(void *ctx, void *to, size_t n, struct err *e)
{
	struct reading *r = ctx;

	if (n > r->n)
		return r->n ? err_set(e, 22, "it is cut off") : 1;
	memcpy(to, r->p, n);
	r->p += n;
	r->n -= n;
	return 0;
}

static int write_it(void *ctx, unsigned device, uint64_t at, const uint8_t *p, size_t n, struct err *e)
{
	(void)ctx, (void)p, (void)e;
	require(device && device < VMA_DEVICES && n && at < VMA_DEVICE_MAX && n <= VMA_DEVICE_MAX - at);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	AUTO_FREE uint8_t *copy = xmalloc(n + 1);
	struct reading r = {copy, n};
	struct vma v;
	struct err e;

	memcpy(copy, p, n);
	make_right(copy, n);
	if (!vma_read_header(&v, read_it, &r, &e))
		vma_read_extents(&v, read_it, write_it, &r, &e);
	vma_fini(&v);
	return 0;
}
