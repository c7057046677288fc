/*
 * bench-native.c: a move by QEMU's own migration, as a careful administrator would do it: disks by a mirror to the destination's
 * NBD server first, memory when they are in step, the mirror ended while the guest stands still, as libvirt does.
 */
#include "bench.h"
#include "json-text.h"
#include "qemu-settings.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define END_MS		     20000
#define NO_LIMIT_BYTES_PER_S (json_int_t)100000000000
#define DEFAULT_CHANNELS     2
#define NBD_PORT	     10809
#define TLS_ID		     "bench-tls"

struct native {
	struct bench *b;
	const struct tool *tool;
	struct bench_guest *source, *target;
	struct watch *w;
	uint64_t until_ns;
	unsigned nbd_port;
};

static bool has_multifd(const struct tool *t)
{
	return t->kind == TOOL_MULTIFD || t->kind == TOOL_ZSTD;
}

/* The tool's TLS: the object's name where QEMU takes one. What it does not name is in clear. */
static json_t *with_tls(const struct native *n, json_t *o)
{
	if (n->tool->tls)
		json_object_set_new(o, "tls-creds", json_string(TLS_ID));
	return o;
}

/* Source and destination each are one end of all connections, of memory and of disks. */
static int tls_begin(const struct native *n, struct qmp *q, const struct bench_guest *g, const char *endpoint, struct err *e)
{
	if (!n->tool->tls)
		return 0;
	return qmp_call(q, "object-add",
			json_pack("{s:s,s:s,s:s,s:s}", "qom-type", "tls-creds-psk", "id", TLS_ID, "endpoint", endpoint, "dir",
				  n->b->sides[g->side].keys),
			NULL, e);
}

/* The guest goes on with what it was started with, and is the next move's source. */
static int tls_end(const struct native *n, struct qmp *q, struct err *e)
{
	int r;

	if (!n->tool->tls)
		return 0;
	r = qmp_call(q, "migrate-set-parameters", json_pack("{s:s}", "tls-creds", ""), NULL, e);
	return r ?: qmp_call(q, "object-del", json_pack("{s:s}", "id", TLS_ID), NULL, e);
}

static json_t *parameters(const struct native *n)
{
	json_int_t cache = (json_int_t)(n->source->mem_mib * MIB / 4);

	while (cache & (cache - 1)) /* a power of two */
		cache &= cache - 1;
	return with_tls(n, json_pack("{s:I,s:I,s:s,s:i,s:I,s:s,s:s}", "max-bandwidth", NO_LIMIT_BYTES_PER_S, "downtime-limit",
				     (json_int_t)n->b->plan.max_downtime_ms, "multifd-compression",
				     n->tool->kind == TOOL_ZSTD ? "zstd" : "none", "multifd-channels",
				     n->tool->channels ? (int)n->tool->channels : DEFAULT_CHANNELS, "xbzrle-cache-size", cache,
				     "zero-page-detection", "multifd", "tls-creds", ""));
}

/* Sets every parameter explicitly, as one that an earlier move left behind would count in this one. Parameters that an older QEMU lacks are
 * left out. */
static int configure(const struct native *n, struct qmp *q, struct err *e)
{
	const char *on[6];
	json_t *now;
	size_t i = 0;
	int r = settings_save(q, &now, e);

	if (r)
		return r;
	if (n->tool->tls && !settings_has_parameter(now, "tls-creds")) {
		json_decref(now);
		return err_set(e, ENOTSUP, "this QEMU has no TLS for its migration");
	}
	on[i++] = "return-path";
	on[i++] = "events";
	if (has_multifd(n->tool))
		on[i++] = "multifd";
	if (n->tool->kind == TOOL_XBZRLE)
		on[i++] = "xbzrle";
	if (n->source->disk_count)
		on[i++] = "pause-before-switchover";
	on[i] = NULL;
	r = settings_capabilities(q, now, on, e) ?: settings_parameters(q, now, parameters(n), e);
	json_decref(now);
	return r;
}

