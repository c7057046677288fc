/*
 * vcpu-time.h: the CPU time of a QEMU's virtual processors, as the kernel counts it, which shows without asking QEMU whether its guest ran.
 * QEMU names their threads if it was told to (-name debug-threads=on), which libvirt does.
 */
#ifndef VMFERRY_VCPU_TIME_H
#define VMFERRY_VCPU_TIME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define VCPUS_MAX    1024
#define VCPU_HEAR_MS 1000 /* libvirt's events, and what it says of its guests, have come 400 ms late */

struct vcpu_time {
	unsigned threads; /* 0: that cannot be told */
	struct {
		pid_t tid;
		uint64_t ns;
	} each[VCPUS_MAX];
};

/*
 * VCPU_STOOD means that the guest ran for at most 50 us; it does not prove that nobody resumed it. An idle guest under KVM may be resumed,
 * find nothing to do and halt within that time, as may one that was stopped again at once. Only libvirt knows of that, and may hear of it
 * up to VCPU_HEAR_MS later; we ask it once and do not wait, as that would lengthen the blackout of every move by a second.
 */
enum vcpu_since {
	VCPU_UNKNOWN,
	VCPU_STOOD,	   /* each has taken at most what stopping its thread takes */
	VCPU_MAY_HAVE_RUN, /* or interrupts or a busy hypervisor took that time: we wait for libvirt, which decides */
	VCPU_RAN,
};

void vcpu_time_of(pid_t pid, struct vcpu_time *out);
/*
 * The same once they and QEMU's main thread sleep, for which this waits so long at most: of a guest that nobody can resume yet. What QEMU has loaded gives them
 * things to do (it loads their registers, and empties what they have translated), some of which they come to only when it is all there, and which is no run.
 */
void vcpu_time_at_rest(pid_t pid, unsigned patience_ms, struct vcpu_time *out);
/* Answers whether the guest has run since then. */
enum vcpu_since vcpu_since(pid_t pid, const struct vcpu_time *then);

#endif
