/* host-here.h: vmferry-dst list: what this host has and what runs here, for vmferry list at another host. Not a person's to say. */
#ifndef VMFERRY_HOST_HERE_H
#define VMFERRY_HOST_HERE_H

#define HOST_HERE_WORD "list"

/* Prints one JSON object (docs/report.md). The exit code. */
int host_here(const char *runtime_dir, const char *state_dir);

#endif
