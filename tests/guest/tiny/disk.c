/* Virtio disks through the ports of the legacy interface, one request at a time, waited for. Load and verification as
 * ../witness-disk.c does it, but that all blocks of a disk are verified; the load writes those in four windows. */
#include "tiny.h"

enum { WINDOWS = 4, RANGE_BLOCKS = 16, ZERO_EVERY = 8, READ_EVERY = 4, SYNC_EVERY = 16, MAX_BLOCKS = 1 << 18, SECTORS = PAGE_BYTES / 512 };
enum { VIRTIO_BLOCK = 0x10011af4 };
enum { FEATURES = 0, USES = 4, QUEUE_PAGE = 8, QUEUE_SIZE = 12, QUEUE = 14, NOTIFY = 16, STATUS = 18, CAPACITY = 20 };
enum { CAN_FLUSH = 1 << 9, CAN_ZERO = 1 << 14, READY = 7 };
enum request { READ = 0, WRITE = 1, FLUSH = 4, ZERO = 13 };
enum { NEXT = 1, DEVICE_WRITES = 2, NO_INTERRUPT = 1 };
enum kind { KIND_FOREIGN, KIND_DATA, KIND_ZERO };

struct descriptor {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags, next;
};

struct ring {
	uint16_t flags;
	volatile uint16_t index;
	uint16_t entries[];
};

struct disk {
	char name[4];
	unsigned domain;
	uint16_t port;
	uint32_t features;
	struct descriptor *descriptors;
	struct ring *available, *used;
	uint16_t ring_entries;
	uint32_t blocks, window_blocks;
	uint32_t *state, *complement; /* generation * 4 + kind */
	uint64_t *foreign, *buffer;
	uint32_t last_tick, credit, pinned; /* a block corrupted by order, which load leaves alone until it is found */
	uint64_t ops, generation_sum, random;
};

struct range {
	uint32_t first, count;
};

static struct disk disks[MAX_DISKS];
static unsigned disk_count;

/* --- the device --- */

static struct descriptor part(const void *at, uint32_t bytes, uint16_t flags, uint16_t next)
{
	return (struct descriptor){(uint32_t)at, bytes, flags, next};
}

/* Returns whether it succeeded. */
static bool request(struct disk *disk, enum request what, uint32_t block, void *data, uint32_t bytes)
{
	struct {
		uint32_t type, priority;
		uint64_t sector;
	} head = {what, 0, what == ZERO ? 0 : (uint64_t)block * SECTORS};
	volatile uint8_t result = 0xff;
	uint16_t done = disk->used->index;

	disk->descriptors[0] = part(&head, sizeof head, NEXT, bytes ? 1 : 2);
	disk->descriptors[1] = part(data, bytes, what == READ ? NEXT | DEVICE_WRITES : NEXT, 2);
	disk->descriptors[2] = part((const void *)&result, 1, DEVICE_WRITES, 0);
	disk->available->entries[disk->available->index % disk->ring_entries] = 0;
	__asm__ volatile("" : : : "memory");
	disk->available->index++;
	out16(disk->port + NOTIFY, 0);
	while (disk->used->index == done)
		pause();
	return result == 0;
}

static bool request_zeros(struct disk *disk, struct range range)
{
	struct {
		uint64_t sector;
		uint32_t sectors, may_unmap;
	} extent = {(uint64_t)range.first * SECTORS, range.count * SECTORS, 1};

	if (disk->features & CAN_ZERO)
		return request(disk, ZERO, 0, &extent, sizeof extent);
	memset(disk->buffer, 0, range.count * PAGE_BYTES);
	return request(disk, WRITE, range.first, disk->buffer, range.count * PAGE_BYTES);
}

static void device_open(struct disk *disk, unsigned slot)
{
	char *rings;
	uint32_t at, bytes;

	pci_write(slot, 4, pci_read(slot, 4) | 5); /* ports, and access to memory */
	disk->port = pci_read(slot, 0x10) & 0xfffc;
	out8(disk->port + STATUS, 0);
	out8(disk->port + STATUS, 3);
	disk->features = in32(disk->port + FEATURES) & (CAN_FLUSH | CAN_ZERO);
	out32(disk->port + USES, disk->features);
	out16(disk->port + QUEUE, 0);
	disk->ring_entries = in16(disk->port + QUEUE_SIZE);
	if (disk->ring_entries < 3)
		give_up("%s has no queue", disk->name);
	at = disk->ring_entries * sizeof(struct descriptor);
	bytes = (at + 6 + 2 * disk->ring_entries + PAGE_BYTES - 1) & ~(uint32_t)(PAGE_BYTES - 1);
	rings = pages_zeroed((bytes + 6 + 8 * disk->ring_entries + PAGE_BYTES - 1) / PAGE_BYTES);
	disk->descriptors = (struct descriptor *)rings;
	disk->available = (struct ring *)(rings + at);
	disk->available->flags = NO_INTERRUPT;
	disk->used = (struct ring *)(rings + bytes);
	out32(disk->port + QUEUE_PAGE, (uint32_t)rings / PAGE_BYTES);
	out8(disk->port + STATUS, READY);
	if (in32(disk->port + CAPACITY + 4) || in32(disk->port + CAPACITY) / SECTORS > MAX_BLOCKS)
		give_up("%s is larger than 1 GiB", disk->name);
	disk->blocks = in32(disk->port + CAPACITY) / SECTORS;
}

