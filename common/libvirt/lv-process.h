/* lv-process.h: finds the QEMU process of a libvirt guest. libvirt's RPC does not tell, but its pidfile does, which only libvirt and the
 * user as whom that QEMU runs can write. */
#ifndef VMFERRY_LV_PROCESS_H
#define VMFERRY_LV_PROCESS_H

#include "libvirt-rpc.h"

#include <sys/types.h>

/* 0 and *pid; -ESRCH: it does not run, or its pidfile names a process that is not this guest's; -EPERM: others can write the pidfile. */
int lv_process_of(const struct lv *v, const struct lv_domain *d, pid_t *pid, struct err *e);
/* The name of the guest that root's libvirt runs as that process, malloc'ed; NULL: none, or we are not root. Reads only libvirt's
 * pidfiles. */
char *lv_name_of_process(pid_t pid);

#endif
