/* lv-process.h: which process is the QEMU of a guest that libvirt runs. libvirt's RPC does not tell, but its pidfile does, which only libvirt
 * and the user as whom that QEMU runs can write. */
#ifndef VMFERRY_LV_PROCESS_H
#define VMFERRY_LV_PROCESS_H

#include "libvirt-rpc.h"

#include <sys/types.h>

/* 0 and *pid; -ESRCH: it does not run, or its pidfile names a process that is not this guest's; -EPERM: others can write the pidfile. */
int lv_process_of(const struct lv *v, const struct lv_domain *d, pid_t *pid, struct err *e);
/* Root's own libvirt runs a guest as that process: its name, malloc'ed; NULL: it does not, or we are not root. Nothing is asked but its pidfiles. */
char *lv_name_of_process(pid_t pid);

#endif
