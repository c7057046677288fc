/*
 * cluster-resource.h: is a guest a resource of Pacemaker's? Its agent (scripts/ocf/vmferry) says so, for the process and while it is there, in
 *
 *     RUNTIME_DIR/owners/PID:  pacemaker START-TIME RESOURCE
 *
 * with the directory of root's sockets, or $VMFERRY_RUNTIME_DIR, and field 22 of /proc/PID/stat: a file that outlives its process says nothing. A move
 * brings a guest to a process without such a file: the agent of its node writes one as soon as it sees the guest.
 */
#ifndef VMFERRY_CLUSTER_RESOURCE_H
#define VMFERRY_CLUSTER_RESOURCE_H

#include <stdint.h>
#include <sys/types.h>

#define RESOURCE_UNREADABLE "(unreadable)"

/* The name of the cluster resource that runs the process, printable, malloc'ed; RESOURCE_UNREADABLE: its file exists, but does not say the
 * name. NULL: it is not a resource. */
char *cluster_resource_of(pid_t pid, uint64_t start_time);

#endif
