/*
 * prepare.c: from the plan to empty disks, and what waits for them; and all of that undone.
 *
 * What is created is journaled first, under a kind that its part knows to undo (part.h), so that this works from the journal alone, in
 * this life of the agent or a later one. What cannot be removed stays in the journal, is told, and is tried again when an agent next
 * starts here.
 */
#include "arriving-transfer.h"
#include "confine.h"
#include "fault.h"
#include "hex.h"
#include "json-text.h"
#include "log.h"
#include "promise.h"
#include "util.h"

#include <errno.h>
#include <string.h>

static int take_secret(struct transfer *t, const json_t *prepare, struct err *e)
{
	const char *hex = json_text(prepare, "secret");

	return hex && strlen(hex) == 2 * DIGEST_SECRET_BYTES && hex_parse(hex, t->data.shared.key.secret, DIGEST_SECRET_BYTES)
		       ? 0
		       : err_set(e, EPROTO, "the source sent no digest secret");
}

/* Waits for lost connections for as long as the source tries to come back. */
static void agree_to_outages(struct transfer *t)
{
	json_int_t ms = json_integer_value(json_object_get(t->decisions, "resume_ms"));

	if (ms > 0)
		outage_agree(&t->outage, (unsigned)MIN(ms, OUTAGE_MS_MAX));
}

static int begin_journal(struct transfer *t, struct err *e)
{
	json_t *begin = json_object();
	int r;

	json_object_set_new(begin, "how", json_string(t->recipe->how));
	if (t->recipe->owner)
		json_object_set_new(begin, "owner", json_string(t->recipe->owner));
	json_object_set_new(begin, "agent", transfer_agent());
	target_describe_for_journal(&t->target, begin);
	r = attempt_begin(&t->a, t->cfg->state_dir, HO_DESTINATION, begin, e);
	json_decref(begin);
	if (!r)
		t->a.handoff.qemu_alive = false;
	if (!r)
		outage_watch(&t->outage);
	return r;
}

static int receive_if_all_files_are_here(struct transfer *t, struct err *e)
{
	int r = t->files.awaited ? 0 : t->recipe->receive(t, e);

	if (r || t->files.awaited)
		return r;
	promise_follow_qemu(t);
	t->data.shared.channels = t->data.channels;
	conductor_goto(&t->a.con, ST_COPY);
	return 0;
}

int prepare_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;
	int r;

	fault_point("dst-prepare");
	turn_count(t);
	r = fault_point("dst-forbidden") ? confine_try(e) : 0;
	r = r ?: take_secret(t, t->decisions, e) ?: begin_journal(t, e);
	disks_take_alike(&t->disks, t->decisions);
	if (!r && t->recipe->owner)
		r = definition_take(&t->definition, t->decisions, e);
	if (!r && t->target.libvirt.domain)
		r = domain_take(&t->domain, t->decisions, e);
	r = r ?: data_plane_open_door(&t->data, e);
	if (!r)
		agree_to_outages(t);
	return r ?: parts_prepare(&t->parts, e) ?: receive_if_all_files_are_here(t, e);
}

int prepare_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	bool awaited = t->files.awaited;
	int r = common_event(t, ev, e);

	return r || !awaited || t->a.con.stage != ST_PREPARE ? r : receive_if_all_files_are_here(t, e);
}

/* ---- undoing ---- */

int transfer_undo_one(struct attempt *a, const char *kind, const json_t *detail, struct err *e)
{
	struct transfer *t = container_of(a, struct transfer, a);
	struct part *of;
	const struct part_undo *u = parts_undo(&t->parts, kind, &of);

	return u && (json_text(detail, "path") || !strcmp(kind, "qemu"))
		       ? u->undo(of, detail, e)
		       : err_set(e, ENOTSUP, "this vmferry-dst does not know how to undo '%s'", kind);
}

void transfer_left_behind(struct attempt *a, const char *kind, const json_t *detail, int r, const struct err *why)
{
	struct transfer *t = container_of(a, struct transfer, a);
	AUTO_FREE char *sentence = xasprintf("%s%s", why->msg, r < 0 ? "; vmferry-dst tries again when it is next started there" : "");

	(void)kind;
	(void)detail;
	if (a->control && !a->control_lost) /* the source tells */
		log_info("left behind: %s", sentence);
	else
		log_error("left behind by the move of guest %s: %s", t->target.name ? t->target.name : "?", sentence);
	if (json_array_size(a->leftovers) < LEFTOVERS_MAX)
		json_array_append_new(a->leftovers, json_string(sentence));
	else if (json_array_size(a->leftovers) == LEFTOVERS_MAX)
		json_array_append_new(a->leftovers, json_string("and more, which `vmferry journal` lists there"));
}

void transfer_undo(struct transfer *t, bool keep_guest)
{
	files_close(&t->files);
	t->target.keep_guest = keep_guest;
	json_array_clear(t->a.leftovers);
	json_array_clear(t->a.kept);
	attempt_undo(&t->a);
}
