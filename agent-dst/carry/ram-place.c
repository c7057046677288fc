/* ram-place.c: see ram-place.h. */
#include "ram-place.h"
#include "fault.h"
#include "ram-blocks.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#define BLOCKS_MAX	OBJECT_RAM_MAX
#define PAGEMAP_PRESENT (3ULL << 62) /* present or swapped */
#define IOV_PER_CALL	512

struct host_block {
	char name[256];
	uint64_t max_bytes, host;
	uint8_t *map; /* our own mapping of it, where QEMU's memory may not be written from outside */
	int fd;	      /* descriptor of that mapping; -1: none */
	uint64_t file_offset;
};

struct ram_place {
	pid_t pid;
	int pagemap_fd;
	struct host_block *blocks;
	size_t block_count;
	pthread_mutex_t lock; /* lock of targets: each channel announces each block */
	struct ram_target *targets[BLOCKS_MAX];
	size_t target_count;
	uint64_t held_bytes;
	bool mapped; /* process_vm_writev is forbidden */
	char how[128];
};

/* ---- what QEMU tells ---- */

static void take_blocks(struct ram_place *p, const struct ram_block_place *told, size_t count)
{
	p->block_count = count;
	p->blocks = xcalloc(p->block_count + 1, sizeof(*p->blocks));
	for (size_t i = 0; i < p->block_count; i++) {
		p->blocks[i] = (struct host_block){.max_bytes = told[i].max_bytes, .host = told[i].host, .fd = -1};
		memcpy(p->blocks[i].name, told[i].name, sizeof(p->blocks[i].name));
	}
}

/* ---- QEMU's memory ---- */

/* A mapping of QEMU's memory. find_mapping(): 0 and the one at addr, or -ENOENT. */
struct mapping {
	uint64_t start, end, offset, inode;
	unsigned dev_major, dev_minor;
	bool shared;
};

static int find_mapping(pid_t pid, uint64_t addr, struct mapping *out)
{
	char path[64], line[512], perms[8];
	struct mapping x;
	int r = -ENOENT;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	while (f && r && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %x:%x %" SCNu64, &x.start, &x.end, perms, &x.offset, &x.dev_major,
			   &x.dev_minor, &x.inode) == 7 &&
		    addr >= x.start && addr < x.end) {
			x.shared = perms[3] == 's';
			*out = x;
			r = 0;
		}
	}
	if (f)
		fclose(f);
	return r;
}

/* QEMU's descriptor of the file that is mapped, opened anew; -1 if there is none. */
static int open_mapped_file(pid_t pid, const struct mapping *m)
{
	char path[64];
	struct dirent *x;
	struct stat st;
	int fd = -1;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d && fd < 0 && (x = readdir(d)))
		if (!fstatat(dirfd(d), x->d_name, &st, 0) && st.st_ino == m->inode && S_ISREG(st.st_mode) &&
		    st.st_dev == makedev(m->dev_major, m->dev_minor))
			fd = openat(dirfd(d), x->d_name, O_RDWR | O_CLOEXEC);
	if (d)
		closedir(d);
	return fd;
}

/* Memory that QEMU shares (memory-backend-memfd, -file with share=on) can be mapped here as well. */
static void map_block(struct ram_place *p, struct host_block *b)
{
	struct mapping x;
	void *map;

	if (find_mapping(p->pid, b->host, &x) || !x.shared || !x.inode || b->max_bytes > x.end - b->host)
		return;
	b->fd = open_mapped_file(p->pid, &x);
	if (b->fd < 0)
		return;
	b->file_offset = x.offset + b->host - x.start;
	map = mmap(NULL, b->max_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, (off_t)b->file_offset);
	if (map == MAP_FAILED) {
		close(b->fd);
		b->fd = -1;
	} else {
		b->map = map;
	}
}

static int probe(struct ram_place *p, struct err *e)
{
	uint8_t b[16];
	struct iovec local = {b, sizeof(b)}, remote = {NULL, sizeof(b)};

	for (size_t i = 0; i < p->block_count; i++) {
		remote.iov_base = (void *)(uintptr_t)p->blocks[i].host;
		if (process_vm_readv(p->pid, &local, 1, &remote, 1, 0) != sizeof(b) ||
		    process_vm_writev(p->pid, &local, 1, &remote, 1, 0) != sizeof(b))
			return err_sys(e, errno == EPERM ? EACCES : errno, "the destination QEMU's memory cannot be written from outside");
	}
	if (!p->block_count)
		return err_set(e, EACCES, "the destination QEMU does not tell where its RAM is");
	return 0;
}

/* Private and anonymous: then what is not present is zero. */
static bool is_fresh_anonymous(pid_t pid, uint64_t addr)
{
	struct mapping x;

	return !find_mapping(pid, addr, &x) && !x.shared && !x.inode;
}

/* Writing from outside is forbidden: what can be mapped is, the rest is held while it is small. */
static int map_blocks(struct ram_place *p, struct err *e)
{
	size_t i, mapped = 0;

	for (i = 0; i < p->block_count; i++) {
		map_block(p, &p->blocks[i]);
		mapped += p->blocks[i].map != NULL;
	}
	if (!mapped)
		return -e->code; /* the probe's error */
	p->mapped = true;
	return 0;
}

