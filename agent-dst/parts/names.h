/* names.h: the names that the guest's sockets, pidfile and logs have here, which QEMU makes anew. */
#ifndef VMFERRY_NAMES_H
#define VMFERRY_NAMES_H

#include "qemu-args.h"

/* What QEMU makes it puts in the place of whatever has the name: -EEXIST if that is another guest's monitor, say, or the log that it writes. */
int names_check_unused(const struct args_file *f, struct err *e);

#endif
