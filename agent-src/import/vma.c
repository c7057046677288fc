/* vma.c: see vma.h. Numbers are big-endian, but for the lengths of blobs. */
#include "vma.h"
#include "be.h"
#include "util.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define HEADER_BYTES  12288u /* bytes before the blobs */
#define HEADER_MAX    (16u << 20)
#define CONFIGS	      256u
#define EXTENT_HEADER 512u
#define EXTENT_INFOS  59u
#define BLOCK	      4096u
#define MD5_BYTES     16u
#define CONFIG_NAME   "qemu-server.conf"
#define MEMORY_DEVICE "vmstate" /* device of a guest that was saved: no disk */

/* Offsets of the fields. */
enum {
	AT_VERSION = 4,
	AT_UUID = 8,
	AT_MD5 = 32,
	AT_BLOBS = 48,
	AT_BLOBS_BYTES = 52,
	AT_HEADER_BYTES = 56,
	AT_CONFIG_NAMES = 2044,
	AT_CONFIG_DATA = 3068,
	AT_DEVICES = 4096,
	DEVICE_BYTES = 32
};
enum { AT_EXTENT_BLOCKS = 6, AT_EXTENT_UUID = 8, AT_EXTENT_MD5 = 24, AT_EXTENT_INFOS = 40 };

/* The digest is made with zeros in its own place. */
static bool digest_holds(uint8_t *p, size_t n, size_t at)
{
	uint8_t want[MD5_BYTES], is[EVP_MAX_MD_SIZE];
	unsigned bytes = 0;

	memcpy(want, p + at, MD5_BYTES);
	memset(p + at, 0, MD5_BYTES);
	return EVP_Digest(p, n, is, &bytes, EVP_md5(), NULL) == 1 && bytes == MD5_BYTES && !memcmp(want, is, MD5_BYTES);
}

/* ---- the header ---- */

struct header {
	uint8_t *p;
	size_t n;
	size_t blobs, blobs_end;
};

/* The bytes that a pointer leads to, behind a length of two bytes. NULL: none. */
static const uint8_t *blob(const struct header *h, uint32_t pointer, size_t *n)
{
	size_t room = h->blobs_end - h->blobs;
	const uint8_t *p = h->p + h->blobs + pointer;

	if (!pointer || pointer > room || room - pointer < 2)
		return NULL;
	*n = (size_t)p[0] | (size_t)p[1] << 8;
	return *n <= room - pointer - 2 ? p + 2 : NULL;
}

/* A blob that is a text, with the zero that ends it. */
static const char *blob_text(const struct header *h, uint32_t pointer)
{
	size_t n;
	const uint8_t *p = blob(h, pointer, &n);

	return p && n && !p[n - 1] ? (const char *)p : NULL;
}

static void take_config(struct vma *v, const struct header *h)
{
	size_t i, n;

	for (i = 0; i < CONFIGS && !v->config; i++) {
		const char *name = blob_text(h, be32(h->p + AT_CONFIG_NAMES + 4 * i));
		const uint8_t *data = blob(h, be32(h->p + AT_CONFIG_DATA + 4 * i), &n);

		if (!name || !data || strcmp(name, CONFIG_NAME) != 0)
			continue;
		v->config = xcalloc(1, n + 1);
		memcpy(v->config, data, n);
		v->config_bytes = n;
	}
}

/* A name leads to a disk of the configuration, so no two may have the same. */
static int check_device(const struct vma *v, const char *name, uint64_t bytes, struct err *e)
{
	for (size_t i = 1; i < VMA_DEVICES; i++)
		if (v->devices[i].name && !strcmp(v->devices[i].name, name))
			return err_set(e, EINVAL, "damaged: two disks are called %.40s", name);
	if (!bytes)
		return err_set(e, EINVAL, "damaged: its disk %.40s has no bytes", name);
	return bytes <= VMA_DEVICE_MAX ? 0
				       : err_set(e, EINVAL, "the disk %.40s has %llu bytes, and no disk may have more than %llu TiB", name,
						 (unsigned long long)bytes, VMA_DEVICE_MAX >> 40);
}

