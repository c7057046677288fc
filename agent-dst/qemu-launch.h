/*
 * qemu-launch.h: starts the destination's QEMU as a process that outlives this agent, and ends it
 * again.
 */
#ifndef VMFERRY_QEMU_LAUNCH_H
#define VMFERRY_QEMU_LAUNCH_H

#include "err.h"
#include "loop.h"
#include "process.h"
#include "qmp.h"

#include <stdint.h>
#include <sys/types.h>

struct qemu_proc {
	pid_t pid; /* 0: none */
	int pidfd; /* -1: none */
	uint64_t start_time;
};

#define QEMU_PROC_NONE ((struct qemu_proc){.pid = 0, .pidfd = -1})

/*
 * exe: absolute path of the binary; argv ends with NULL, argv[0] is passed as it is. env: "K=V"
 * strings and a NULL, on top of our own environment (NULL: none). log_path gets stdout and stderr
 * (0600, truncated). A session of its own, default signals, cwd /, no descriptor but 0–2. An exec
 * that fails is reported here.
 */
int qemu_launch(struct qemu_proc *p, const char *exe, char *const *argv, char *const *env,
		const char *log_path, struct err *e);
/* The same, for a QEMU that only helps: it is killed when the calling thread ends. */
int qemu_launch_helper(struct qemu_proc *p, const char *exe, char *const *argv, char *const *env,
		       const char *log_path, struct err *e);
/*
 * Waits (pumping the loop) until the QMP socket answers. When QEMU exits first: -ECHILD, with the
 * last lines of its log, and *p is QEMU_PROC_NONE again. -ETIMEDOUT: it runs but does not answer;
 * ending it is up to the caller.
 */
int qemu_launch_wait_qmp(struct qemu_proc *p, struct loop *l, const char *qmp_path,
			 const char *log_path, unsigned timeout_ms, const struct qmp_handlers *h,
			 void *ctx, struct qmp **out, struct err *e);
/* SIGKILL by pidfd when (pid, start_time) still is it; reaps when it is our child; waits until it
 * is gone. */
void qemu_end(struct qemu_proc *p);
/* The last lines of a log as one line ("a / b"), malloc'ed; "" when there are none. */
char *qemu_log_tail(const char *log_path);

#endif
