/*
 * lv-private.h: a connection to libvirt, as lv-frames.c (its messages), libvirt-rpc.c (connecting, and calls), lv-calls.c, lv-job.c
 * and lv-monitor.c (the individual calls) share it. Numbers and structures are those of libvirt's src/remote/remote_protocol.x and
 * qemu_protocol.x. Only these files and tests include this.
 */
#ifndef VMFERRY_LV_PRIVATE_H
#define VMFERRY_LV_PRIVATE_H

#include "libvirt-job.h"
#include "libvirt-monitor.h"
#include "libvirt-rpc.h"

enum lv_procedure {
	LV_CONNECT_OPEN = 1,
	LV_DOMAIN_CREATE = 9,
	LV_DOMAIN_GET_XML = 14,
	LV_DOMAIN_GET_AUTOSTART = 15,
	LV_DOMAIN_LOOKUP_NAME = 23,
	LV_DOMAIN_LOOKUP_UUID = 24,
	LV_DOMAIN_RESUME = 28,
	LV_DOMAIN_SET_AUTOSTART = 29,
	LV_DOMAIN_SHUTDOWN = 33,
	LV_NETWORK_LOOKUP_NAME = 46,
	LV_AUTH_LIST = 66,
	LV_AUTH_POLKIT = 70,
	LV_POOL_REFRESH = 83,
	LV_POOL_LOOKUP_NAME = 84,
	LV_POOL_GET_XML = 88,
	LV_VOLUME_LOOKUP_NAME = 95,
	LV_VOLUME_GET_PATH = 100,
	LV_SECRET_LOOKUP_UUID = 141,
	LV_DOMAIN_IS_PERSISTENT = 151,
	LV_NETWORK_IS_ACTIVE = 152,
	LV_POOL_IS_ACTIVE = 154,
	LV_GET_LIB_VERSION = 157,
	LV_HAS_MANAGED_SAVE = 183,
	LV_SNAPSHOT_CREATE_XML = 185,
	LV_SNAPSHOT_GET_XML = 186,
	LV_HAS_CURRENT_SNAPSHOT = 190,
	LV_SNAPSHOT_CURRENT = 191,
	LV_DOMAIN_GET_STATE = 212,
	LV_DOMAIN_UNDEFINE_FLAGS = 231,
	LV_LIST_ALL_DOMAINS = 273,
	LV_LIST_ALL_SNAPSHOTS = 274,
	LV_LIST_ALL_NETWORKS = 283,
	LV_DOMAIN_BEGIN3 = 302, /* these four: DOMAIN_MIGRATE_BEGIN3_PARAMS and so on */
	LV_DOMAIN_PREPARE3 = 303,
	LV_DOMAIN_FINISH3 = 306,
	LV_DOMAIN_CONFIRM3 = 307,
	LV_DOMAIN_DEFINE_XML_FLAGS = 350,
	LV_POOL_LOOKUP_TARGET_PATH = 391,
	LV_LIST_ALL_CHECKPOINTS = 413,
	LV_DOMAIN_GET_AUTOSTART_ONCE = 449,
	LV_DOMAIN_SET_AUTOSTART_ONCE = 450,
};

enum lv_qemu_procedure { LV_MONITOR_COMMAND = 1, LV_MONITOR_EVENT_REGISTER = 4, LV_MONITOR_EVENT = 6 };

/* The head of a message, behind the word with its length: six words (src/rpc/virnetprotocol.x). */
#define LV_HEAD_BYTES	28U /* that word included */
#define LV_PROGRAM	0x20008086U
#define LV_QEMU_PROGRAM 0x20008087U
#define LV_KEEPALIVE	0x6b656570U
#define LV_VERSION_ONE	1U
enum lv_message { LV_CALL = 0, LV_REPLY = 1, LV_MESSAGE = 2 };
enum lv_status { LV_OK = 0, LV_ERROR = 1 };
enum { LV_PING = 1, LV_PONG = 2 };

