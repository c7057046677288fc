/*
 * libvirt-monitor.h: QMP for a libvirt guest, through libvirt (virDomainQemuMonitorCommand and its events), on a loop. libvirt marks
 * the guest as tainted from the first command on. Replies overtake events: an event that QEMU sent earlier may come after a reply.
 *
 * Callbacks come from loop_step(), or from a call of libvirt-rpc.h or libvirt-job.h on this connection, which pumps the loop while it
 * waits; never from inside lv_monitor(). They may call both, but not lv_close().
 */
#ifndef VMFERRY_LIBVIRT_MONITOR_H
#define VMFERRY_LIBVIRT_MONITOR_H

#include "libvirt-rpc.h"
#include "loop.h"

/* Handlers, either of which may be NULL. */
struct lv_handlers {
	/* data: its JSON, or NULL; realtime_ns: when QEMU says that it happened, CLOCK_REALTIME. Both are borrowed. */
	void (*event)(void *ctx, const char *name, const char *data, uint64_t realtime_ns);
	/* Called once, when the connection is lost, but not because of lv_close(). Pending replies got their error before. */
	void (*closed)(void *ctx, const struct err *why);
};

/* Lets the loop serve the connection from now on: every call on it pumps the loop while it waits. lv_close() ends that. */
void lv_attach(struct lv *v, struct loop *l, const struct lv_handlers *h, void *ctx);
/* Passes the events of this guest's QEMU to h->event from now on; one guest per connection. */
int lv_watch(struct lv *v, const struct lv_domain *d, struct err *e);

/* reply: QEMU's whole answer as JSON, which may be an error of QEMU's; NULL: e says why there is none. Both are borrowed. */
typedef void (*lv_reply_fn)(void *arg, const char *reply, const struct err *e);
/*
 * Sends one QMP command, on a connection that is attached. fn is called exactly once: with the reply, libvirt's refusal, ETIMEDOUT after
 * deadline_ms (a later reply is dropped), EPIPE (connection lost) or ECANCELED (lv_close). -errno: it was not sent, and fn will not be
 * called.
 */
int lv_monitor(struct lv *v, const struct lv_domain *d, const char *qmp, unsigned deadline_ms, lv_reply_fn fn, void *arg, struct err *e);

#endif
