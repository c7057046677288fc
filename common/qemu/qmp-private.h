/* qmp-private.h: a QMP connection as qmp.c (over a socket) and qmp-carrier.c (over another program's monitor) share it. */
#ifndef VMFERRY_QMP_PRIVATE_H
#define VMFERRY_QMP_PRIVATE_H

#include "qmp-carrier.h"
#include "qmp-framer.h"

#define RX_CHUNK 65536

struct receiving {
	struct op op;
	bool busy;
	char chunk[RX_CHUNK];
	struct framer framer;
	uint64_t at_ns; /* time when the last bytes came */
};

struct sending {
	struct op op;
	bool busy;
	struct buffer waiting, flight;
	size_t sent; /* bytes of flight that were sent */
};

struct request {
	struct request *next;
	struct qmp *q;
	json_int_t id;
	char *command;
	struct err not_sent; /* why its carrier did not take it */
	qmp_reply_fn fn;
	void *arg;
	unsigned deadline_ms;
	uint64_t asked_ns;
	struct timer timer;
};

struct qmp {
	struct loop *loop;
	char *path;
	int fd;
	bool is_terminal;		   /* the monitor is a terminal, not a socket */
	const struct qmp_carrier *carrier; /* carrier that takes the place of fd; NULL: none */
	void *carried_by;
	pid_t peer_pid;
	const struct qmp_handlers *handlers;
	void *ctx;
	int version[3];

	bool greeted, opened, closing, draining;
	bool dead;
	struct err why; /* reason, when dead */

	struct receiving rx;
	struct sending tx;
	uint64_t event_realtime_ns;

	struct request *requests;
	json_int_t last_id;
};

/* name: the monitor's, for messages. */
struct qmp *qmp_new(struct loop *l, int fd, const char *name, const struct qmp_handlers *h, void *ctx);
struct request *qmp_request_find(struct qmp *q, json_int_t id);
/* Takes r out of the list and gives it its one answer. */
void qmp_request_finish(struct request *r, json_t *ret, const struct err *e);
/* QEMU's whole answer to the request of that id. */
void qmp_take_reply(struct qmp *q, json_int_t id, json_t *msg);
/* The connection is of no use any more; the first reason stays. */
void qmp_lose(struct qmp *q, int code, const char *reason);

#endif
