/* Load and verification of disks. Of each disk some windows are used, spread from its first
 * block to its last. A block is either foreign (as found at start; its hash is kept), data
 * (generation-tagged) or zero; a table says which, with a complemented copy and a sum. */
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	WINDOWS = 4,
	RANGE_BLOCKS = 16,  /* the longest write: 64 KiB */
	CHUNK_BLOCKS = 256, /* read at once when verifying all */
	ZERO_EVERY = 8,
	READ_EVERY = 4,
	SYNC_EVERY = 16,
	TICK_NS = 10000000,
};

enum kind { KIND_FOREIGN, KIND_DATA, KIND_ZERO };

struct disk {
	pthread_mutex_t lock;
	char name[32];
	int fd;
	unsigned domain;
	bool discard;
	enum content content;
	uint64_t bytes, blocks, window_blocks;
	uint32_t *state, *complement; /* generation * 4 + kind */
	uint64_t *foreign_hash;
	uint64_t ops, generation_sum, random;
	uint64_t pinned; /* a block corrupted by order, which load leaves alone until it is found */
	uint64_t *buffer;
};

struct range {
	uint64_t first;
	unsigned count;
};

static const uint64_t DEADLINE_NS = UINT64_C(20000000000);

static struct disk disks[MAX_DISKS];
static unsigned disk_count;

/* --- where a block lies --- */

static uint64_t window_start(const struct disk *disk, uint64_t window)
{
	uint64_t windows = disk->blocks / disk->window_blocks;
	uint64_t room = disk->bytes / PAGE_BYTES - disk->window_blocks;

	return windows > 1 ? room * window / (windows - 1) : 0;
}

static off_t block_offset(const struct disk *disk, uint64_t block)
{
	uint64_t start = window_start(disk, block / disk->window_blocks);

	return (off_t)((start + block % disk->window_blocks) * PAGE_BYTES);
}

unsigned disks_count(void)
{
	return disk_count;
}

uint64_t disk_unused_blocks(unsigned disk)
{
	return disks[disk].bytes / PAGE_BYTES - disks[disk].blocks;
}

uint64_t disk_unused_block(unsigned disk, uint64_t n)
{
	uint64_t windows = disks[disk].blocks / disks[disk].window_blocks;

	for (uint64_t window = 0; window < windows && n >= window_start(&disks[disk], window); window++)
		n += disks[disk].window_blocks;
	return n;
}

static struct range range_from(const struct disk *disk, uint64_t first, uint64_t count)
{
	uint64_t left = disk->window_blocks - first % disk->window_blocks;

	return (struct range){first, (unsigned)(count < left ? count : left)};
}

static struct range range_pick(struct disk *disk)
{
	uint64_t first = random_next(&disk->random) % disk->blocks;

	return range_from(disk, first, 1 + random_next(&disk->random) % RANGE_BLOCKS);
}

static bool range_has(struct range range, uint64_t block)
{
	return block >= range.first && block < range.first + range.count;
}

/* --- the table --- */

static enum kind state_kind(uint32_t state)
{
	return (enum kind)(state & 3);
}

static void state_set(struct disk *disk, uint64_t block, uint32_t generation, enum kind kind)
{
	disk->generation_sum += generation - (disk->state[block] >> 2);
	disk->state[block] = generation << 2 | kind;
	disk->complement[block] = ~disk->state[block];
}

static void block_fill(const struct disk *disk, uint64_t *to, uint64_t block, uint32_t generation)
{
	tag_fill(to, disk->domain, (uint32_t)block, generation, content_fill(disk->content, block % 4 != 0));
}

/* --- verification --- */

/* The found contents become the expected ones, so that each finding is counted once. */
static void block_adopt(struct disk *disk, uint64_t block, const uint64_t *found)
{
	disk->foreign_hash[block] = tag_hash(found);
	state_set(disk, block, disk->state[block] >> 2, KIND_FOREIGN);
	if (disk->pinned == block)
		disk->pinned = UINT64_MAX;
}

