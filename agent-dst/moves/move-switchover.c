/*
 * move-switchover.c: everything has arrived; the device state goes into QEMU and its disks become active.
 */
#include "move-private.h"
#include "be.h"
#include "log.h"
#include "util.h"

#include <string.h>

#define RAM_PAGE 0x08 /* RAM_SAVE_FLAG_PAGE: qemu migration/ram.c */

static void on_drained(void *ctx)
{
	(void)ctx;
}

static void on_message(void *ctx, const struct rp_message *msg)
{
	struct move *m = ctx;
	struct receive_event *rev = xcalloc(1, sizeof(*rev));
	struct event *ev = event_new(EVENT_WORKER, 0, NULL, 0);

	rev->kind = RECEIVE_RETURN_PATH;
	rev->rp_type = msg->type;
	rev->rp_value = msg->value;
	ev->ptr = rev;
	conductor_put(&m->a.con, ev);
}

static void on_closed(void *ctx, const struct err *why)
{
	(void)ctx;
	log_info("incoming migration socket: %s", why->msg); /* QMP tells whether that is an error */
}

static const struct feed_handlers feed_on = {on_drained, on_message, on_closed};

/* Only now does the destination QEMU learn of a migration at all. */
int move_load(struct move *m, struct err *e)
{
	AUTO_FREE char *uri = xasprintf("unix:%s", m->incoming);
	int r;

	r = move_close_exports(m, e);
	if (!r)
		r = qmp_call(m->qmp, "migrate-incoming", json_pack("{s:s}", "uri", uri), NULL, e);
	if (!r)
		r = feed_open(&m->feed, m->a.loop, m->incoming, &feed_on, m, e);
	return r ? r : move_feed(m, e);
}

static void feed_held_page(void *arg, const char *block, uint64_t offset, const uint8_t *data)
{
	struct move *m = arg;
	uint8_t head[8 + 1 + 255];
	size_t n = strlen(block);

	put32(head, (uint32_t)(offset >> 32));
	put32(head + 4, (uint32_t)offset | RAM_PAGE);
	head[8] = (uint8_t)n;
	memcpy(head + 9, block, n);
	feed_write(m->feed, head, 9 + n);
	feed_write(m->feed, data, PAGE_BYTES);
}

/* Passes on what there is of the thin stream; the pages that we hold go in at the mark. */
int move_feed(struct move *m, struct err *e)
{
	(void)e;
	if (!m->feed)
		return 0;
	if (m->thin_marked && !m->mark_fed) {
		if (m->thin_bytes < m->thin_mark)
			return 0;
		feed_write(m->feed, m->thin, m->thin_mark);
		m->thin_fed = m->thin_mark;
		m->mark_fed = true;
		ram_place_held(m->ram, feed_held_page, m);
	}
	if (m->mark_fed && m->thin_bytes > m->thin_fed) {
		feed_write(m->feed, m->thin + m->thin_fed, m->thin_bytes - m->thin_fed);
		m->thin_fed = m->thin_bytes;
	}
	return 0;
}

/* Takes the disks' locks now, so that `cont` cannot fail on them. QEMU < 10 took them at load. */
int move_activate(struct move *m, struct err *e)
{
	int major, minor, micro;

	qmp_version(m->qmp, &major, &minor, &micro);
	if (major < 10)
		return 0;
	return qmp_call(m->qmp, "blockdev-set-active", json_pack("{s:b}", "active", 1), NULL, e);
}

int move_stands(struct move *m, struct err *e)
{
	json_t *status;
	bool runs;
	int r = qmp_call(m->qmp, "query-status", NULL, &status, e);

	if (r)
		return r;
	runs = json_is_true(json_object_get(status, "running"));
	json_decref(status);
	if (runs || conductor_has_qmp(&m->a.con, "RESUME"))
		return err_set(e, ECANCELED, "the guest was resumed at the destination by somebody else before it was handed over");
	return 0;
}