/* --- where a block lies --- */

static struct range range_pick(struct disk *disk)
{
	uint32_t window = random_next(&disk->random) % WINDOWS, at = random_next(&disk->random) % disk->window_blocks;
	uint32_t count = 1 + random_next(&disk->random) % RANGE_BLOCKS, left = disk->window_blocks - at;

	return (struct range){(disk->blocks - disk->window_blocks) / (WINDOWS - 1) * window + at, count < left ? count : left};
}

/* --- the table --- */

static void state_set(struct disk *disk, uint32_t block, uint32_t generation, enum kind kind)
{
	disk->generation_sum += generation - (disk->state[block] >> 2);
	disk->state[block] = generation << 2 | kind;
	disk->complement[block] = ~disk->state[block];
}

static void range_set(struct disk *disk, struct range range, enum kind kind)
{
	for (uint32_t i = 0; i < range.count; i++)
		state_set(disk, range.first + i, (disk->state[range.first + i] >> 2) + 1, kind);
}

static bool is_compressible(uint32_t block)
{
	return block % 4 != 0;
}

/* The contents of a block at the start. */
static uint64_t *foreign_at(struct disk *disk, uint32_t block)
{
	return disk->foreign + (size_t)block * PAGE_WORDS;
}

/* --- verification --- */

/* The found contents become the expected ones, so that each finding is counted once. */
static void block_adopt(struct disk *disk, uint32_t block, const uint64_t *found)
{
	memcpy(foreign_at(disk, block), found, PAGE_BYTES);
	state_set(disk, block, disk->state[block] >> 2, KIND_FOREIGN);
	if (disk->pinned == block)
		disk->pinned = UINT32_MAX;
}

static bool block_right(struct disk *disk, uint32_t block, const uint64_t *found)
{
	uint32_t state = disk->state[block];

	switch ((enum kind)(state & 3)) {
	case KIND_FOREIGN:
		return memcmp(found, foreign_at(disk, block), PAGE_BYTES) == 0;
	case KIND_ZERO:
		return tag_is_zero(found);
	case KIND_DATA:
		return tag_right(found, disk->domain, block, state >> 2, is_compressible(block));
	}
	return false;
}

static void block_check(struct disk *disk, uint32_t block, const uint64_t *found)
{
	static const char *const kinds[4] = {"as found", "data", "zeros", "broken"};
	uint32_t state = disk->state[block];
	char text[TEXT_BYTES];

	if (state != ~disk->complement[block]) {
		tally_block("%s block %u: table says %u, its copy %u", disk->name, block, state, ~disk->complement[block]);
		block_adopt(disk, block, found);
		return;
	}
	if (block_right(disk, block, found))
		return;
	tag_describe(found, text);
	tally_block("%s block %u (%s, generation %u): %s", disk->name, block, kinds[state & 3], state >> 2, text);
	block_adopt(disk, block, found);
}

static bool range_read(struct disk *disk, struct range range)
{
	if (request(disk, READ, range.first, disk->buffer, range.count * PAGE_BYTES))
		return true;
	tally_block("%s block %u+%u: not read", disk->name, range.first, range.count);
	return false;
}

static void range_check(struct disk *disk, struct range range)
{
	if (!range_read(disk, range))
		return;
	for (uint32_t i = 0; i < range.count; i++)
		block_check(disk, range.first + i, disk->buffer + (size_t)i * PAGE_WORDS);
}

static struct range range_at(const struct disk *disk, uint32_t block)
{
	uint32_t left = disk->blocks - block;

	return (struct range){block, left < RANGE_BLOCKS ? left : RANGE_BLOCKS};
}

uint32_t disks_verify(void)
{
	uint32_t checked = 0;

	for (struct disk *disk = disks; disk < disks + disk_count; disk++) {
		uint64_t sum = 0;

		for (uint32_t block = 0; block < disk->blocks; block++)
			sum += disk->state[block] >> 2;
		if (sum != disk->generation_sum)
			tally_block("%s: generations add up to %llu, not %llu", disk->name, sum, disk->generation_sum);
		disk->generation_sum = sum;
		for (uint32_t block = 0; block < disk->blocks; block += RANGE_BLOCKS)
			range_check(disk, range_at(disk, block));
		checked += disk->blocks;
	}
	return checked;
}