static bool block_right(struct disk *disk, uint64_t block, const uint64_t *found, uint64_t *expected)
{
	uint32_t state = disk->state[block];

	memset(expected, 0, PAGE_BYTES);
	switch (state_kind(state)) {
	case KIND_FOREIGN:
		return tag_hash(found) == disk->foreign_hash[block];
	case KIND_ZERO:
		return tag_is_zero(found);
	case KIND_DATA:
		block_fill(disk, expected, block, state >> 2);
		return memcmp(found, expected, PAGE_BYTES) == 0;
	}
	return false;
}

static void block_check(struct disk *disk, uint64_t block, const uint64_t *found)
{
	static const char *const kinds[4] = {"as found", "data", "zeros", "broken"};
	uint32_t state = disk->state[block];
	uint64_t expected[PAGE_WORDS];
	char text[TEXT_BYTES];

	if (state != ~disk->complement[block]) {
		tally_block("%s block %" PRIu64 ": table says %u, its copy %u", disk->name, block, state, ~disk->complement[block]);
		block_adopt(disk, block, found);
		return;
	}
	if (block_right(disk, block, found, expected))
		return;
	tag_describe(found, expected, text);
	tally_block("%s block %" PRIu64 " at %" PRIu64 " (%s, generation %u): %s", disk->name, block, (uint64_t)block_offset(disk, block),
		    kinds[state & 3], state >> 2, text);
	block_adopt(disk, block, found);
}

static void range_failed(const struct disk *disk, struct range range, const char *what, int error)
{
	tally_block("%s block %" PRIu64 "+%u: %s: %s", disk->name, range.first, range.count, what, strerror(error));
}

static bool range_read(struct disk *disk, struct range range)
{
	size_t bytes = (size_t)range.count * PAGE_BYTES;
	ssize_t got = pread(disk->fd, disk->buffer, bytes, block_offset(disk, range.first));

	if (got == (ssize_t)bytes)
		return true;
	range_failed(disk, range, "read", got < 0 ? errno : EIO);
	return false;
}

static void range_check(struct disk *disk, struct range range)
{
	if (!range_read(disk, range))
		return;
	for (unsigned i = 0; i < range.count; i++)
		block_check(disk, range.first + i, disk->buffer + (size_t)i * PAGE_WORDS);
}

static void sum_check(struct disk *disk)
{
	uint64_t sum = 0;

	for (uint64_t block = 0; block < disk->blocks; block++)
		sum += disk->state[block] >> 2;
	if (sum == disk->generation_sum)
		return;
	tally_block("%s: generations add up to %" PRIu64 ", not %" PRIu64, disk->name, sum, disk->generation_sum);
	disk->generation_sum = sum;
}

static uint64_t disk_verify(struct disk *disk)
{
	struct range range;

	pthread_mutex_lock(&disk->lock);
	sum_check(disk);
	pthread_mutex_unlock(&disk->lock);
	for (uint64_t block = 0; block < disk->blocks; block += range.count) {
		range = range_from(disk, block, CHUNK_BLOCKS);
		pthread_mutex_lock(&disk->lock);
		range_check(disk, range);
		pthread_mutex_unlock(&disk->lock);
	}
	return disk->blocks;
}

/* --- load --- */

static void range_write(struct disk *disk, struct range range)
{
	size_t bytes = (size_t)range.count * PAGE_BYTES;
	ssize_t put;

	for (unsigned i = 0; i < range.count; i++) {
		uint64_t block = range.first + i;

		block_fill(disk, disk->buffer + (size_t)i * PAGE_WORDS, block, (disk->state[block] >> 2) + 1);
	}
	put = pwrite(disk->fd, disk->buffer, bytes, block_offset(disk, range.first));
	if (put != (ssize_t)bytes) {
		range_failed(disk, range, "write", put < 0 ? errno : EIO);
		return;
	}
	for (unsigned i = 0; i < range.count; i++)
		state_set(disk, range.first + i, (disk->state[range.first + i] >> 2) + 1, KIND_DATA);
}

