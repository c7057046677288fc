/* guest-ptys.h: which pseudo-terminal a guest's QEMU has for an option of its line. */
#ifndef VMFERRY_GUEST_PTYS_H
#define VMFERRY_GUEST_PTYS_H

#include "qemu-args-hmp.h"
#include "qemu-discover.h"

/*
 * The path of the monitor's pseudo-terminal, malloc'ed. Without path= in its option it has a number that the line does not say: NULL then, unless QEMU has one pseudo-terminal alone, as another may
 * be the guest's console, into which nobody types.
 */
char *guest_pty_of(const struct guest *g, const struct args_hmp *on_line);
/* "pty:PATH", malloc'ed each and the list, of its QMP monitors on such; how many. */
size_t guest_qmp_ptys(const struct guest *g, char ***out);
/* True if a process other than QEMU has the terminal open. */
bool guest_pty_is_taken(const struct guest *g, const char *monitor);

#endif
