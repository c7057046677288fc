/*
 * qmp-carrier.h: a struct qmp over a monitor that another program holds, which passes on commands and events (qmp-libvirt.c). Only that
 * file and qmp.c include this.
 */
#ifndef VMFERRY_QMP_CARRIER_H
#define VMFERRY_QMP_CARRIER_H

#include "libvirt-rpc.h"
#include "qmp.h"

/* The haste of a command: if commands are sent one by one, each after the answer to the one before, a command that a caller waits for goes
 * ahead of mere questions. */
enum qmp_haste {
	QMP_QUESTION, /* changes nothing, and its answer goes to a callback */
	QMP_IN_TURN,
	QMP_WAITED_FOR,
};

struct qmp_carrier {
	/* Sends a command, JSON without an id; qmp_carried_answer() comes for it, later. -errno: it was not sent. */
	int (*send)(void *by, struct qmp *q, json_int_t id, const char *text, unsigned deadline_ms, enum qmp_haste haste, struct err *e);
	/* The carriers of qmp_drain() and qmp_stands(). */
	int (*drain)(void *by, struct err *e);
	void (*stands)(void *by);
	/* Frees it; neither answers nor events come afterwards. */
	void (*close)(void *by);
};

/* The new struct owns by from now on; qmp_close() frees it. */
struct qmp *qmp_new_carried(struct loop *l, const char *name, pid_t pid, const struct qmp_carrier *carrier, void *by,
			    const struct qmp_handlers *h, void *ctx);
/* Asks for QEMU's version: from then on handlers are called. */
int qmp_meet_carried(struct qmp *q, struct err *e);
/* text: QEMU's whole answer; NULL: why says why there is none. */
void qmp_carried_answer(struct qmp *q, json_int_t id, const char *text, const struct err *why);
/* data: JSON, or NULL. */
void qmp_carried_event(struct qmp *q, const char *name, const char *data, uint64_t realtime_ns);
void qmp_carried_lost(struct qmp *q, const char *reason);
/* Reports that QEMU has ended, also if the monitor was lost before. */
void qmp_carried_ended(struct qmp *q);

/* qmp_open_libvirt() over a connection to libvirt (qmp-libvirt.c). v and what d has are its own from then on, also after an error. */
int qmp_open_over(struct qmp **out, struct loop *l, struct lv *v, const struct lv_domain *d, pid_t pid, const struct qmp_handlers *h,
		  void *ctx, struct err *e);

#endif
