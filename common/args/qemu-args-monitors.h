/* qemu-args-monitors.h: monitors of a command line that other users may reach. Pure: no I/O. */
#ifndef VMFERRY_QEMU_ARGS_MONITORS_H
#define VMFERRY_QEMU_ARGS_MONITORS_H

#include "err.h"

#include <stddef.h>

/*
 * -EINVAL: the line (with -readconfig and -set worked in) has a monitor that users other than QEMU's and root may reach, other than through
 * a TCP port of its own; e says which monitor, and how.
 */
int qemu_args_check_monitors(char *const *argv, size_t argc, struct err *e);

#endif
