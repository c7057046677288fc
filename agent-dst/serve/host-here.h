/* host-here.h: vmferry-dst list: what this host has and what runs here, for vmferry list at another host. Not a person's to say. */
#ifndef VMFERRY_HOST_HERE_H
#define VMFERRY_HOST_HERE_H

#define HOST_HERE_WORD	   "list"
#define REPLICAS_HERE_WORD "replicas"

/* Prints one JSON object (docs/report.md). The exit code. */
int host_here(const char *runtime_dir);
/* vmferry-dst replicas: what vmferry may-start asks of the host of a guest's replica. A store may be on a file system that does not answer, so list does not read them. asked:
 * where the points of that guest go on to a further host, that is asked, too; may be NULL. */
int replicas_here(const char *state_dir, const char *asked);

#endif
