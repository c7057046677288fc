/* arriving-ram.c: see arriving-ram.h. */
#include "arriving-ram.h"
#include "be.h"
#include "json-text.h"
#include "log.h"
#include "disks-space.h"
#include "ram-find.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define RAM_PAGE 0x08 /* RAM_SAVE_FLAG_PAGE: qemu migration/ram.c */

static struct ram *ram_of(struct part *p)
{
	return container_of(p, struct ram, part);
}

/* ---- the plan ---- */

static int examine(struct part *p, struct err *e)
{
	struct ram *r = ram_of(p);
	const json_t *d = r->target->description;
	const char *mode = json_text(d, "ram_mode");
	json_int_t multifd = json_integer_value(json_object_get(d, "multifd"));

	if (multifd < 0 || multifd > MULTIFD_MAX)
		return err_set(e, EPROTO, "the source's QEMU would use %lld multifd channels; %d are possible", (long long)multifd,
			       MULTIFD_MAX);
	r->multifd = (unsigned)multifd;
	r->opaque = mode && !strcmp(mode, "opaque");
	r->incoming = xasprintf("%s/incoming", r->target->run_dir);
	return space_in_memory(r->target, e) ? target_obstacle(r->target, e) : 0;
}

/* ---- the mode ---- */

/* Pages if its RAM can be reached, unless the user chose. */
int ram_choose_mode(struct ram *r, struct err *e)
{
	const char *want = json_text(r->target->description, "ram_mode");
	int code;

	if (r->opaque) {
		r->why = "asked for";
		return 0;
	}
	code = ram_place_open(&r->place, r->target->qmp, r->target->qemu.pid, e);
	if (!code || !want || strcmp(want, "auto"))
		return code;
	log_info("opaque mode: %s", e->msg);
	r->opaque = true;
	r->why = "the destination QEMU's memory cannot be written";
	return target_configure_qemu(r->target, r->multifd, e);
}

int ram_listen(struct ram *r, struct err *e)
{
	AUTO_FREE char *uri = xasprintf("unix:%s", r->incoming);

	return r->opaque ? qmp_call(r->target->qmp, "migrate-incoming", json_pack("{s:s}", "uri", uri), NULL, e) : 0;
}

/* ---- feeding QEMU ---- */

static void on_drained(void *ctx)
{
	(void)ctx;
}

static void on_message(void *ctx, const struct rp_message *msg)
{
	struct ram *r = ctx;
	struct receive_event *rev = xcalloc(1, sizeof(*rev));
	struct event *ev = event_new(EVENT_WORKER, 0, NULL, 0);

	rev->kind = RECEIVE_RETURN_PATH;
	rev->rp_type = msg->type;
	rev->rp_value = msg->value;
	ev->ptr = rev;
	conductor_put(&r->part.a->con, ev);
}

static void on_closed(void *ctx, const struct err *why)
{
	(void)ctx;
	log_info("incoming migration socket: %s", why->msg); /* QMP tells whether that is an error */
}

static const struct feed_handlers feed_on = {on_drained, on_message, on_closed};

static void feed_held_page(void *arg, const char *block, uint64_t offset, const uint8_t *data)
{
	struct ram *r = arg;
	uint8_t head[8 + 1 + 255];
	size_t n = strlen(block);

	put32(head, (uint32_t)(offset >> 32));
	put32(head + 4, (uint32_t)offset | RAM_PAGE);
	head[8] = (uint8_t)n;
	memcpy(head + 9, block, n);
	feed_write(r->feed, head, 9 + n);
	feed_write(r->feed, data, PAGE_BYTES);
}

/* Passes on what there is of the thin stream; the pages that we hold go in at the mark. */
static void feed(struct ram *r)
{
	if (!r->feed)
		return;
	if (r->thin.marked && !r->thin.mark_fed) {
		if (r->thin.n < r->thin.mark)
			return;
		feed_write(r->feed, r->thin.bytes, r->thin.mark);
		r->thin.fed = r->thin.mark;
		r->thin.mark_fed = true;
		ram_place_held(r->place, feed_held_page, r);
	}
	if (r->thin.mark_fed && r->thin.n > r->thin.fed) {
		feed_write(r->feed, r->thin.bytes + r->thin.fed, r->thin.n - r->thin.fed);
		r->thin.fed = r->thin.n;
	}
}

