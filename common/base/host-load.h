/*
 * host-load.h: the number of other processes' threads that want this host's processors just now. The kernel's load averages cover a minute,
 * in which we have run ourselves; so this samples the number of runnable threads repeatedly, and subtracts ours.
 */
#ifndef VMFERRY_HOST_LOAD_H
#define VMFERRY_HOST_LOAD_H

#include <stdint.h>

#define HOST_LOAD_GLANCES 64

struct host_load {
	int fd;				   /* -1: cannot be told */
	unsigned seen;			   /* glances so far; the last HOST_LOAD_GLANCES are kept */
	int16_t others[HOST_LOAD_GLANCES]; /* below 0: ours are counted a moment later than all, and come and go */
};

void host_load_open(struct host_load *h);
void host_load_close(struct host_load *h);
/* ours: threads that run or could, and are not others', the calling one included. */
void host_load_glance(struct host_load *h, unsigned ours);
/* The median of the glances that are kept, and not below 0; 0 if there is none. */
double host_load_others(const struct host_load *h);
/* The kernel's load average of the last minute; 0 if it cannot be told. */
double host_load_average(void);

#endif