static int take_devices(struct vma *v, const struct header *h, struct err *e)
{
	size_t i, count = 0;

	for (i = 1; i < VMA_DEVICES; i++) {
		const uint8_t *p = h->p + AT_DEVICES + i * DEVICE_BYTES;
		const char *name = blob_text(h, be32(p));
		uint64_t bytes = be64(p + 8);

		if (!name)
			continue;
		if (check_device(v, name, bytes, e))
			return -e->code;
		v->devices[i] = (struct vma_device){.name = xstrdup(name), .bytes = bytes};
		count++;
	}
	return count ? 0 : err_set(e, EINVAL, "the archive has no disks");
}

static int read_part(vma_read_fn read, void *ctx, void *to, size_t n, struct err *e)
{
	int r = read(ctx, to, n, e);

	return r == 1 ? err_set(e, EINVAL, "cut off") : r;
}

static int read_blobs(struct header *h, vma_read_fn read, void *ctx, struct err *e)
{
	size_t n = be32(h->p + AT_HEADER_BYTES), at = be32(h->p + AT_BLOBS), bytes = be32(h->p + AT_BLOBS_BYTES);
	int r;

	if (n <= HEADER_BYTES || n > HEADER_MAX || at < HEADER_BYTES || at > n || bytes > n - at)
		return err_set(e, EINVAL, "the header is damaged: it has no length that can be");
	h->p = xrealloc(h->p, n);
	h->n = n;
	h->blobs = at;
	h->blobs_end = at + bytes;
	r = read_part(read, ctx, h->p + HEADER_BYTES, n - HEADER_BYTES, e);
	if (!r && !digest_holds(h->p, n, AT_MD5))
		r = err_set(e, EINVAL, "the header is damaged: its digest is another");
	return r;
}

int vma_read_header(struct vma *v, vma_read_fn read, void *ctx, struct err *e)
{
	struct header h = {.p = xcalloc(1, HEADER_BYTES)};
	int r = read_part(read, ctx, h.p, HEADER_BYTES, e);

	memset(v, 0, sizeof(*v));
	if (!r && memcmp(h.p, VMA_MAGIC, sizeof(VMA_MAGIC)) != 0)
		r = err_set(e, EINVAL, "not an archive of Proxmox VE");
	if (!r && be32(h.p + AT_VERSION) != 1)
		r = err_set(e, EINVAL, "an archive of the unknown version %u", be32(h.p + AT_VERSION));
	r = r ?: read_blobs(&h, read, ctx, e);
	if (!r) {
		memcpy(v->uuid, h.p + AT_UUID, sizeof(v->uuid));
		take_config(v, &h);
		r = take_devices(v, &h, e);
	}
	free(h.p);
	return r;
}

void vma_fini(struct vma *v)
{
	free(v->config);
	for (size_t i = 0; i < VMA_DEVICES; i++) {
		free(v->devices[i].name);
		free(v->devices[i].seen);
	}
	memset(v, 0, sizeof(*v));
}

/* ---- extents ---- */

struct extent {
	struct vma *v;
	uint8_t head[EXTENT_HEADER];
	uint8_t *data;
	size_t bytes, at; /* bytes of data that were read, and used */
	bool is_empty;	  /* extent has nothing of any disk */
	vma_write_fn write;
	void *ctx;
};

static bool is_memory(const struct vma_device *d)
{
	return !strcmp(d->name, MEMORY_DEVICE);
}

/* Marks a cluster as seen: every cluster of a disk occurs once, also if it is all zeros. */
static int mark(struct vma_device *d, uint32_t cluster, struct err *e)
{
	uint64_t clusters = (d->bytes + VMA_CLUSTER - 1) / VMA_CLUSTER;

	if (cluster >= clusters)
		return err_set(e, EINVAL, "damaged: it has data behind the end of %.40s", d->name);
	if (!d->seen)
		d->seen = xcalloc(1, clusters / 8 + 1);
	if (d->seen[cluster / 8] & 1u << cluster % 8)
		return err_set(e, EINVAL, "damaged: it has a part of %.40s twice", d->name);
	d->seen[cluster / 8] |= (uint8_t)(1u << cluster % 8);
	d->clusters++;
	return 0;
}

/* Memory comes as a stream: as many clusters at most as its size says. */
static int count_memory(struct vma_device *d, struct err *e)
{
	return d->clusters++ < (d->bytes + VMA_CLUSTER - 1) / VMA_CLUSTER
		       ? 0
		       : err_set(e, EINVAL, "damaged: it has data behind the end of %.40s", d->name);
}

