/*
 * guest-at-rest.h: a guest that is shut down, known by what starts it. There is no process and no monitor, and what its disks are is read from
 * their files.
 */
#ifndef VMFERRY_GUEST_AT_REST_H
#define VMFERRY_GUEST_AT_REST_H

#include "qemu-discover.h"

/*
 * vm: the script that starts it (script-read.h), or a systemd unit that runs one; or argv, which is not NULL then: its command line. Changes
 * nothing. guest_fini() in any case. *script: the script's path, malloc'ed, or NULL.
 *
 * -ENOENT, -EINVAL, -ENOTSUP with what stands in the way.
 */
int guest_at_rest(struct guest *g, const char *vm, char *const *argv, size_t argc, char **script, struct err *e);

#endif