#define BLOCK_BYTES_MAX (1ULL << 46)

static const char not_told[] = "cannot tell the destination QEMU's memory blocks apart, as several of them have one size";

/* The blocks that the source describes and that are found in the waiting QEMU. *enough: the others can be held here. */
static int find_blocks(struct ram *r, struct ram_block_place *blocks, size_t *count, bool *enough, struct err *e)
{
	const json_t *told = json_object_get(r->target->description, "ram_blocks");
	size_t i, n = 0;
	json_t *one;
	int code;

	json_array_foreach((json_t *)(uintptr_t)told, i, one) {
		const char *name = json_text(one, "name") ?: "";
		json_int_t bytes = json_integer_value(json_object_get(one, "bytes"));

		if (n == RAM_BLOCKS_MAX || !*name || strlen(name) >= sizeof(blocks[n].name) || bytes <= 0 ||
		    bytes > (json_int_t)BLOCK_BYTES_MAX)
			return err_set(e, EPROTO, "the source describes an impossible block of its guest's memory");
		blocks[n] = (struct ram_block_place){.max_bytes = (uint64_t)bytes};
		strcpy(blocks[n++].name, name);
	}
	code = ram_find(r->target->qemu.pid, blocks, n, e);
	*enough = !code && !ram_blocks_missing(blocks, n);
	*count = code ? 0 : ram_blocks_placed(blocks, n);
	return code;
}

/* Memory goes as one stream, for which libvirt's QEMU is ready. */
static int go_opaque(struct ram *r, struct err *e)
{
	const char *want = json_text(r->target->description, "ram_mode");

	if (!want || strcmp(want, "auto"))
		return err_set(e, ENOTSUP, "%s: --ram-mode opaque goes without, or --how quick", not_told);
	r->opaque = true;
	r->multifd = 0;
	r->why = not_told;
	return 0;
}

int ram_take_waiting(struct ram *r, const char *socket, struct err *e)
{
	AUTO_FREE struct ram_block_place *blocks = xcalloc(RAM_BLOCKS_MAX, sizeof(*blocks));
	bool enough = false;
	size_t count = 0;
	int code;

	free(r->incoming);
	r->incoming = xstrdup(socket);
	r->waits = true;
	if (r->opaque) {
		r->why = "asked for";
		return 0;
	}
	code = find_blocks(r, blocks, &count, &enough, e);
	if (!code && !enough)
		return go_opaque(r, e);
	code = code ?: ram_place_open_at(&r->place, blocks, count, r->target->qemu.pid, e);
	return code ? err_prefix(e, "the memory of the QEMU that libvirt has started is not found (--ram-mode opaque goes without)") : 0;
}

int ram_load(struct ram *r, struct err *e)
{
	AUTO_FREE char *uri = xasprintf("unix:%s", r->incoming);
	int code = r->waits ? 0 : qmp_call(r->target->qmp, "migrate-incoming", json_pack("{s:s}", "uri", uri), NULL, e);

	if (!code)
		code = feed_open(&r->feed, r->part.a->loop, r->incoming, &feed_on, r, e);
	if (!code)
		feed(r);
	return code;
}

void ram_stop_feeding(struct ram *r)
{
	feed_close(r->feed);
	r->feed = NULL;
}

/* ---- what arrives ---- */

