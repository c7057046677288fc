/* qemu-launch.h: starts a QEMU (or a swtpm) as a process that outlives this agent, and ends it again. */
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
	int log_fd; /* QEMU's stdout and stderr; 0: not known */
};

#define LOG_BYTES_MAX (256 * 1024)

typedef int (*qemu_born_fn)(void *ctx, const struct qemu_proc *p, struct err *e);

#define QEMU_PROC_NONE ((struct qemu_proc){.pid = 0, .pidfd = -1})

/*
 * exe: absolute path of the binary; argv ends with NULL, argv[0] is passed as it is, but in a scope. env: "K=V" strings and a
 * NULL, on top of our own environment (NULL: none). scope: of systemd_scope(), or NULL. A session of its own, default
 * signals, cwd /, no descriptor but 0–2. stdout and stderr are a file of LOG_BYTES_MAX in memory that cannot grow: what a
 * guest sends there when it runs gets lost. An exec that fails is reported here. born (may be NULL) is called when there is a
 * process, and before it becomes QEMU: if it fails, or if we die meanwhile, there never is a QEMU.
 */
int qemu_launch(struct qemu_proc *p, const char *exe, char *const *argv, char *const *env, char *const *scope, qemu_born_fn born, void *ctx,
		struct err *e);
/* Starts a QEMU that only helps, as qemu_launch() does: it is killed when the calling thread ends. */
int qemu_launch_helper(struct qemu_proc *p, const char *exe, char *const *argv, char *const *env, struct err *e);
/*
 * Waits (pumping the loop) until the QMP socket answers. When QEMU exits first: -ECHILD, with the
 * last lines of its log, and *p is QEMU_PROC_NONE again. -ETIMEDOUT: it runs but does not answer;
 * ending it is up to the caller.
 */
int qemu_launch_wait_qmp(struct qemu_proc *p, struct loop *l, const char *qmp_path, unsigned timeout_ms, const struct qmp_handlers *h,
			 void *ctx, struct qmp **out, struct err *e);
/* Sends SIGKILL through the pidfd if (pid, start_time) still match, waits until the process is gone, and reaps it if it is our child. */
void qemu_end(struct qemu_proc *p);
/* Closes our descriptors; the process runs on, unwatched. QEMU_PROC_NONE is accepted and left alone. */
void qemu_let_go(struct qemu_proc *p);
/* The last lines of its log as one line ("a / b"), malloc'ed; "" when there are none. */
char *qemu_log_tail(const struct qemu_proc *p);

#endif
