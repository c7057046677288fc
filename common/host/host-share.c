/* host-share.c: see host-share.h. */
#include "host-share.h"
#include "process.h"
#include "util.h"

#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LAST_NS	    1e9
#define LAST_RAN_NS 250e6
#define STAT_MAX    (256 * 1024)

void host_share_open(struct host_share *h)
{
	*h = (struct host_share){.stat_fd = open("/proc/stat", O_RDONLY | O_CLOEXEC)};
}

void host_share_close(struct host_share *h)
{
	if (h->stat_fd >= 0)
		close(h->stat_fd);
	h->stat_fd = -1;
}

/* ---- the kernel's figures ---- */

/* "cpu0 user nice system idle iowait …" (proc_stat(5)), in ticks. */
static uint64_t idle_ticks(const char *text, const cpu_set_t *mine)
{
	uint64_t ticks = 0;
	const char *line = text;

	while ((line = strchr(line, '\n')) && !strncmp(++line, "cpu", 3)) {
		unsigned long long idle, waits;
		int cpu;

		if (sscanf(line, "cpu%d %*u %*u %*u %llu %llu", &cpu, &idle, &waits) == 3 && cpu >= 0 && cpu < CPU_SETSIZE &&
		    CPU_ISSET(cpu, mine))
			ticks += idle + waits;
	}
	return ticks;
}

static bool look_at_idle(const struct host_share *h, uint64_t *ns)
{
	AUTO_FREE char *text = xmalloc(STAT_MAX);
	ssize_t n = h->stat_fd < 0 ? -1 : pread(h->stat_fd, text, STAT_MAX - 1, 0);
	cpu_set_t mine;

	if (n <= 0 || sched_getaffinity(0, sizeof(mine), &mine))
		return false;
	text[n] = '\0';
	*ns = idle_ticks(text, &mine) * (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK));
	return true;
}

void host_share_look(struct host_share *h, const pid_t *of_move, size_t count)
{
	struct host_use now = {.at_ns = now_ns()};
	uint64_t ran, waited;

	if (!look_at_idle(h, &now.idle_ns))
		return;
	process_times(getpid(), &now.ran_ns, &now.waited_ns);
	now.moves_ns = now.ran_ns;
	for (size_t i = 0; i < count; i++) {
		process_times(of_move[i], &ran, &waited);
		now.moves_ns += ran;
	}
	host_share_note(h, &now, own_processors());
}

/* ---- conclusions ---- */

static bool is_after(const struct host_use *now, const struct host_use *last)
{
	/* the kernel no longer reports the time of a thread that has ended */
	return last->at_ns && now->at_ns > last->at_ns && now->idle_ns >= last->idle_ns && now->moves_ns >= last->moves_ns &&
	       now->ran_ns >= last->ran_ns && now->waited_ns >= last->waited_ns;
}

void host_share_note(struct host_share *h, const struct host_use *now, unsigned processors)
{
	const struct host_use *last = &h->last;

	if (is_after(now, last)) {
		double elapsed = (double)(now->at_ns - last->at_ns), ran = (double)(now->ran_ns - last->ran_ns);
		double stays = exp(-elapsed / LAST_NS), ran_stays = exp(-ran / LAST_RAN_NS);

		h->elapsed = h->elapsed * stays + elapsed;
		h->others = h->others * stays + elapsed * processors - (double)(now->idle_ns - last->idle_ns) -
			    (double)(now->moves_ns - last->moves_ns);
		h->ran = h->ran * ran_stays + ran;
		h->waited = h->waited * ran_stays + (double)(now->waited_ns - last->waited_ns);
	}
	h->last = *now;
}

double host_share_others(const struct host_share *h)
{
	double taken = h->elapsed > 0 ? MAX(h->others / h->elapsed, 0.0) : INFINITY;

	return h->ran > 0 ? taken * (h->ran + h->waited) / h->ran : taken;
}

double host_share_stretch(double others, unsigned threads, unsigned processors)
{
	return MAX((others + threads) / MAX(processors, 1U), 1.0);
}