static int keep_thin(struct ram *r, const struct receive_event *rev, struct err *e)
{
	if (r->thin.n + rev->n > THIN_MAX)
		return err_set(e, EPROTO, "the guest's device state is larger than %d MiB", (int)(THIN_MAX / MIB));
	if (r->thin.n + rev->n > r->thin.cap) {
		r->thin.cap = MAX(r->thin.n + rev->n, 2 * r->thin.cap);
		r->thin.bytes = xrealloc(r->thin.bytes, r->thin.cap);
	}
	memcpy(r->thin.bytes + r->thin.n, rev->data, rev->n);
	r->thin.n += rev->n;
	feed(r);
	return 0;
}

static void send_return_path(struct ram *r, const struct receive_event *rev)
{
	uint8_t buf[64], value[4];
	struct writer w = writer_of(value, 4);
	struct msg_return_path msg = {.kind = rev->rp_type, .data = {value, 4}};

	write_u32(&w, rev->rp_value);
	w = writer_of(buf, sizeof(buf));
	msg_return_path_encode(&w, &msg);
	channel_post(r->part.a->control, MSG_RETURN_PATH, buf, writer_len(&w));
}

static int on_return_path(struct ram *r, const struct receive_event *rev, struct err *e)
{
	if (rev->rp_type == RP_SHUT && rev->rp_value) {
		AUTO_FREE char *tail = qemu_log_tail(&r->target->qemu);

		return err_set(e, EREMOTEIO, "the destination QEMU could not load the guest's state: %s", tail);
	}
	if (rev->rp_type == RP_SHUT || r->opaque)
		send_return_path(r, rev);
	/* the monitor of such a QEMU is not ours, so this tells that it has loaded */
	if (rev->rp_type == RP_SHUT && r->waits && !r->loaded) {
		r->loaded = true;
		r->loaded_ns = now_ns();
	}
	return 0;
}

int ram_take(struct ram *r, const struct receive_event *rev, struct err *e)
{
	switch (rev->kind) {
	case RECEIVE_STREAM:
		return keep_thin(r, rev, e);
	case RECEIVE_STREAM_MARK:
		r->thin.mark = rev->offset;
		r->thin.marked = true;
		feed(r);
		return 0;
	case RECEIVE_STREAM_OPEN:
		r->streams_open++;
		return 0;
	case RECEIVE_STREAM_END:
		r->streams_ended++;
		return 0;
	case RECEIVE_RETURN_PATH:
		return on_return_path(r, rev, e);
	case RECEIVE_APPLIED:
	case RECEIVE_DURABLE:
	case RECEIVE_COMPLETE:
	case RECEIVE_LOST:
	case RECEIVE_CUT:
	case RECEIVE_BACK:
	case RECEIVE_HAVE:
	case RECEIVE_BITMAP:
	case RECEIVE_DELTA:
		break;
	}
	return 0;
}

static int event(struct part *p, const struct event *ev, struct err *e)
{
	struct ram *r = ram_of(p);
	bool ours = p->a->handoff.state == HO_DST_BEGUN; /* the guest's later migrations are not ours */
	const char *status = ours && ev->kind == EVENT_QMP && !strcmp(ev->name, "MIGRATION") ? json_text(ev->json, "status") : NULL;

	if (!status)
		return PART_NOT_MINE;
	if (!strcmp(status, "failed")) {
		AUTO_FREE char *tail = qemu_log_tail(&r->target->qemu);

		return err_set(e, EREMOTEIO, "the destination QEMU could not load the guest's state: %s", tail);
	}
	if (!strcmp(status, "completed")) {
		r->loaded = true;
		r->loaded_ns = ev->at_ns;
	}
	return 0;
}

bool ram_is_loaded(const struct ram *r)
{
	return r->loaded && r->streams_ended >= r->streams_open;
}

/* ---- its life ---- */

static void fini(struct part *p)
{
	struct ram *r = ram_of(p);

	feed_close(r->feed);
	ram_place_free(r->place);
	free(r->thin.bytes);
	free(r->incoming);
}

static const struct part_ops ops = {.name = "ram", .examine = examine, .event = event, .fini = fini};

void ram_init(struct ram *r, struct target *target)
{
	*r = (struct ram){.part = {&ops, target->part.a}, .target = target};
}
