/*
 * host-settings.h: the owner's settings for a host, for moves that leave it or come to it: /etc/vmferry/host ($VMFERRY_HOST names
 * another; empty: none is read):
 *
 *     # moves that come to this host, and that leave it, at once
 *     in 2
 *     out any
 *     # where disks of guests that come here go (migrate --disk-dir auto): the one with most room
 *     disk-dir /srv/vm/%n
 *     disk-dir /fast/vm/%n
 *     # a bridge, or a network of libvirt's, and what it is called at every host
 *     net br0 lan
 *     # stays free when a guest comes
 *     keep-memory 2G
 */
#ifndef VMFERRY_HOST_SETTINGS_H
#define VMFERRY_HOST_SETTINGS_H

#include "err.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_AT_ONCE	 2
#define HOST_AT_ONCE_MAX 1000
#define HOST_LINES_MAX	 64 /* lines of each kind that may be repeated */

struct host_net {
	char *bridge, *label;
};

struct host_settings {
	unsigned in, out; /* 0: any number */
	char *disk_dirs[HOST_LINES_MAX];
	size_t disk_dir_count;
	struct host_net nets[HOST_LINES_MAX];
	size_t net_count;
	uint64_t keep_memory; /* bytes */
};

/* Reads the settings; without a file they are the defaults. Errors say file and line, and *f then needs no host_settings_fini(). -EPERM:
 * another user could have written the file. */
int host_settings_read(struct host_settings *f, struct err *e);
/* Does the same as host_settings_read() with a text, which is changed; name: for errors. For tests. */
int host_settings_parse(struct host_settings *f, char *text, const char *name, struct err *e);
/* Labels of this host's bridges, by which every host calls them: {"br0": "lan"}, a new object; NULL: nothing is said of them, or the file
 * cannot be read. */
json_t *host_settings_labels(void);
void host_settings_fini(struct host_settings *f);

#endif
