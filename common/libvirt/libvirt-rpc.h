/*
 * libvirt-rpc.h: a client of the libvirt daemon of this host, over its unix socket, by libvirt's own RPC. No library of libvirt's is
 * linked or loaded: the wire protocol stays the same between old clients and new daemons (numbers are only appended, structures are
 * frozen). A struct lv is a connection that belongs to one thread.
 *
 * Each call waits for its reply, at most as long as lv_set_deadline() says. After a timeout, or after a message that violates the
 * protocol, the connection is dead, and every later call ends with -EPIPE. The caller frees what a call returns; on failure nothing but
 * *e is touched.
 *
 * If libvirt refuses a call, *e names the request and quotes libvirt's words, and its code is:
 *   -ENOENT     no such guest, network, pool, volume, secret, snapshot
 *   -EEXIST     lv_define(): another guest has that name or UUID
 *   -EALREADY   not in this state of the guest ("domain is already running")
 *   -EBUSY      something else is under way with it, for longer than libvirt waits (30 s)
 *   -EACCES     denied
 *   -ENOTSUP    this libvirt has no such call or driver (a package that is not installed)
 *   -EREMOTEIO  all else; lv_error_code() has libvirt's own number
 * and for the connection: -ETIMEDOUT, -EPROTO, -EPIPE. -E2BIG: the request is longer than libvirt takes; the connection lives.
 */
#ifndef VMFERRY_LIBVIRT_RPC_H
#define VMFERRY_LIBVIRT_RPC_H

#include "err.h"
#include "lv-xdr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LV_DEADLINE_MS 40000U	 /* more than the 30 s for which libvirt waits for a guest that is busy */
#define LV_OLDEST      9000000U	 /* oldest version of libvirt that is served: 9.0.0, Debian 12's */
#define LV_HAS_ONCE    11002000U /* knows lv_autostart_once() */

struct lv;

struct lv_domain {
	char *name;
	uint8_t uuid[LV_UUID_LEN];
	int32_t id; /* -1: it does not run */
};

void lv_domain_fini(struct lv_domain *d);
/* An array of them, as lv_domains() makes it. */
void lv_domains_free(struct lv_domain *d, size_t count);
/* An array of strings, as lv_snapshots() and lv_networks() make it. */
void lv_strings_free(char **s, size_t count);

/* The values of virDomainState. */
enum lv_state { LV_NOSTATE, LV_RUNNING, LV_BLOCKED, LV_PAUSED, LV_SHUTDOWN, LV_SHUTOFF, LV_CRASHED, LV_PMSUSPENDED };

/*
 * Connects to the libvirt of this user: root's is qemu:///system at /run/libvirt/virtqemud-sock, else libvirt-sock; other users'
 * qemu:///session, at sockets of these names in $XDG_RUNTIME_DIR/libvirt. This starts no daemon, though systemd may start one on the
 * connection. Each step has timeout_ms. -ENOENT: nothing listens there (a stale socket counts as none); -ENOTSUP: libvirt is older than
 * LV_OLDEST, or wants a password (SASL); -EACCES: polkit or the socket's mode forbids it, or another user listens there, and nothing
 * was sent.
 */
int lv_open(struct lv **out, unsigned timeout_ms, struct err *e);
/* The directory of our libvirt's sockets: /run/libvirt, or $XDG_RUNTIME_DIR/libvirt. Malloc'ed. */
char *lv_runtime_dir(void);
/* The path of a socket there for a guest's QEMU, with a name that libvirt's security drivers allow; the guest's name is cut to the length
 * of an address. Malloc'ed. */
char *lv_guest_socket(const char *dir, const char *what, const char *guest);
/* The directory of its definitions (qemu/NAME.xml): /etc/libvirt, or $XDG_CONFIG_HOME/libvirt. Malloc'ed. */
char *lv_config_dir(void);
int lv_open_at(struct lv **out, const char *socket, const char *uri, unsigned timeout_ms, struct err *e);
/* NULL is fine. */
void lv_close(struct lv *v);
/* Sets the deadline of each call from now on. */
void lv_set_deadline(struct lv *v, unsigned ms);
/* 9000000: 9.0.0 */
unsigned long lv_version(const struct lv *v);
/* qemu:///session */
bool lv_is_user(const struct lv *v);
/* True if nothing more can be asked over this connection, for example after a timeout. */
bool lv_is_lost(const struct lv *v);
/* virErrorNumber of the last call that libvirt refused; 0: none was. */
int lv_error_code(const struct lv *v);

