/* cpu-use.c: see cpu-use.h. */
#include "cpu-use.h"
#include "util.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Fields 14 and 15 of /proc/PID/stat, which stand 11 behind the state, the first after the name in brackets. Below 0: not known. */
static double seconds_of(pid_t pid)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/stat", (int)pid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned long long user, system;
	char text[1024], *rest;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	rest = strrchr(text, ')');
	if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
		return -1;
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

void cpu_use_begin(struct cpu_use *u, pid_t pid)
{
	double seconds = u->pid ? -1 : seconds_of(pid);

	if (seconds >= 0)
		*u = (struct cpu_use){pid, now_ns(), seconds};
}

double cpu_use_end(const struct cpu_use *u)
{
	uint64_t ns = now_ns() - u->at_ns;
	double seconds = u->pid ? seconds_of(u->pid) - u->seconds : 0;

	return seconds > 0 && ns ? seconds * 1e9 / (double)ns : 0;
}
