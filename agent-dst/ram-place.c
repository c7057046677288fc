/* ram-place.c: see ram-place.h. */
#include "ram-place.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#define BLOCKS_MAX     OBJECT_RAM_MAX
#define HELD_BYTES_MAX (16 * MIB) /* of all blocks that cannot be placed */
#define PAGEMAP_PRESENT (3ULL << 62) /* present or swapped */
#define IOV_PER_CALL   512

struct host_block {
	char name[256];
	uint64_t max_bytes, host;
};

struct ram_place {
	pid_t pid;
	int pagemap_fd;
	struct host_block *blocks;
	size_t block_count;
	pthread_mutex_t lock; /* of targets: each channel announces each block */
	struct ram_target *targets[BLOCKS_MAX];
	size_t target_count;
	uint64_t held_bytes;
	char how[128];
};

/* ---- what QEMU tells ---- */

/*
 * `info ramblock` (QEMU 10): NAME PSIZE OFFSET USED TOTAL HVA RO, sizes in hex; names may hold spaces, never two in
 * a row. 7.2 has no HVA column: then only pc.ram is found, by gpa2hva.
 */
static bool parse_ramblock_line(const char *line, struct host_block *b)
{
	const char *hex = strstr(line, " 0x");
	uint64_t offset, used, total, host;
	size_t n;

	if (!hex || sscanf(hex, " 0x%" SCNx64 " 0x%" SCNx64 " 0x%" SCNx64 " 0x%" SCNx64, &offset, &used, &total,
			   &host) != 4)
		return false;
	/* before the numbers: NAME and the page size, such as "4 KiB" */
	n = (size_t)(hex - line);
	while (n && line[n - 1] == ' ')
		n--;
	while (n && line[n - 1] != ' ')
		n--;
	while (n && line[n - 1] == ' ')
		n--;
	while (n && line[n - 1] != ' ')
		n--;
	while (n && line[n - 1] == ' ')
		n--;
	while (n && *line == ' ') {
		line++;
		n--;
	}
	if (!n || n >= sizeof(b->name))
		return false;
	memcpy(b->name, line, n);
	b->name[n] = '\0';
	b->max_bytes = total;
	b->host = host;
	return true;
}

static int ask_gpa2hva(struct ram_place *p, struct qmp *q, struct err *e)
{
	AUTO_FREE char *text = NULL;
	const char *at;
	uint64_t host;

	if (qmp_hmp(q, "gpa2hva 0", &text, e))
		return -e->code;
	at = strstr(text, " is 0x");
	if (!at || sscanf(at, " is 0x%" SCNx64, &host) != 1)
		return 0;
	p->blocks = xcalloc(1, sizeof(*p->blocks));
	p->block_count = 1;
	strcpy(p->blocks[0].name, "pc.ram");
	p->blocks[0].max_bytes = UINT64_MAX;
	p->blocks[0].host = host;
	return 0;
}

static int ask_blocks(struct ram_place *p, struct qmp *q, struct err *e)
{
	AUTO_FREE char *text = NULL;
	char *line, *save = NULL;

	if (qmp_hmp(q, "info ramblock", &text, e))
		return -e->code;
	for (line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
		struct host_block b;

		if (p->block_count == BLOCKS_MAX || !parse_ramblock_line(line, &b))
			continue;
		p->blocks = xrealloc(p->blocks, (p->block_count + 1) * sizeof(b));
		p->blocks[p->block_count++] = b;
	}
	return p->block_count ? 0 : ask_gpa2hva(p, q, e);
}

/* ---- QEMU's memory ---- */

static int probe(struct ram_place *p, struct err *e)
{
	uint8_t b[16];
	struct iovec local = {b, sizeof(b)}, remote = {NULL, sizeof(b)};
	size_t i;

	for (i = 0; i < p->block_count; i++) {
		remote.iov_base = (void *)(uintptr_t)p->blocks[i].host;
		if (process_vm_readv(p->pid, &local, 1, &remote, 1, 0) != sizeof(b) ||
		    process_vm_writev(p->pid, &local, 1, &remote, 1, 0) != sizeof(b))
			return err_sys(e, errno == EPERM ? EACCES : errno,
				       "the destination QEMU's memory cannot be written from outside");
	}
	if (!p->block_count)
		return err_set(e, EACCES, "the destination QEMU does not tell where its RAM is");
	return 0;
}