/* A discard alone does not promise zeros; the write of zeros that follows it does, with
 * permission to unmap where the device takes it. */
static int zero_out(struct disk *disk, off_t offset, uint64_t bytes)
{
	uint64_t extent[2] = {(uint64_t)offset, bytes};

	if (disk->discard && ioctl(disk->fd, BLKDISCARD, extent) != 0)
		return errno;
	if (disk->discard && fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, (off_t)bytes) == 0)
		return 0;
	return ioctl(disk->fd, BLKZEROOUT, extent) == 0 ? 0 : errno;
}

static void range_zero(struct disk *disk, struct range range)
{
	int error = zero_out(disk, block_offset(disk, range.first), (uint64_t)range.count * PAGE_BYTES);

	if (error != 0) {
		range_failed(disk, range, "zero", error);
		return;
	}
	for (unsigned i = 0; i < range.count; i++)
		state_set(disk, range.first + i, (disk->state[range.first + i] >> 2) + 1, KIND_ZERO);
}

static void disk_op(struct disk *disk)
{
	struct range range = range_pick(disk);

	if (range_has(range, disk->pinned))
		return;
	if (disk->content == CONTENT_MIXED && random_next(&disk->random) % ZERO_EVERY == 0)
		range_zero(disk, range);
	else
		range_write(disk, range);
	disk->ops++;
	done.disk_ops++;
	if (disk->ops % READ_EVERY == 0)
		range_check(disk, range_pick(disk));
	if (disk->ops % SYNC_EVERY == 0 && fsync(disk->fd) != 0)
		range_failed(disk, range, "fsync", errno);
}

static void *disk_run(void *argument)
{
	struct disk *disk = argument;
	uint64_t last_ns = monotonic_ns();

	for (;;) {
		uint64_t due = pace_due(load.disk_rate_s, monotonic_ns(), &last_ns);

		while (due-- > 0) {
			pthread_mutex_lock(&disk->lock);
			if (load.running)
				disk_op(disk);
			pthread_mutex_unlock(&disk->lock);
		}
		sleep_until_ns(monotonic_ns() + TICK_NS);
	}
	return argument;
}

/* --- start and orders --- */

static bool takes_discard(const char *name)
{
	char path[128];
	uint64_t most = 0;
	FILE *file;

	snprintf(path, sizeof path, "/sys/block/%s/queue/discard_max_bytes", name);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%" SCNu64, &most) != 1)
		most = 0;
	fclose(file);
	return most > 0;
}

static void disk_size(struct disk *disk, uint64_t disk_mb)
{
	uint64_t all;

	if (ioctl(disk->fd, BLKGETSIZE64, &disk->bytes) != 0)
		give_up("size of %s: %s", disk->name, strerror(errno));
	all = disk->bytes / PAGE_BYTES;
	disk->window_blocks = disk_mb * 256 / WINDOWS;
	disk->blocks = disk->window_blocks * WINDOWS;
	if (disk->blocks == 0 || disk->blocks > all)
		disk->blocks = disk->window_blocks = all;
	if (disk->blocks == 0)
		give_up("%s is empty", disk->name);
}

static void disk_learn(struct disk *disk)
{
	struct range range;

	for (uint64_t block = 0; block < disk->blocks; block += range.count) {
		range = range_from(disk, block, CHUNK_BLOCKS);
		if (!range_read(disk, range))
			give_up("%s cannot be read", disk->name);
		for (unsigned i = 0; i < range.count; i++) {
			disk->foreign_hash[block + i] = tag_hash(disk->buffer + (size_t)i * PAGE_WORDS);
			state_set(disk, block + i, 0, KIND_FOREIGN);
		}
	}
}

