/* qemu-args-monitors.h: monitors of a command line that others may use. Pure: no I/O. */
#ifndef VMFERRY_QEMU_ARGS_MONITORS_H
#define VMFERRY_QEMU_ARGS_MONITORS_H

#include "err.h"

#include <stddef.h>

/*
 * -EINVAL: the line (with all that -readconfig and -set say worked in) has a monitor that others than QEMU's user and root may reach, but for a TCP
 * port of its own; e says which, and how.
 */
int qemu_args_check_monitors(char *const *argv, size_t argc, struct err *e);

#endif
