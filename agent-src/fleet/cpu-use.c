/* cpu-use.c: see cpu-use.h. */
#include "cpu-use.h"
#include "process.h"
#include "util.h"

static uint64_t ran_ns(pid_t pid)
{
	uint64_t ran, waited;

	process_times(pid, &ran, &waited);
	return ran;
}

void cpu_use_begin(struct cpu_use *u, pid_t pid)
{
	if (!u->pid)
		*u = (struct cpu_use){pid, now_ns(), ran_ns(pid)};
}

double cpu_use_end(const struct cpu_use *u)
{
	uint64_t ns = now_ns() - u->at_ns, ran = u->pid ? ran_ns(u->pid) : 0;

	return ns && ran > u->ran_ns ? (double)(ran - u->ran_ns) / (double)ns : 0;
}
