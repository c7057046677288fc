/* host-state.h: the resources of this host, and how busy it is, for choosing among hosts. */
#ifndef VMFERRY_HOST_STATE_H
#define VMFERRY_HOST_STATE_H

#include <jansson.h>
#include <stdint.h>

/* A text that names this boot and process namespace: the same for all processes beside us. Malloc'ed. */
char *host_instance(void);
/* {"instance", "memory_total", "memory_available" (bytes), "processors", "load" (of the last minute)}; a member that the kernel does not
 * tell is missing. A new object. */
json_t *host_state(void);
/* {"dir", "device" (which file system that is), "need", "free", "total" (bytes)} of the file system of dir; NULL: it cannot be looked
 * at. */
json_t *host_volume(const char *dir, uint64_t need);

#endif
