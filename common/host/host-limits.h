/*
 * host-limits.h: how many moves a host has at once, as its own file says: /etc/vmferry/host ($VMFERRY_HOST names another; empty: none is read):
 *
 *     # moves that come to this host, and that leave it, at once
 *     in 2
 *     out any
 */
#ifndef VMFERRY_HOST_LIMITS_H
#define VMFERRY_HOST_LIMITS_H

#include "err.h"

#define HOST_LIMITS_DEFAULT 2
#define HOST_LIMITS_MAX	    1000

struct host_limits {
	unsigned in, out; /* 0: any number */
};

/* Where there is no file, the default. Errors say file and line; others could have written it: -EPERM. */
int host_limits_read(struct host_limits *l, struct err *e);
/* Of a text, which is changed; name: for errors. For tests. */
int host_limits_parse(struct host_limits *l, char *text, const char *name, struct err *e);

#endif