struct lv_head {
	uint32_t length, program, version;
	int32_t procedure;
	uint32_t type, serial, status;
};

/* A call that was sent and waits for its reply. */
struct lv_pending {
	struct lv_pending *next;
	uint32_t program, serial;
	int32_t procedure;
	/* Called once with the reply; h NULL: none comes, as the connection is lost (v->why). The callee frees body. */
	void (*replied)(struct lv_pending *p, const struct lv_head *h, uint8_t *body);
};

struct lv {
	int fd;
	bool dead; /* the connection is unusable, for the reason in why */
	struct err why;
	char *socket;
	unsigned deadline_ms;
	unsigned long version;
	bool is_user;
	int error_code;
	uint8_t *reply; /* reply to the last call that was waited for */

	uint32_t serial; /* serial of the last call */
	struct lv_pending *pending;
	struct {
		uint8_t head[LV_HEAD_BYTES], *body;
		size_t got; /* bytes of head and body that are here */
		struct lv_head h;
	} in;
	struct lv_writer out; /* bytes from out_at on that the socket did not take yet */
	size_t out_at;

	/* lv_attach() */
	struct loop *loop;
	const struct lv_handlers *handlers;
	void *ctx;
	struct op readable;
	struct timer retry, told_lost; /* retry: sends out again; told_lost: reports the end outside of any call */
	bool armed, watching;
};

/* ---- lv-frames.c ---- */

/* Sends a call, or as much of it as the socket takes now; p is in the list until it was replied to. p->serial and ->next are set. */
int lv_frames_send(struct lv *v, struct lv_pending *p, const struct lv_writer *args, struct err *e);
/* Receives and takes messages, on the loop if there is one, until *done. After an error the connection is dead. */
int lv_frames_until(struct lv *v, const bool *done, uint64_t until_ns, struct err *e);
/* Takes p out of the list, if it is there. */
void lv_frames_forget(struct lv *v, struct lv_pending *p);
/* Marks the connection as dead, as the beginning of the next message, or the call that it answers, is unknown; the first reason stays.
 * -e->code. */
int lv_frames_lose(struct lv *v, const struct err *e);
void lv_frames_fini(struct lv *v);

/* ---- libvirt-rpc.c ---- */

/* A call: its words for an error ("libvirt cannot WHAT 'OBJECT'"), and its arguments. */
struct lv_ask {
	int32_t procedure;	   /* lv_procedure; with of_qemu lv_qemu_procedure */
	const char *what, *object; /* object: a name, or NULL */
	struct lv_writer args;
	bool of_qemu;
};

/* A call about a guest: it comes first in the arguments. */
struct lv_ask lv_ask_of(const struct lv_domain *d, int32_t procedure, const char *what);

/*
 * Sends the call, and waits for its reply: *r reads it, and is good until the next call; NULL: there is nothing in it. args are freed in
 * any case.
 */
int lv_call(struct lv *v, struct lv_ask *ask, struct lv_reader *r, struct err *e);
/* Ends a reply of which everything was read. 0; -EPROTO and a dead connection if it was not what the call has. */
int lv_reply_end(struct lv *v, const struct lv_ask *ask, const struct lv_reader *r, struct err *e);
/* Turns an error reply into an error of this call; -EPROTO: it cannot be read. */
int lv_refusal(struct lv *v, const struct lv_ask *ask, struct lv_reader r, struct err *e);
/* Opens over a connection to the daemon, which is ours from now on, also after an error. */
int lv_open_fd(struct lv **out, int fd, const char *socket, const char *uri, unsigned timeout_ms, struct err *e);

/* ---- lv-calls.c ---- */

void lv_write_domain(struct lv_writer *w, const struct lv_domain *d);
void lv_read_domain(struct lv_reader *r, struct lv_domain *d);

/* ---- lv-monitor.c ---- */

/* A message of libvirt's that answers no call: 0, also if nobody waits for it. */
int lv_take_event(struct lv *v, const struct lv_head *h, const uint8_t *body, struct err *e);

#endif
