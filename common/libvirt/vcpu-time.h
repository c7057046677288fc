/*
 * vcpu-time.h: the CPU time of a QEMU's virtual processors, as the kernel counts it, which shows without asking QEMU whether its guest ran.
 * QEMU names their threads if it was told to (-name debug-threads=on), which libvirt does.
 */
#ifndef VMFERRY_VCPU_TIME_H
#define VMFERRY_VCPU_TIME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define VCPUS_MAX      1024
#define VCPU_CALL_SIZE 192
#define VCPU_HEAR_MS   1000 /* libvirt's events, and what it says of its guests, have come 400 ms late */

struct vcpu_time {
	unsigned threads; /* 0: that cannot be told */
	struct vcpu_thread {
		pid_t tid;
		uint64_t ns;	 /* CPU time */
		uint64_t sleeps; /* number of times that the thread has gone to sleep */
		long number;	 /* number of the system call in which the thread sleeps; -1: none, or unknown */
		char call
			[VCPU_CALL_SIZE]; /* that call with its arguments, stack and return address, as the kernel writes them; "": unknown */
	} each[VCPUS_MAX];
};

/*
 * VCPU_STOOD means that the guest ran for at most 50 us, or that each thread was woken once at most, as SIGSTOP does, and is in the very system call in which it
 * slept before, so that it has not run the guest in between. The former does not prove that nobody resumed it: an idle guest may be resumed, find nothing to do
 * and halt within that time, as may one that was stopped again at once. Only libvirt knows of that, and may hear of it up to VCPU_HEAR_MS later; we ask it once
 * and do not wait, as that would lengthen the blackout of every move by a second.
 */
enum vcpu_since {
	VCPU_UNKNOWN,
	VCPU_STOOD,	   /* each has done no more than stopping its thread takes */
	VCPU_MAY_HAVE_RUN, /* or something else took that time: we wait for libvirt, which decides */
	VCPU_RAN,
};

void vcpu_time_of(pid_t pid, struct vcpu_time *out);
/*
 * The same once they and QEMU's main thread sleep, for which this waits so long at most: of a guest that nobody can resume yet. What QEMU has loaded gives them
 * things to do (it loads their registers, and empties what they have translated), some of which they come to only when it is all there, and which is no run. A
 * thread that waits for a lock has something to do, too.
 */
void vcpu_time_at_rest(pid_t pid, unsigned patience_ms, struct vcpu_time *out);
/* Answers whether the guest has run since then. */
enum vcpu_since vcpu_since(pid_t pid, const struct vcpu_time *then);

#endif