/* Is the mapping around addr private and anonymous? Then what is not present is zero. */
static bool is_fresh_anonymous(pid_t pid, uint64_t addr)
{
	char path[64], line[512], perms[8];
	uint64_t lo, hi, off, inode;
	bool yes = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*x:%*x %" SCNu64, &lo, &hi, perms, &off,
			   &inode) == 5 &&
		    addr >= lo && addr < hi) {
			yes = inode == 0 && perms[3] == 'p';
			break;
		}
	}
	if (f)
		fclose(f);
	return yes;
}

int ram_place_open(struct ram_place **out, struct qmp *q, pid_t pid, struct err *e)
{
	struct ram_place *p = xcalloc(1, sizeof(*p));
	char path[64];
	int r;

	p->pid = pid;
	pthread_mutex_init(&p->lock, NULL);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	p->pagemap_fd = open(path, O_RDONLY | O_CLOEXEC);
	r = ask_blocks(p, q, e);
	if (!r)
		r = probe(p, e);
	if (r) {
		ram_place_free(p);
		return r;
	}
	snprintf(p->how, sizeof(p->how), "written into the waiting QEMU's memory (%zu blocks)", p->block_count);
	*out = p;
	return 0;
}

void ram_place_free(struct ram_place *p)
{
	size_t i;

	if (!p)
		return;
	for (i = 0; i < p->target_count; i++) {
		free(p->targets[i]->held);
		free(p->targets[i]->table.hash);
		free(p->targets[i]);
	}
	if (p->pagemap_fd >= 0)
		close(p->pagemap_fd);
	pthread_mutex_destroy(&p->lock);
	free(p->blocks);
	free(p);
}

const char *ram_place_how(const struct ram_place *p)
{
	return p->how;
}

/* ---- targets ---- */

static const struct host_block *host_block(const struct ram_place *p, const char *name)
{
	size_t i;

	if (!strncmp(name, "/rom@", 5)) /* may be resized at load */
		return NULL;
	for (i = 0; i < p->block_count; i++)
		if (!strcmp(p->blocks[i].name, name))
			return &p->blocks[i];
	return NULL;
}

static int new_target(struct ram_place *p, const char *name, uint64_t bytes, struct ram_target **out, struct err *e)
{
	const struct host_block *b = host_block(p, name);
	struct ram_target *t;

	if (p->target_count == BLOCKS_MAX || strlen(name) >= sizeof(t->name) || bytes % PAGE_BYTES)
		return err_set(e, EPROTO, "the source announced an impossible RAM block (%.40s, %llu bytes)", name,
			       (unsigned long long)bytes);
	if (b && bytes > b->max_bytes)
		return err_set(e, EINVAL, "RAM block %s is %llu bytes at the source but only %llu here", name,
			       (unsigned long long)bytes, (unsigned long long)b->max_bytes);
	if (!b && bytes > HELD_BYTES_MAX - p->held_bytes)
		return err_set(e, ENOTSUP,
			       "the destination QEMU does not tell where its RAM block %s is, and it is too large to hold; use --ram-mode opaque",
			       name);
	t = xcalloc(1, sizeof(*t));
	strcpy(t->name, name);
	t->bytes = bytes;
	t->table.pages = bytes >> PAGE_SHIFT;
	t->table.hash = xcalloc(t->table.pages, sizeof(struct hash128));
	if (b) {
		t->host = b->host;
		t->fresh = p->pagemap_fd >= 0 && is_fresh_anonymous(p->pid, b->host);
	} else {
		t->held = xcalloc(1, bytes);
		p->held_bytes += bytes;
	}
	p->targets[p->target_count++] = t;
	*out = t;
	return 0;
}

