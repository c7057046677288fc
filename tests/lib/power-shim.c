/*
 * power-shim.c: power-failure.h under the agents, by LD_PRELOAD. POWER_ROOT: below what; POWER_LOGS: the directory of its logs. Other
 * programs that they start go on as if it were not there.
 */
#include "power-failure.h"
#include "shim.h"

__attribute__((constructor)) static void begin(void)
{
	const char *root = getenv("POWER_ROOT"), *logs = getenv("POWER_LOGS");

	if (root && logs && shim_is_under("vmferry"))
		power_begins(root, logs);
}

struct io_uring;
struct io_uring_params;
int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p);

/* io_uring bypasses this shim, so it is refused. */
int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
	int (*real)(unsigned, struct io_uring *, struct io_uring_params *);

	if (power_log >= 0)
		return -EPERM;
	*(void **)&real = dlsym(RTLD_NEXT, "io_uring_queue_init_params");
	return real ? real(entries, ring, p) : -ENOSYS;
}
