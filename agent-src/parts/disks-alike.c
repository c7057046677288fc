/* disks-alike.c: what of a guest's disks is in other images at the destination: is that looked for, for how long, and what is read first then. */
#include "disks-private.h"
#include "json-text.h"
#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SMALL_BYTES (64 * MIB)
#define USUAL_BPS   125000000ULL /* rate of a network about which nothing is known */
#define FAST_BPS    300000000ULL /* a disk is read, and images there are looked through, hardly faster than that is sent */
#define LEAST_MS    2000
#define CARDS	    "/sys/class/net"
#define MBIT_BYTES  125000ULL

bool disks_ask_alike(const struct disks *ds)
{
	return ds->src->opt->carry.alike != ALIKE_OFF && !ds->src->traits.stops_first && !ds->src->opt->in_place && !ds->makes_point;
}

/* Megabits a second of a card; 0: it does not say, or is none (a bridge, a tap). */
static uint64_t card_mbit(const char *name)
{
	AUTO_FREE char *device = xasprintf(CARDS "/%s/device", name), *path = xasprintf(CARDS "/%s/speed", name);
	FILE *f = access(device, F_OK) ? NULL : fopen(path, "re");
	long mbit = 0;

	if (f && fscanf(f, "%ld", &mbit) != 1)
		mbit = 0;
	if (f)
		fclose(f);
	return mbit > 0 ? (uint64_t)mbit : 0;
}

/* The speed of the fastest card here. */
static uint64_t network_bps(void)
{
	DIR *d = opendir(CARDS);
	struct dirent *entry;
	uint64_t most = 0;

	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			most = MAX(most, card_mbit(entry->d_name));
	if (d)
		closedir(d);
	return most ? most * MBIT_BYTES : USUAL_BPS;
}

static bool is_this_host(const json_t *accept)
{
	const char *boot = json_text(accept, "boot_id");

	return boot && is_this_boot(boot);
}

static uint64_t bytes_of_those(const struct disks *ds)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < ds->count; i++)
		sum += ds->list[i]->alike ? ds->list[i]->guest->allocated : 0;
	return sum;
}

/* Milliseconds that the destination may look, as long at most as it would take to send all; 0: it is not worth it. Images that have hardly anything it leaves
 * after a look at a 64th of them. */
static unsigned worth_ms(const struct disks *ds, const json_t *accept)
{
	uint64_t limit = ds->src->opt->carry.bwlimit, bytes = bytes_of_those(ds);
	uint64_t bps = limit ? limit : is_this_host(accept) ? UINT64_MAX : network_bps();

	if (ds->src->opt->carry.alike == ALIKE_ON)
		return bytes ? ALIKE_MS_MAX : 0;
	if (bps > FAST_BPS || bytes < SMALL_BYTES)
		return 0;
	return (unsigned)MIN(MAX(bytes * 1000 / bps, LEAST_MS), ALIKE_MS_MAX);
}

void disks_agree_alike(struct disks *ds, const json_t *accept)
{
	const json_t *offer = json_object_get(accept, "alike");

	ds->others.alike.images = (unsigned)MAX(json_integer_value(json_object_get(offer, "images")), 0);
	ds->others.alike.ms = ds->others.alike.images && disks_ask_alike(ds) ? worth_ms(ds, accept) : 0;
	for (unsigned i = 0; i < ds->count; i++) {
		struct disk *d = ds->list[i];

		d->alike = d->alike && ds->others.alike.ms;
		if (d->alike && !d->have)
			d->have = have_new(d->guest->virtual_size, ALIKE_SHIFT);
	}
}

void disks_decide(const struct disks *ds, json_t *prepare)
{
	if (ds->others.alike.ms)
		json_object_set_new(prepare, "alike", json_pack("{s:i}", "ms", (int)ds->others.alike.ms));
}

int disks_want(struct disks *ds, void (*where)(const struct disks *ds, const struct disk *d, struct want_disk *out), struct err *e)
{
	struct want_disk list[OBJECT_DISK_MAX + 1];
	struct data_plane *dp = ds->data;
	unsigned i, n = 0;

	for (i = 0; i < ds->count; i++) {
		struct disk *d = ds->list[i];

		d->progress.in_flight = true; /* keeps another round from starting, and the disk from counting as finished */
		if (!d->alike)
			continue;
		list[n] = (struct want_disk){.object = d->object, .bytes = d->guest->virtual_size};
		where(ds, d, &list[n++]);
	}
	return want_start(&ds->others.want, list, n, dp->senders[dp->streams], &dp->shared, e);
}

bool disks_wait_for_alike(const struct disks *ds)
{
	for (unsigned i = 0; i < ds->count && ds->others.want; i++)
		if (ds->list[i]->alike && !have_covers(ds->list[i]->have, ds->list[i]->guest->virtual_size))
			return true;
	return false;
}
