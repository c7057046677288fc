/* qemu-undo.c: see qemu-undo.h. */
#include "qemu-undo.h"
#include "json-text.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GONE_MS	      3000
#define GONE_PAUSE_MS 2

const char *qemu_prefix(char out[QEMU_PREFIX_MAX], const uint8_t attempt[ATTEMPT_ID_LEN])
{
	char id[2 * ATTEMPT_ID_LEN + 1];

	snprintf(out, QEMU_PREFIX_MAX, QEMU_PREFIX "%.8s-", attempt_id_format(attempt, id));
	return out;
}

static bool begins_with(const json_t *name, const char *prefix)
{
	return json_is_string(name) && !strncmp(json_string_value(name), prefix, strlen(prefix));
}

/* ---- bitmaps ---- */

static int remove_bitmap(struct qmp *q, json_t *node, json_t *name, struct err *e)
{
	int r = qmp_call(q, "block-dirty-bitmap-remove", json_pack("{s:O,s:O}", "node", node, "name", name), NULL, e);

	/* ended meanwhile with its node, say */
	return r == -EREMOTEIO && strstr(e->msg, "not found") ? 0 : r;
}

/* As many as can be; the first error is returned. */
int qemu_undo_bitmaps(struct qmp *q, const char *prefix, struct err *e)
{
	json_t *nodes, *node, *bitmap;
	struct err one;
	size_t i, k;
	int r = qmp_call(q, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, e);

	if (r)
		return r;
	json_array_foreach(nodes, i, node)
		json_array_foreach(json_object_get(node, "dirty-bitmaps"), k, bitmap) {
			json_t *name = json_object_get(bitmap, "name");

			if (!begins_with(name, prefix) || !remove_bitmap(q, json_object_get(node, "node-name"), name, &one) || r)
				continue;
			*e = one;
			r = -one.code;
		}
	json_decref(nodes);
	return r;
}

/* ---- exports ---- */

static int query_exports(struct qmp *q, json_t **out, struct err *e)
{
	return qmp_call(q, "query-block-exports", NULL, out, e);
}

/* 1: it is there, 0: it is not. */
static int is_exported(struct qmp *q, const char *id, struct err *e)
{
	json_t *list, *x;
	size_t i;
	int r = query_exports(q, &list, e);

	if (r)
		return r;
	json_array_foreach(list, i, x) {
		const char *is = json_string_value(json_object_get(x, "id"));

		r |= is && !strcmp(is, id);
	}
	json_decref(list);
	return r;
}

/* It goes when its clients have gone. */
static int remove_export(struct qmp *q, struct loop *l, const char *id, struct err *e)
{
	uint64_t until = now_ns() + GONE_MS * 1000000ULL;
	int r = qmp_call(q, "block-export-del", json_pack("{s:s,s:s}", "id", id, "mode", "hard"), NULL, e);

	if (r == -EREMOTEIO && (strstr(e->msg, "shutting down") || strstr(e->msg, "not found")))
		r = 0;
	while (!r && (r = is_exported(q, id, e)) == 1) {
		if (now_ns() > until)
			return err_set(e, ETIMEDOUT, "the NBD export %s does not go away", id);
		r = loop_step(l, GONE_PAUSE_MS, e);
	}
	return r;
}

/* As many as can be; the first error is returned. */
int qemu_undo_exports(struct qmp *q, struct loop *l, const char *prefix, struct err *e)
{
	json_t *list, *x;
	struct err one;
	size_t i;
	int r = query_exports(q, &list, e);

	if (r)
		return r;
	json_array_foreach(list, i, x) {
		json_t *id = json_object_get(x, "id");

		if (!begins_with(id, prefix) || !remove_export(q, l, json_string_value(id), &one) || r)
			continue;
		*e = one;
		r = -one.code;
	}
	json_decref(list);
	return r;
}

/* ---- the server ---- */

/* A QEMU has one server: who found it running, and has exported something on it, is cut off when it stops. */
static int check_unused(struct qmp *q, const char *socket, struct err *e)
{
	json_t *list, *x;
	const char *id = NULL;
	size_t i;
	int r = query_exports(q, &list, e);

	if (r)
		return r;
	json_array_foreach(list, i, x)
		if (!strcmp(json_text(x, "type") ?: "", "nbd") && !begins_with(json_object_get(x, "id"), QEMU_PREFIX))
			id = json_text(x, "id");
	if (id)
		r = err_set(e, EBUSY, "somebody else exports a disk (%s) on the NBD server that the move has started (%s)", id, socket);
	json_decref(list);
	return r;
}

int qemu_undo_nbd_server(struct qmp *q, pid_t pid, const char *socket, struct err *e)
{
	/* when it answers this, whatever it says, it has done what it was asked before, if that was not answered */
	int r = qmp_call(q, "query-status", NULL, NULL, e);

	r = r == -EREMOTEIO ? 0 : r;
	if (!r && process_may_have_socket(pid, socket)) {
		r = check_unused(q, socket, e);
		if (r)
			return r;
		r = qmp_call(q, "nbd-server-stop", NULL, NULL, e);
		if (r == -EREMOTEIO && strstr(e->msg, "not running"))
			r = 0;
	}
	if (!r && unlink(socket) && errno != ENOENT)
		r = err_sys(e, errno, "cannot remove %s", socket);
	return r;
}