/* --- load --- */

static void range_write(struct disk *disk, struct range range)
{
	for (uint32_t i = 0; i < range.count; i++) {
		uint32_t block = range.first + i;

		tag_fill(disk->buffer + (size_t)i * PAGE_WORDS, disk->domain, block, (disk->state[block] >> 2) + 1, is_compressible(block));
	}
	if (request(disk, WRITE, range.first, disk->buffer, range.count * PAGE_BYTES))
		range_set(disk, range, KIND_DATA);
	else
		tally_block("%s block %u+%u: not written", disk->name, range.first, range.count);
}

static void range_zero(struct disk *disk, struct range range)
{
	if (request_zeros(disk, range))
		range_set(disk, range, KIND_ZERO);
	else
		tally_block("%s block %u+%u: not zeroed", disk->name, range.first, range.count);
}

static bool disk_sync(struct disk *disk)
{
	return !(disk->features & CAN_FLUSH) || request(disk, FLUSH, 0, NULL, 0);
}

static void disk_op(struct disk *disk)
{
	struct range range = range_pick(disk);

	if (disk->pinned - range.first < range.count)
		return;
	if (random_next(&disk->random) % ZERO_EVERY == 0)
		range_zero(disk, range);
	else
		range_write(disk, range);
	disk->ops++;
	if (disk->ops % READ_EVERY == 0)
		range_check(disk, range_pick(disk));
	if (disk->ops % SYNC_EVERY == 0 && !disk_sync(disk))
		tally_block("%s: not flushed", disk->name);
}

void disks_work(void)
{
	uint32_t begun = ticks_now();

	for (struct disk *disk = disks; disk < disks + disk_count; disk++) {
		uint32_t due = pace_due(load.disk_rate_s, &disk->last_tick, &disk->credit);

		while (load.running && due-- > 0 && ticks_now() - begun < 2)
			disk_op(disk);
	}
}

/* --- start and orders --- */

static void disk_learn(struct disk *disk)
{
	for (uint32_t block = 0; block < disk->blocks; block += RANGE_BLOCKS) {
		struct range range = range_at(disk, block);

		if (!request(disk, READ, block, foreign_at(disk, block), range.count * PAGE_BYTES))
			give_up("%s cannot be read", disk->name);
		for (uint32_t i = 0; i < range.count; i++)
			state_set(disk, block + i, 0, KIND_FOREIGN);
	}
}

static void disk_open(struct disk *disk, unsigned slot, uint32_t disk_mb)
{
	uint32_t table_pages;

	text_format(disk->name, sizeof disk->name, "vd%c", 'a' + (int)disk_count);
	disk->domain = ++disk_count;
	device_open(disk, slot);
	disk->window_blocks = disk_mb * 256 / WINDOWS;
	if (disk->window_blocks == 0 || disk->window_blocks > disk->blocks / WINDOWS)
		disk->window_blocks = disk->blocks / WINDOWS;
	if (disk->window_blocks == 0)
		give_up("%s is empty", disk->name);
	disk->pinned = UINT32_MAX;
	disk->random = 0x2545f4914f6cdd1dU + disk->domain;
	table_pages = disk->blocks * 4 / PAGE_BYTES + 1;
	disk->state = pages_zeroed(table_pages);
	disk->complement = pages_zeroed(table_pages);
	disk->foreign = pages_take(disk->blocks);
	disk->buffer = pages_take(RANGE_BLOCKS);
	disk_learn(disk);
}

void disks_open(const struct options *options)
{
	for (unsigned slot = 0; slot < 32 && disk_count < options->disks; slot++)
		if (pci_read(slot, 0) == VIRTIO_BLOCK)
			disk_open(&disks[disk_count], slot, options->disk_mb);
	if (disk_count < options->disks)
		give_up("there are %u virtio disks only", disk_count);
}

bool disks_corrupt(void)
{
	struct disk *disk = disks;
	struct range range;

	if (disk_count == 0)
		return false;
	range = range_pick(disk);
	range.count = 1;
	if (!range_read(disk, range))
		return false;
	disk->buffer[PAGE_WORDS / 3] ^= 0x10;
	disk->pinned = range.first;
	return request(disk, WRITE, range.first, disk->buffer, PAGE_BYTES);
}

bool disks_sync(void)
{
	bool all = true;

	for (struct disk *disk = disks; disk < disks + disk_count; disk++)
		all = disk_sync(disk) && all;
	return all;
}

void disks_stats(uint64_t *ops, uint64_t *generation_sum)
{
	*ops = *generation_sum = 0;
	for (struct disk *disk = disks; disk < disks + disk_count; disk++) {
		*ops += disk->ops;
		*generation_sum += disk->generation_sum;
	}
}
