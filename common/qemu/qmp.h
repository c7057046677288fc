/*
 * qmp.h: an asynchronous QMP client on the loop's io_uring. One struct qmp is one connection to one
 * QEMU.
 *
 * Everything runs in the loop's own thread. Callbacks come from loop_step()/loop_run(), never from
 * inside qmp_send(); they may call qmp_send(), and even qmp_call() (which pumps the loop again),
 * but not qmp_close().
 */
#ifndef VMFERRY_QMP_H
#define VMFERRY_QMP_H

#include "err.h"
#include "loop.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define QMP_DEADLINE_MS 10000
/* Largest message taken from QEMU; a longer one ends the connection (EMSGSIZE). */
#define QMP_MESSAGE_MAX (16U << 20)

struct qmp;

/* Handlers, either of which may be NULL. They must only record; decisions are made after the loop's step. */
struct qmp_handlers {
	/* data is borrowed and may be NULL; at_ns: now_ns() when the bytes were read. */
	void (*event)(void *ctx, const char *name, json_t *data, uint64_t at_ns);
	/* Called once, when the connection is lost (QEMU died, closed it, or sent what is not QMP). Pending replies got EPIPE before. Not
	 * called because of qmp_close(), nor when qmp_open() itself fails. Over libvirt (qmp_open_libvirt) called once more, if QEMU ends
	 * after libvirt was lost. */
	void (*closed)(void *ctx, const struct err *why);
};

/* ret is borrowed and NULL on error; e is NULL when all went well. */
typedef void (*qmp_reply_fn)(void *arg, json_t *ret, const struct err *e);

/*
 * Connects, waits for the greeting at most timeout_ms and negotiates capabilities; pumps the loop
 * meanwhile. Errors: ENOENT, ECONNREFUSED, EACCES (connecting), EBUSY (accepts but sends no
 * greeting: another client occupies the monitor), EPROTO (not QMP), EPIPE (closed meanwhile), EPERM (another user listens there:
 * nothing was sent to it).
 */
int qmp_open(struct qmp **out, struct loop *l, const char *path, unsigned timeout_ms, const struct qmp_handlers *h, void *ctx,
	     struct err *e);
/* "tcp:PORT" in place of a path: a port on which that process listens, in our network namespace. */
#define QMP_TCP_PREFIX "tcp:"
/* "pty:/dev/pts/3": a pseudo-terminal of that process. */
#define QMP_PTY_PREFIX "pty:"
/* Does the same as qmp_open(), only if this process listens there, as far as that can be seen; ESRCH: another one does, and nothing was
 * sent to it. */
int qmp_open_of(struct qmp **out, struct loop *l, const char *path, pid_t pid, unsigned timeout_ms, const struct qmp_handlers *h, void *ctx,
		struct err *e);
/* Does the same as qmp_open() over a connection that the caller made (a stream socket that leads to a monitor); it is ours from now on,
 * also after an error. name: the monitor's, for messages. */
int qmp_open_fd(struct qmp **out, struct loop *l, int fd, const char *name, unsigned timeout_ms, const struct qmp_handlers *h, void *ctx,
		struct err *e);
/* Does the same as qmp_open() for a libvirt guest that runs as this process, found by its UUID: through the libvirt daemon of this host,
 * which marks the guest as tainted from then on. The connection is lost with that daemon, and when QEMU ends. Errors: those of
 * libvirt-rpc.h; ESRCH: it does not run as that process. */
int qmp_open_libvirt(struct qmp **out, struct loop *l, const char *uuid, pid_t pid, unsigned timeout_ms, const struct qmp_handlers *h,
		     void *ctx, struct err *e);
/* NULL is fine. Pending replies get ECANCELED; no op is pending when it returns (pumps the loop).
 */
void qmp_close(struct qmp *q);

/*
 * Sends. fn (may be NULL) is called exactly once: with the reply, or EREMOTEIO ("QEMU refused
 * COMMAND: DESC"), ETIMEDOUT after deadline_ms (a later reply is dropped), EPIPE (connection lost)
 * or ECANCELED (qmp_close). args is stolen and may be NULL.
 */
void qmp_send(struct qmp *q, const char *command, json_t *args, unsigned deadline_ms, qmp_reply_fn fn, void *arg);

/* qmp_send() and pump the loop until the reply. *ret gets a new reference; ret may be NULL. 0 or
 * -errno as above. */
int qmp_call(struct qmp *q, const char *command, json_t *args, json_t **ret, struct err *e);
int qmp_call_ms(struct qmp *q, unsigned deadline_ms, const char *command, json_t *args, json_t **ret, struct err *e);
/* Takes in every message that QEMU has sent so far, so that its events are recorded when this returns. QEMU must be stopped. -errno: there
 * may have been more. */
int qmp_drain(struct qmp *q, struct err *e);
/* Tells q that the guest is known to be stopped: qmp_drain() of a shared monitor may then be certain sooner. */
void qmp_stands(struct qmp *q);
/* human-monitor-command; *text is malloc'ed, the caller frees it. */
int qmp_hmp(struct qmp *q, const char *line, char **text, struct err *e);

/* The QEMU at the other end, by SO_PEERCRED; 0 when it lives in a pid namespace that we do not see, and after qmp_open_fd.
 */
pid_t qmp_peer_pid(const struct qmp *q);
/* Version of QEMU, from its greeting. */
void qmp_version(const struct qmp *q, int *major, int *minor, int *micro);
bool qmp_alive(const struct qmp *q);
/* Time (CLOCK_REALTIME) at which QEMU says that the event happened, to be called within event(); 0: it did not say. */
uint64_t qmp_event_realtime_ns(const struct qmp *q);

#endif
