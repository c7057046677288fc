/* pacer.c: see pacer.h. */
#include "pacer.h"
#include "util.h"

#define SLACK_NS 1000000 /* time by which a batch may leave early */

uint64_t pacer_reserve(struct pacer *p, size_t bytes, uint64_t now_ns)
{
	uint64_t rate = __atomic_load_n(&p->bytes_per_s, __ATOMIC_RELAXED), at, from, next, most;

	if (!rate)
		return 0;
	most = now_ns + SLACK_NS + (uint64_t)((double)PACER_BATCH_MAX * 1e9 / (double)rate);
	at = __atomic_load_n(&p->free_at_ns, __ATOMIC_RELAXED);
	do {
		/* further ahead than this rate ever reserves */
		from = at > most ? now_ns : at;
		if (from > now_ns + SLACK_NS)
			return (from - now_ns) / 1000000;
		next = MAX(from, now_ns) + (uint64_t)((double)bytes * 1e9 / (double)rate);
	} while (!__atomic_compare_exchange_n(&p->free_at_ns, &at, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return 0;
}