int ram_place_target(struct ram_place *p, const char *name, uint64_t bytes, struct ram_target **out, struct err *e)
{
	size_t i;
	int r = 1;

	pthread_mutex_lock(&p->lock);
	for (i = 0; i < p->target_count && r == 1; i++) {
		if (strcmp(p->targets[i]->name, name))
			continue;
		*out = p->targets[i];
		r = 0;
		if (p->targets[i]->bytes != bytes)
			r = err_set(e, EPROTO, "RAM block %s was announced with two sizes", name);
	}
	if (r == 1)
		r = new_target(p, name, bytes, out, e);
	pthread_mutex_unlock(&p->lock);
	return r;
}

/* ---- placing ---- */

static int write_remote(struct ram_place *p, const uint8_t *data, struct iovec *remote, unsigned n, struct err *e)
{
	while (n) {
		unsigned k = MIN(n, IOV_PER_CALL), i;
		struct iovec local = {(void *)(uintptr_t)data, 0};
		ssize_t w;

		for (i = 0; i < k; i++)
			local.iov_len += remote[i].iov_len;
		w = process_vm_writev(p->pid, &local, 1, remote, k, 0);
		if (w != (ssize_t)local.iov_len)
			return err_sys(e, w < 0 ? errno : EFAULT, "cannot write into the destination QEMU's RAM");
		data += local.iov_len;
		remote += k;
		n -= k;
	}
	return 0;
}

int ram_place_write(struct ram_place *p, struct ram_target *t, const struct data_extent *x, unsigned n,
		    const uint8_t *data, struct err *e)
{
	struct iovec remote[DATA_RAW_MAX / PAGE_BYTES];
	size_t bytes = 0;
	unsigned i;

	if (n > ARRAY_LEN(remote))
		return err_set(e, EPROTO, "a frame of pages has too many extents");
	for (i = 0; i < n; i++) {
		size_t len = (size_t)x[i].units << PAGE_SHIFT;

		if (t->held)
			memcpy(t->held + x[i].offset, data + bytes, len);
		remote[i] = (struct iovec){(void *)(uintptr_t)(t->host + x[i].offset), len};
		bytes += len;
	}
	return t->held ? 0 : write_remote(p, data, remote, n, e);
}

/* No page of the range is present in QEMU: it reads as zero already. */
static bool is_untouched(struct ram_place *p, uint64_t addr, uint64_t bytes)
{
	uint64_t entry[512];

	while (bytes) {
		size_t n = MIN(bytes >> PAGE_SHIFT, ARRAY_LEN(entry)), i;

		if (pread(p->pagemap_fd, entry, n * 8, (off_t)(addr >> PAGE_SHIFT) * 8) != (ssize_t)(n * 8))
			return false;
		for (i = 0; i < n; i++)
			if (entry[i] & PAGEMAP_PRESENT)
				return false;
		addr += n << PAGE_SHIFT;
		bytes -= n << PAGE_SHIFT;
	}
	return true;
}

int ram_place_zero(struct ram_place *p, struct ram_target *t, uint64_t offset, uint64_t bytes, bool first_time,
		   struct err *e)
{
	static const uint8_t zeros[64 * 1024];
	struct iovec remote;

	if (t->held) {
		memset(t->held + offset, 0, bytes);
		return 0;
	}
	if (first_time && t->fresh && is_untouched(p, t->host + offset, bytes))
		return 0;
	while (bytes) {
		size_t k = MIN(bytes, sizeof(zeros));
		int r;

		remote = (struct iovec){(void *)(uintptr_t)(t->host + offset), k};
		r = write_remote(p, zeros, &remote, 1, e);
		if (r)
			return r;
		offset += k;
		bytes -= k;
	}
	return 0;
}

void ram_place_held(struct ram_place *p, void (*fn)(void *arg, const char *block, uint64_t offset, const uint8_t *data),
		    void *arg)
{
	size_t i;
	uint64_t page;

	for (i = 0; i < p->target_count; i++) {
		struct ram_target *t = p->targets[i];

		for (page = 0; t->held && page < t->table.pages; page++)
			if (!hash_equal(t->table.hash[page], (struct hash128){0, 0}))
				fn(arg, t->name, page << PAGE_SHIFT, t->held + (page << PAGE_SHIFT));
	}
}