/* Blocks from first on that the mask has without a gap. */
static unsigned run_of(uint16_t mask, unsigned first)
{
	unsigned n = 0;

	while (first + n < VMA_CLUSTER / BLOCK && mask >> (first + n) & 1)
		n++;
	return n;
}

static int write_cluster(struct extent *x, unsigned device, uint32_t cluster, uint16_t mask, struct err *e)
{
	struct vma_device *d = &x->v->devices[device];
	unsigned i, run;
	int r = 0;

	for (i = 0; !r && i < VMA_CLUSTER / BLOCK; i += run ? run : 1) {
		uint64_t at = (uint64_t)cluster * VMA_CLUSTER + i * BLOCK;
		size_t n;

		run = run_of(mask, i);
		n = run * BLOCK;
		if (n > x->bytes - x->at)
			return err_set(e, EINVAL, "damaged: a part of it has less data than it says");
		if (run && !is_memory(d) && at < d->bytes) /* the last one may reach farther */
			r = x->write(x->ctx, device, at, x->data + x->at, (size_t)MIN(n, d->bytes - at), e);
		x->at += n;
	}
	return r;
}

static int take_info(struct extent *x, uint64_t info, struct err *e)
{
	unsigned device = info >> 32 & 0xff;
	uint32_t cluster = (uint32_t)info;
	int r;

	if (!device)
		return 0;
	if (!x->v->devices[device].name)
		return err_set(e, EINVAL, "damaged: it has data of a disk that it does not have");
	x->is_empty = false;
	r = is_memory(&x->v->devices[device]) ? count_memory(&x->v->devices[device], e) : mark(&x->v->devices[device], cluster, e);
	return r ?: write_cluster(x, device, cluster, (uint16_t)(info >> 48), e);
}

static int check_head(struct extent *x, struct err *e)
{
	bool is_ours = !memcmp(x->head, "VMAE", 4) && !memcmp(x->head + AT_EXTENT_UUID, x->v->uuid, sizeof(x->v->uuid));

	if (!is_ours || !digest_holds(x->head, EXTENT_HEADER, AT_EXTENT_MD5))
		return err_set(e, EINVAL, "damaged: the header of a part of it is not what it was");
	x->bytes = (size_t)be16(x->head + AT_EXTENT_BLOCKS) * BLOCK;
	x->at = 0;
	return x->bytes <= EXTENT_INFOS * VMA_CLUSTER ? 0 : err_set(e, EINVAL, "damaged: a part of it is longer than can be");
}

static int read_extent(struct extent *x, vma_read_fn read, struct err *e)
{
	bool was_empty = x->is_empty;
	int r = check_head(x, e);

	if (!r && was_empty) /* only the last one may be: they could go on for ever */
		r = err_set(e, EINVAL, "damaged: a part of it has nothing in it");
	x->is_empty = true;
	if (!r && x->bytes)
		r = read_part(read, x->ctx, x->data, x->bytes, e);
	for (size_t i = 0; !r && i < EXTENT_INFOS; i++)
		r = take_info(x, be64(x->head + AT_EXTENT_INFOS + 8 * i), e);
	if (!r && x->at != x->bytes)
		r = err_set(e, EINVAL, "damaged: a part of it has more data than it says");
	return r;
}

static int check_whole(const struct vma *v, struct err *e)
{
	for (size_t i = 0; i < VMA_DEVICES; i++) {
		const struct vma_device *d = &v->devices[i];
		uint64_t clusters = (d->bytes + VMA_CLUSTER - 1) / VMA_CLUSTER;

		if (d->name && !is_memory(d) && d->clusters != clusters)
			return err_set(e, EINVAL, "cut off: it has %llu of %llu parts of %.40s", (unsigned long long)d->clusters,
				       (unsigned long long)clusters, d->name);
	}
	return 0;
}

int vma_read_extents(struct vma *v, vma_read_fn read, vma_write_fn write, void *ctx, struct err *e)
{
	struct extent x = {.v = v, .data = xmalloc(EXTENT_INFOS * VMA_CLUSTER), .write = write, .ctx = ctx};
	int r;

	while (!(r = read(ctx, x.head, EXTENT_HEADER, e)) && !(r = read_extent(&x, read, e)))
		;
	free(x.data);
	return r == 1 ? check_whole(v, e) : r;
}
