/*
 * vcpu-time.h: for how long a QEMU's virtual processors have run, as the kernel counts it, to tell without asking QEMU whether its guest did. QEMU names their
 * threads if it was told to (-name debug-threads=on), which libvirt does.
 */
#ifndef VMFERRY_VCPU_TIME_H
#define VMFERRY_VCPU_TIME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct vcpu_time {
	unsigned threads; /* 0: that cannot be told */
	uint64_t ns;	  /* of all of them together */
};

struct vcpu_time vcpu_time_of(pid_t pid);
/* Since then the guest has not run: what its processors took is at most what stopping their process takes. False: it may have, or that cannot be told. */
bool vcpu_stood_since(pid_t pid, const struct vcpu_time *then);

#endif