/* Takes one step while both QEMUs are alive. */
static int step(struct native *n, struct err *e)
{
	int r = watch_step(n->w, n->until_ns, e);

	if (r)
		return r;
	if (!qmp_alive(n->w->source.qmp))
		return err_set(e, EIO, "the source's QEMU is gone");
	if (!qmp_alive(n->w->target.qmp))
		return err_set(e, EIO, "the destination's QEMU is gone");
	return n->w->failed ? err_set(e, EIO, "QEMU says that it failed") : 0;
}

/* Steps until *flag is at least so much. */
static int wait_count(struct native *n, const int *count, unsigned wanted, const char *what, struct err *e)
{
	int r;

	while (*count < (int)wanted) {
		r = step(n, e);
		if (r == -ETIMEDOUT)
			return err_set(e, ETIMEDOUT, "%s did not happen within %u s", what, n->b->opt.timeout_s);
		if (r)
			return err_prefix(e, "waiting for %s", what);
	}
	return 0;
}

/* ---- disks ---- */

static struct side *target_side(const struct native *n)
{
	return &n->b->sides[n->target->side];
}

/* Address that the source's QEMU is to connect to. */
static const char *target_address(const struct native *n)
{
	return target_side(n)->address;
}

static int serve_disks(struct native *n, struct err *e)
{
	struct qmp *q = n->w->target.qmp;
	int r = target_side(n)->ops->port(target_side(n), NBD_PORT, &n->nbd_port, e);

	r = r ? r
	      : qmp_call(q, "nbd-server-start",
			 with_tls(n, json_pack("{s:{s:s,s:{s:s,s:o}}}", "addr", "type", "inet", "data", "host", target_side(n)->listen,
					       "port", json_sprintf("%u", n->nbd_port))),
			 NULL, e);

	for (unsigned i = 0; i < n->source->disk_count && !r; i++)
		r = qmp_call(q, "block-export-add",
			     json_pack("{s:s,s:o,s:o,s:o,s:b}", "type", "nbd", "id", json_sprintf("e%u", i), "node-name",
				       json_sprintf("d%u", i), "name", json_sprintf("d%u", i), "writable", 1),
			     NULL, e);
	return r;
}

static int mirror_disks(struct native *n, struct err *e)
{
	struct qmp *q = n->w->source.qmp;
	int r = 0;

	for (unsigned i = 0; i < n->source->disk_count && !r; i++) {
		r = qmp_call(q, "blockdev-add",
			     with_tls(n, json_pack("{s:s,s:o,s:{s:s,s:s,s:o},s:o,s:s,s:s}", "driver", "nbd", "node-name",
						   json_sprintf("t%u", i), "server", "type", "inet", "host", target_address(n), "port",
						   json_sprintf("%u", n->nbd_port), "export", json_sprintf("d%u", i), "discard", "unmap",
						   "detect-zeroes", "unmap")),
			     NULL, e);
		r = r ? r
		      : qmp_call(q, "blockdev-mirror",
				 json_pack("{s:o,s:o,s:o,s:s}", "job-id", json_sprintf("m%u", i), "device", json_sprintf("d%u", i),
					   "target", json_sprintf("t%u", i), "sync", "full"),
				 NULL, e);
	}
	return r ?: wait_count(n, &n->w->jobs_ready, n->source->disk_count, "the disks' mirror being in step", e);
}

/* The guest stands still: the mirrors end, and the images belong to the destination. */
static int end_mirrors(struct native *n, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < n->source->disk_count && !r; i++)
		r = qmp_call(n->w->source.qmp, "block-job-cancel", json_pack("{s:o}", "device", json_sprintf("m%u", i)), NULL, e);
	r = r ?: wait_count(n, &n->w->jobs_completed, n->source->disk_count, "the end of the disks' mirror", e);
	for (unsigned i = 0; i < n->source->disk_count && !r; i++)
		r = qmp_call(n->w->source.qmp, "blockdev-del", json_pack("{s:o}", "node-name", json_sprintf("t%u", i)), NULL, e);
	return r ?: qmp_call(n->w->target.qmp, "nbd-server-stop", NULL, NULL, e);
}

/* ---- memory ---- */

static char *tcp_uri(const char *host, unsigned port)
{
	return xasprintf(strchr(host, ':') ? "tcp:[%s]:%u" : "tcp:%s:%u", host, port);
}