/* Lists all domains, running or not. */
int lv_domains(struct lv *v, struct lv_domain **out, size_t *count, struct err *e);
int lv_lookup(struct lv *v, const char *name, struct lv_domain *out, struct err *e);
int lv_lookup_uuid(struct lv *v, const uint8_t uuid[LV_UUID_LEN], struct lv_domain *out, struct err *e);
/* Looks a guest up by its UUID as text; -EINVAL: the text is not a UUID. */
int lv_lookup_text(struct lv *v, const char *uuid, struct lv_domain *out, struct err *e);
/* Reads the definition, with secrets in it (VIR_DOMAIN_XML_SECURE). inactive: the definition for the next start. */
int lv_xml(struct lv *v, const struct lv_domain *d, bool inactive, char **xml, struct err *e);
/* The inactive definition without what libvirt has added to it by itself, and an older libvirt would refuse (virsh dumpxml --migratable). */
int lv_xml_for_older(struct lv *v, const struct lv_domain *d, char **xml, struct err *e);
/* Reads the state. reason: a value of this state's enum in libvirt-domain.h; may be NULL. */
int lv_state_of(struct lv *v, const struct lv_domain *d, enum lv_state *state, int *reason, struct err *e);
int lv_is_persistent(struct lv *v, const struct lv_domain *d, bool *yes, struct err *e);
int lv_autostart(struct lv *v, const struct lv_domain *d, bool *yes, struct err *e);
int lv_set_autostart(struct lv *v, const struct lv_domain *d, bool yes, struct err *e);
/* The guest is started when its host boots the next time, and then no more: libvirt 11.2 and later. An older one answers no, and is not told: -ENOTSUP. */
int lv_autostart_once(struct lv *v, const struct lv_domain *d, bool *yes, struct err *e);
int lv_set_autostart_once(struct lv *v, const struct lv_domain *d, struct err *e);
int lv_has_managed_save(struct lv *v, const struct lv_domain *d, bool *yes, struct err *e);
/* Defines the guest, or redefines one of the same name and UUID; libvirt does not compare the XML with its schema. */
int lv_define(struct lv *v, const char *xml, struct lv_domain *out, struct err *e);
/* Undefines the guest, and libvirt's metadata of its snapshots; NVRAM, TPM state and disks stay. Fails if there is a managed save or a
 * checkpoint. */
int lv_undefine(struct lv *v, const struct lv_domain *d, struct err *e);
/* Starts it; from a managed save, if there is one. */
int lv_create(struct lv *v, const struct lv_domain *d, struct err *e);
/* Tells the guest to shut down, by whichever way libvirt has; it may not obey. */
int lv_shutdown(struct lv *v, const struct lv_domain *d, struct err *e);

/* Reads the XML of each snapshot with secrets, parents before children; *current: the name of the current one, or NULL. */
int lv_snapshots(struct lv *v, const struct lv_domain *d, char ***xmls, size_t *count, char **current, struct err *e);
/* Notes a snapshot that the disks have already. */
int lv_snapshot_redefine(struct lv *v, const struct lv_domain *d, const char *xml, bool current, struct err *e);
int lv_checkpoint_count(struct lv *v, const struct lv_domain *d, unsigned *n, struct err *e);

int lv_network(struct lv *v, const char *name, bool *active, struct err *e);
int lv_networks(struct lv *v, char ***names, size_t *count, struct err *e);
/* active and xml may be NULL. */
int lv_pool(struct lv *v, const char *name, bool *active, char **xml, struct err *e);
/* The pool whose volumes are in that directory. */
int lv_pool_at(struct lv *v, const char *dir, char **pool, struct err *e);
int lv_pool_refresh(struct lv *v, const char *name, struct err *e);
int lv_volume_path(struct lv *v, const char *pool, const char *volume, char **path, struct err *e);
/* 0: the secret is defined; whether it has a value is not checked. */
int lv_secret_is_there(struct lv *v, const uint8_t uuid[LV_UUID_LEN], struct err *e);

#endif
