/* host-load.c: see host-load.h. */
#include "host-load.h"
#include "util.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void host_load_open(struct host_load *h)
{
	*h = (struct host_load){.fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC)};
}

void host_load_close(struct host_load *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}

/* "0.20 0.18 0.12 3/80 11206" (proc_loadavg(5)): runnable threads, ours included, stand before the '/'. 0: cannot be told. */
static unsigned host_load_runnable(const struct host_load *h)
{
	char text[128];
	ssize_t n = h->fd < 0 ? -1 : pread(h->fd, text, sizeof(text) - 1, 0);
	unsigned runnable;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return sscanf(text, "%*s %*s %*s %u/", &runnable) == 1 ? runnable : 0;
}

void host_load_glance(struct host_load *h, unsigned ours)
{
	unsigned runnable = host_load_runnable(h);

	if (!runnable)
		return;
	h->others[h->seen++ % HOST_LOAD_GLANCES] = (int16_t)((int)MIN(runnable, (unsigned)INT16_MAX) - (int)MIN(ours, (unsigned)INT16_MAX));
}

static int compare(const void *a, const void *b)
{
	return *(const int16_t *)a - *(const int16_t *)b;
}

double host_load_others(const struct host_load *h)
{
	unsigned n = MIN(h->seen, HOST_LOAD_GLANCES);
	int16_t sorted[HOST_LOAD_GLANCES];

	if (!n)
		return 0;
	memcpy(sorted, h->others, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	return MAX((sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0, 0.0);
}

double host_load_average(void)
{
	double load;

	return getloadavg(&load, 1) == 1 && load > 0 ? load : 0;
}
