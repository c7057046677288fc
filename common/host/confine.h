/*
 * confine.h: reduces an agent that reads a peer's messages to the rights that it needs (seccomp(2), no new privileges).
 *
 * The filter allows the calls that the agents use on files, sockets, memory and processes. It refuses, in all threads and for good,
 * starting programs, tracing, changes to the system or the kernel, and new kinds of sockets, devices and setuid files. A filter does not
 * see the operations of a ring: loop.h restricts our rings, and from Linux 7.0 on the kernel restricts all of them. A refused call fails:
 * with EPERM if it is listed as refused, which the kernel logs, and with ENOSYS if we do not know it, so that a libc newer than the list
 * falls back on older calls. A refused call kills no process, as a guest may depend on it. The launcher (program.h), which must be started
 * before, starts programs. SECURITY.md says what this is worth.
 */
#ifndef VMFERRY_CONFINE_H
#define VMFERRY_CONFINE_H

#include "err.h"

#include <stdbool.h>

#define CONFINE_ENV "VMFERRY_SANDBOX" /* off: no filter; log: the kernel only logs calls that would fail with ENOSYS */

/*
 * Calls launcher_begin(), unless that is switched off, and program_take_files(). Call this before any secret is read.
 */
int confine_prepare(bool as_ours, struct err *e);
/*
 * Confines the process, all its threads, and its later children. writes_memory: it may write to other processes (process_vm_writev). If the
 * kernel cannot, that is only logged. A second call does nothing.
 */
void confine_here(bool writes_memory);
/* 0: the filter works; -ENOTSUP: it does not. For tests. */
int confine_try(struct err *e);
/* Library, for --version: ", libseccomp 2.5.4", malloc'ed. */
char *confine_library(void);

#endif