int ram_place_open_at(struct ram_place **out, const struct ram_block_place *blocks, size_t count, pid_t pid, struct err *e)
{
	struct ram_place *p = xcalloc(1, sizeof(*p));
	char path[64];
	int r = 0;

	p->pid = pid;
	pthread_mutex_init(&p->lock, NULL);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	p->pagemap_fd = open(path, O_RDONLY | O_CLOEXEC);
	take_blocks(p, blocks, count);
	if (fault_point("dst-no-process-vm") ? err_set(e, EACCES, "fault") : probe(p, e))
		r = map_blocks(p, e);
	if (r) {
		ram_place_free(p);
		return r;
	}
	snprintf(p->how, sizeof(p->how), "%s the waiting QEMU's memory (%zu blocks)", p->mapped ? "through a mapping of" : "written into",
		 p->block_count);
	*out = p;
	return 0;
}

int ram_place_open(struct ram_place **out, struct qmp *q, pid_t pid, struct err *e)
{
	const struct ram_block_place *missing;
	AUTO_FREE struct ram_block_place *told = NULL;
	size_t count;
	int r = ram_blocks_ask(q, pid, &told, &count, e);

	if (r)
		return r;
	missing = ram_blocks_missing(told, count);
	return missing ? err_set(e, EACCES, "the destination QEMU does not tell where its RAM block %.100s is, and it is too large to hold",
				 missing->name)
		       : ram_place_open_at(out, told, ram_blocks_placed(told, count), pid, e);
}

void ram_place_free(struct ram_place *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->target_count; i++) {
		FREE_ALL(p->targets[i]->held, p->targets[i]->table.hash, p->targets[i]);
	}
	for (size_t i = 0; i < p->block_count; i++) {
		if (p->blocks[i].map)
			munmap(p->blocks[i].map, p->blocks[i].max_bytes);
		if (p->blocks[i].fd >= 0)
			close(p->blocks[i].fd);
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
	if (ram_block_may_be_resized(name))
		return NULL;
	for (size_t i = 0; i < p->block_count; i++)
		if (!strcmp(p->blocks[i].name, name))
			return p->mapped && !p->blocks[i].map ? NULL : &p->blocks[i];
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
		return err_set(e, EINVAL, "RAM block %s is %llu bytes at the source but only %llu here", name, (unsigned long long)bytes,
			       (unsigned long long)b->max_bytes);
	if (!b && bytes > RAM_BLOCKS_SMALL - p->held_bytes)
		return err_set(
			e, ENOTSUP,
			"the destination QEMU does not tell where its RAM block %s is, and it is too large to hold; use --ram-mode opaque",
			name);
	t = xcalloc(1, sizeof(*t));
	strcpy(t->name, name);
	t->bytes = bytes;
	t->table.pages = bytes >> PAGE_SHIFT;
	t->table.hash = calloc(t->table.pages + 1, sizeof(struct hash128)); /* the size is the peer's word, so this may fail */
	if (!t->table.hash) {
		free(t);
		return err_set(e, ENOMEM, "no memory to check RAM block %s of %llu bytes", name, (unsigned long long)bytes);
	}
	if (b) {
		t->host = b->host;
		t->map = b->map;
		t->map_fd = b->fd;
		t->map_offset = b->file_offset;
		t->fresh = !b->map && p->pagemap_fd >= 0 && is_fresh_anonymous(p->pid, b->host);
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
	int r = 1;

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->target_count && r == 1; i++) {
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
		if (w < 0 && errno == ESRCH)
			return err_set(e, ESRCH, "the destination QEMU ended");
		if (w != (ssize_t)local.iov_len)
			return err_sys(e, w < 0 ? errno : EFAULT, "cannot write into the destination QEMU's RAM");
		data += local.iov_len;
		remote += k;
		n -= k;
	}
	return 0;
}

int ram_place_write(struct ram_place *p, struct ram_target *t, const struct data_extent *x, unsigned n, const uint8_t *data, struct err *e)
{
	struct iovec remote[DATA_RAW_MAX / PAGE_BYTES];
	size_t bytes = 0;

	if (n > ARRAY_LEN(remote))
		return err_set(e, EPROTO, "a frame of pages has too many extents");
	for (unsigned i = 0; i < n; i++) {
		size_t len = (size_t)x[i].units << PAGE_SHIFT;

		if (t->held || t->map)
			memcpy((t->held ? t->held : t->map) + x[i].offset, data + bytes, len);
		remote[i] = (struct iovec){(void *)(uintptr_t)(t->host + x[i].offset), len};
		bytes += len;
	}
	return t->held || t->map ? 0 : write_remote(p, data, remote, n, e);
}

/* True if no page of the range is present in QEMU, so that it reads as zero already. */
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

int ram_place_zero(struct ram_place *p, struct ram_target *t, uint64_t offset, uint64_t bytes, bool first_time, struct err *e)
{
	static const uint8_t zeros[64 * 1024];
	struct iovec remote;

	if (t->held) {
		memset(t->held + offset, 0, bytes);
		return 0;
	}
	if (t->map) {
		/* a hole of the file is zero, and to write there would only fill it */
		uint64_t at = t->map_offset + offset;
		off_t data = first_time ? lseek(t->map_fd, (off_t)at, SEEK_DATA) : (off_t)at;

		if (data < 0 ? errno != ENXIO : (uint64_t)data < at + bytes)
			memset(t->map + offset, 0, bytes);
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

void ram_place_held(struct ram_place *p, void (*fn)(void *arg, const char *block, uint64_t offset, const uint8_t *data), void *arg)
{
	for (size_t i = 0; i < p->target_count; i++) {
		struct ram_target *t = p->targets[i];

		for (uint64_t page = 0; t->held && page < t->table.pages; page++)
			if (!hash_equal(t->table.hash[page], (struct hash128){0, 0}))
				fn(arg, t->name, page << PAGE_SHIFT, t->held + (page << PAGE_SHIFT));
	}
}
