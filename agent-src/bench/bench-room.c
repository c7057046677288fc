/* bench-room.c: whether a plan fits into a host, whose own guests must not pay for it. Pure. */
#include "bench.h"
#include "room.h"
#include "util.h"

#include <errno.h>

#define SPARE_BYTES GIB /* memory, and disk space, left to others */

/* Size of one guest's images, if it writes all that its workload may write. */
static uint64_t images_bytes(const struct bench_plan *p)
{
	uint64_t mib = (uint64_t)p->disks * MIN(p->disk_mib, (uint64_t)p->disk_data_mib + BENCH_WINDOWS_MIB);

	for (unsigned i = 0; i < p->workload_count; i++)
		if (p->workloads[i].database)
			return (mib + p->disk_mib) * MIB;
	return mib * MIB;
}

static uint64_t memory_bytes(const struct bench_plan *p)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < p->mem_count; i++)
		most = MAX(most, p->mem_mib[i]);
	return most * MIB;
}

int plan_fits(const struct bench_plan *p, unsigned guests, const struct room *has, const char *where, struct err *e)
{
	uint64_t disk = guests * images_bytes(p), memory = guests * memory_bytes(p) + (has->disk_is_memory ? disk : 0);
	char needed[24], spare[24], there_is[24];
	bool is_memory = has->memory && memory + SPARE_BYTES > has->memory;

	if (!is_memory && disk + SPARE_BYTES <= has->disk)
		return 0;
	format_bytes(needed, is_memory ? memory : disk);
	format_bytes(spare, SPARE_BYTES);
	format_bytes(there_is, is_memory ? has->memory : has->disk);
	if (is_memory)
		return err_set(e, ENOMEM,
			       "nothing was started: the guests would take %s of memory%s, and %s must be left to others, but %s has %s "
			       "available: a smaller --mem%s",
			       needed, has->disk_is_memory ? " with their images, which are in a tmpfs," : "", spare, where, there_is,
			       has->disk_is_memory ? ", or another --dir" : "");
	return err_set(e, ENOSPC,
		       "nothing was started: the guests' images may grow to %s, and %s must be left to others, but %s has %s free there: "
		       "fewer --disks, a smaller --disk-data, --disk with a database, or another --dir",
		       needed, spare, where, there_is);
}
