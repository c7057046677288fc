/* A pair of disks that are written in turn: number n to the last block of the first, and when that is on stable storage to the last of the
 * second, again and again, at a set pace. So at any moment the first has the number of the second, or one more: whoever has copies of both can tell whether
 * they are of one moment. What was there at the start is told. */
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const uint64_t MAGIC = UINT64_C(0x2772696170277277);

static struct side {
	int fd;
	off_t at;
	uint64_t found;
	_Atomic uint64_t written;
	uint64_t *block;
} sides[2];
static bool present;
static uint64_t rate_s;
static atomic_bool frozen;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER; /* held while a pair is written */

static uint64_t word(uint64_t number, size_t i)
{
	return i == 0 ? MAGIC : number * 511 + i * i;
}

/* The number in the block; 0: there is none, UINT64_MAX: parts of several. */
static uint64_t number_in(const uint64_t *block)
{
	uint64_t number = (block[1] - 1) / 511;

	if (block[0] != MAGIC)
		return 0;
	for (size_t i = 0; i < PAGE_WORDS; i++)
		if (block[i] != word(number, i))
			return UINT64_MAX;
	return number;
}

static void side_open(struct side *side, const char *name)
{
	char path[TEXT_BYTES + 8];
	uint64_t bytes;

	snprintf(path, sizeof path, "/dev/%s", name);
	side->fd = disk_open_when_there(path, O_RDWR | O_DIRECT | O_DSYNC);
	side->block = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
	if (!side->block || ioctl(side->fd, BLKGETSIZE64, &bytes) != 0 || bytes < PAGE_BYTES)
		give_up("%s: %s", name, strerror(errno));
	side->at = (off_t)(bytes / PAGE_BYTES - 1) * PAGE_BYTES;
	if (pread(side->fd, side->block, PAGE_BYTES, side->at) != PAGE_BYTES)
		give_up("%s: %s", name, strerror(errno));
	side->found = number_in(side->block);
}

static void side_write(struct side *side, uint64_t number)
{
	for (size_t i = 0; i < PAGE_WORDS; i++)
		side->block[i] = word(number, i);
	if (pwrite(side->fd, side->block, PAGE_BYTES, side->at) != PAGE_BYTES) {
		tally_block("pair: %s", strerror(errno));
		return;
	}
	side->written = number;
}

static void *pair_run(void *unused)
{
	uint64_t number = sides[0].found == UINT64_MAX ? 0 : sides[0].found;

	for (;;) {
		uint64_t due_ns = monotonic_ns() + (rate_s > 0 ? 1000000000 / rate_s : 0);

		pthread_mutex_lock(&turn);
		if (load.running && !frozen) {
			number++;
			side_write(&sides[0], number);
			side_write(&sides[1], number);
		}
		pthread_mutex_unlock(&turn);
		sleep_until_ns(!load.running || frozen ? monotonic_ns() + 1000000 : due_ns);
	}
	return unused;
}

void pair_open(const struct options *options)
{
	char names[TEXT_BYTES], *rest = names, *first;

	if (!options->pair[0])
		return;
	memcpy(names, options->pair, sizeof names);
	first = strsep(&rest, ",");
	if (!rest)
		give_up("pair=%s: two disks are expected", options->pair);
	side_open(&sides[0], first);
	side_open(&sides[1], rest);
	rate_s = options->pair_rate_s;
	present = true;
}

void pair_start(void)
{
	if (present)
		start_thread(pair_run, NULL);
}

void pair_freeze(bool yes)
{
	pthread_mutex_lock(&turn);
	frozen = yes;
	pthread_mutex_unlock(&turn);
}

bool pair_is_frozen(void)
{
	return frozen;
}

bool pair_numbers(uint64_t found[2], uint64_t written[2])
{
	for (int i = 0; i < 2; i++) {
		found[i] = sides[i].found;
		written[i] = sides[i].written;
	}
	return present;
}