static int start(struct native *n, struct err *e)
{
	AUTO_FREE char *uri = NULL, *to = NULL;
	const char *said;
	unsigned port;
	json_auto_t *info = NULL;
	int r = target_side(n)->ops->port(target_side(n), 0, &port, e);

	if (r)
		return r;
	uri = tcp_uri(target_side(n)->listen, port);
	r = qmp_call(n->w->target.qmp, "migrate-incoming", json_pack("{s:s}", "uri", uri), NULL, e);
	r = r ?: qmp_call(n->w->target.qmp, "query-migrate", NULL, &info, e);
	if (r)
		return r;
	said = json_text(json_array_get(json_object_get(info, "socket-address"), 0), "port");
	to = tcp_uri(target_address(n), said ? (unsigned)atoi(said) : port);
	return qmp_call(n->w->source.qmp, "migrate", json_pack("{s:s}", "uri", to), NULL, e);
}

static int carry(struct native *n, struct err *e)
{
	struct watch *w = n->w;
	bool ended = n->source->disk_count == 0;
	int r = 0;

	while (!w->seen.completed_ns || !w->seen.resume_ns) {
		r = step(n, e);
		if (r)
			return r == -ETIMEDOUT ? err_set(e, ETIMEDOUT, "it did not converge within %u s", n->b->opt.timeout_s) : r;
		if (w->seen.pre_switchover_ns && !ended) {
			ended = true;
			r = end_mirrors(n, e);
			r = r ?: qmp_call(w->source.qmp, "migrate-continue", json_pack("{s:s}", "state", "pre-switchover"), NULL, e);
			if (r)
				return r;
		}
	}
	return 0;
}

static int finish(struct native *n, struct outcome *o, struct err *e)
{
	uint64_t until_ns = now_ns() + END_MS * 1000000ULL;
	json_t *info, *ram;
	int r = qmp_call(n->w->source.qmp, "query-migrate", NULL, &info, e);

	if (r)
		return r;
	ram = json_object_get(info, "ram");
	o->qmp_ms = json_number_value(json_object_get(info, "downtime"));
	o->carried_bytes = (uint64_t)json_integer_value(json_object_get(ram, "normal")) * 4096;
	json_decref(info);
	watch_sample(n->w); /* the sample must be taken before its QEMU ends */
	r = qmp_call(n->w->source.qmp, "quit", NULL, NULL, e);
	while (!r && waitpid(n->source->pid, NULL, WNOHANG) == 0)
		r = bench_step(n->b, until_ns, 2, e);
	if (!r)
		n->source->pid = 0;
	o->done_ns = realtime_ns();
	watch_event(n->w, o->done_ns, "done");
	o->carried_bytes += bench_guest_disk_allocated(n->b, n->target);
	return r ?: tls_end(n, n->w->target.qmp, e);
}

static int open_target(struct native *n, struct err *e)
{
	int r = watch_open(&n->w->target, n->target, e);

	return r ? bench_guest_why(n->b, n->target, e) : 0;
}

int move_native(struct bench *b, const struct tool *t, struct bench_guest *g, struct watch *w, struct outcome *o, struct err *e)
{
	struct native n = {b, t, g, &o->target, w, now_ns() + b->opt.timeout_s * 1000000000ULL, 0};
	struct err none;
	int r = bench_guest_prepare_target(b, g, &o->target, e);

	if (!r && !b->sides[o->target.side].there)
		w->process[ROLE_TARGET_QEMU].pid = o->target.pid;
	r = r ?: watch_open(&w->source, g, e) ?: open_target(&n, e) ?: tls_begin(&n, w->source.qmp, g, "client", e);
	r = r ?: tls_begin(&n, w->target.qmp, &o->target, "server", e) ?: configure(&n, w->source.qmp, e);
	r = r ?: configure(&n, w->target.qmp, e);
	if (!r && g->disk_count)
		r = serve_disks(&n, e);
	if (!r && g->disk_count)
		r = mirror_disks(&n, e);
	r = r ?: start(&n, e) ?: carry(&n, e) ?: finish(&n, o, e);
	if (r && n.w->source.qmp && qmp_alive(n.w->source.qmp))
		qmp_call(n.w->source.qmp, "migrate_cancel", NULL, NULL, &none);
	return r;
}