/* Disks behind a SCSI or an ATA controller appear a while after its driver was loaded. */
int disk_open_when_there(const char *path, int flags)
{
	uint64_t deadline_ns = monotonic_ns() + DEADLINE_NS;
	int fd;

	while ((fd = open(path, flags | O_CLOEXEC)) < 0) {
		if ((errno != ENOENT && errno != ENXIO) || monotonic_ns() > deadline_ns)
			give_up("%s: %s", path, strerror(errno));
		sleep_until_ns(monotonic_ns() + TICK_NS);
	}
	return fd;
}

static void disk_open(struct disk *disk, const char *name, const struct options *options)
{
	char path[64];

	snprintf(disk->name, sizeof disk->name, "%s", name);
	snprintf(path, sizeof path, "/dev/%s", disk->name);
	disk->fd = disk_open_when_there(path, O_RDWR | O_DIRECT);
	pthread_mutex_init(&disk->lock, NULL);
	disk->domain = disk_count;
	disk->pinned = UINT64_MAX;
	disk->random = 0x2545f4914f6cdd1dU + disk_count;
	disk->content = options->content;
	disk->discard = options->discard && takes_discard(disk->name);
	disk_size(disk, options->disk_mb);
	disk->state = calloc(disk->blocks, sizeof *disk->state);
	disk->complement = calloc(disk->blocks, sizeof *disk->complement);
	disk->foreign_hash = calloc(disk->blocks, sizeof *disk->foreign_hash);
	disk->buffer = aligned_alloc(PAGE_BYTES, (size_t)CHUNK_BLOCKS * PAGE_BYTES);
	if (!disk->state || !disk->complement || !disk->foreign_hash || !disk->buffer)
		give_up("no memory for the table of %s", disk->name);
	disk_learn(disk);
}

void disks_open(const struct options *options)
{
	char names[sizeof options->disks], *rest = names, *name;

	memcpy(names, options->disks, sizeof names);
	while ((name = strsep(&rest, ",")) != NULL) {
		if (*name == '\0')
			continue;
		if (disk_count == MAX_DISKS)
			give_up("more than %d disks", MAX_DISKS);
		disk_count++;
		disk_open(&disks[disk_count - 1], name, options);
	}
}

int disk_reopen(unsigned disk, int flags)
{
	char path[64];

	snprintf(path, sizeof path, "/dev/%s", disks[disk].name);
	return disk_open_when_there(path, flags);
}

void disks_start(void)
{
	for (unsigned i = 0; i < disk_count; i++)
		start_thread(disk_run, &disks[i]);
}

uint64_t disks_verify(void)
{
	uint64_t checked = 0;

	for (unsigned i = 0; i < disk_count; i++)
		checked += disk_verify(&disks[i]);
	return checked;
}

static int disk_corrupt(struct disk *disk)
{
	struct range range = range_from(disk, random_next(&disk->random) % disk->blocks, 1);

	if (!range_read(disk, range))
		return -EIO;
	disk->buffer[PAGE_WORDS / 3] ^= 0x10;
	if (pwrite(disk->fd, disk->buffer, PAGE_BYTES, block_offset(disk, range.first)) != PAGE_BYTES)
		return -EIO;
	disk->pinned = range.first;
	return 0;
}

int disks_corrupt(void)
{
	int result;

	if (disk_count == 0)
		return -ENODEV;
	pthread_mutex_lock(&disks[0].lock);
	result = disk_corrupt(&disks[0]);
	pthread_mutex_unlock(&disks[0].lock);
	return result;
}

int disks_sync(void)
{
	int result = 0;

	for (unsigned i = 0; i < disk_count; i++) {
		pthread_mutex_lock(&disks[i].lock);
		if (fsync(disks[i].fd) != 0)
			result = -errno;
		pthread_mutex_unlock(&disks[i].lock);
	}
	return result;
}

void disks_stats(uint64_t *ops, uint64_t *generation_sum)
{
	*ops = done.disk_ops;
	*generation_sum = 0;
	for (unsigned i = 0; i < disk_count; i++) {
		pthread_mutex_lock(&disks[i].lock);
		*generation_sum += disks[i].generation_sum;
		pthread_mutex_unlock(&disks[i].lock);
	}
}
