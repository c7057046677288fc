/*
 * lv-private.h: a connection to libvirt, as libvirt-rpc.c (its frames) and lv-calls.c (what is asked) share it. Numbers and structures
 * are those of libvirt's src/remote/remote_protocol.x. Nobody else's, but for tests.
 */
#ifndef VMFERRY_LV_PRIVATE_H
#define VMFERRY_LV_PRIVATE_H

#include "libvirt-rpc.h"

enum lv_procedure {
	LV_CONNECT_OPEN = 1,
	LV_DOMAIN_CREATE = 9,
	LV_DOMAIN_GET_XML = 14,
	LV_DOMAIN_GET_AUTOSTART = 15,
	LV_DOMAIN_LOOKUP_NAME = 23,
	LV_DOMAIN_LOOKUP_UUID = 24,
	LV_DOMAIN_SET_AUTOSTART = 29,
	LV_DOMAIN_SHUTDOWN = 33,
	LV_NETWORK_LOOKUP_NAME = 46,
	LV_AUTH_LIST = 66,
	LV_AUTH_POLKIT = 70,
	LV_POOL_REFRESH = 83,
	LV_POOL_LOOKUP_NAME = 84,
	LV_POOL_GET_XML = 88,
	LV_VOLUME_LOOKUP_NAME = 95,
	LV_VOLUME_LOOKUP_PATH = 97,
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
	LV_GET_DOMAIN_CAPABILITIES = 342,
	LV_DOMAIN_DEFINE_XML_FLAGS = 350,
	LV_POOL_LOOKUP_TARGET_PATH = 391,
	LV_LIST_ALL_CHECKPOINTS = 413,
};

/* The head of a message, behind the word with its length: six words (src/rpc/virnetprotocol.x). */
#define LV_HEAD_BYTES  28U /* with that word */
#define LV_PROGRAM     0x20008086U
#define LV_KEEPALIVE   0x6b656570U
#define LV_VERSION_ONE 1U
enum lv_message { LV_CALL = 0, LV_REPLY = 1, LV_MESSAGE = 2 };
enum lv_status { LV_OK = 0, LV_ERROR = 1 };
enum { LV_PING = 1, LV_PONG = 2 };

struct lv_head {
	uint32_t length, program, version;
	int32_t procedure;
	uint32_t type, serial, status;
};

/* One call: what is asked, in the words of an error ("libvirt cannot WHAT 'OBJECT'"), and what goes along. */
struct lv_ask {
	enum lv_procedure procedure;
	const char *what, *object; /* object: a name, or NULL */
	struct lv_writer args;
};

/*
 * Sends the call, and waits for its reply: *r reads it, and is good until the next call; NULL: there is nothing in it. args are freed in
 * any case.
 */
int lv_call(struct lv *v, struct lv_ask *ask, struct lv_reader *r, struct err *e);
/* After all of a reply was read: 0, or -EPROTO and a dead connection if it was not what the call has. */
int lv_reply_end(struct lv *v, const struct lv_ask *ask, const struct lv_reader *r, struct err *e);
/* As lv_open_at(), over a connection to the daemon that is ours from now on, also after an error. */
int lv_open_fd(struct lv **out, int fd, const char *socket, const char *uri, unsigned timeout_ms, struct err *e);

#endif
