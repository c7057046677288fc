/*
 * remote-thread.h: the main thread of another process, stopped by ptrace(2) while it waits in ppoll(2), with its registers and its memory.
 *
 * There it holds no lock of the C library, and has nothing in registers but what a system call leaves alone. Whoever traces it may die at any moment: the
 * kernel then lets it run on from the registers that it has, which are good at each of these moments.
 */
#ifndef VMFERRY_REMOTE_THREAD_H
#define VMFERRY_REMOTE_THREAD_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct remote_thread {
	pid_t pid;
	bool traced;
	struct user_regs_struct regs; /* registers at the stop in its system call */
	int memory;		      /* /proc/PID/mem */
	uint64_t stopped_ns;	      /* since when it is stopped */
	int signal;		      /* signal that arrived meanwhile; 0: none */
};

/* -EPERM: we may not trace it, or another does; -ENOTSUP: not on this machine. */
int remote_thread_open(struct remote_thread *t, pid_t pid, struct err *e);
/* Stops it in ppoll; -ETIMEDOUT: it was not there within ms, and runs. -ESRCH: it has ended. */
int remote_thread_stop(struct remote_thread *t, unsigned ms, struct err *e);
/* The address of its next instruction, as it was stopped. */
uint64_t remote_thread_at(const struct remote_thread *t);
/* Lets it go on at another place with another stack pointer, as if its system call had returned; nobody traces it then. */
int remote_thread_send(struct remote_thread *t, uint64_t rip, struct err *e);
/* Makes the stopped thread do this system call. *ret is what the kernel returns: small negative numbers are errors. */
int remote_thread_syscall(struct remote_thread *t, long number, const uint64_t args[6], int64_t *ret, struct err *e);
/* Read and write its memory; -errno. */
int remote_thread_read(const struct remote_thread *t, uint64_t at, void *to, size_t n, struct err *e);
int remote_thread_write(const struct remote_thread *t, uint64_t at, const void *from, size_t n, struct err *e);
/* True if a word of the first bytes of its stack is an address in [from, from + n): of a function that has not returned, or is long
 * over. */
bool remote_thread_is_within(const struct remote_thread *t, uint64_t from, uint64_t n);
void remote_thread_close(struct remote_thread *t);

#endif
