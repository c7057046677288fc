/* arriving-definition.c: see arriving-definition.h. */
#include "arriving-definition.h"
#include "arrived.h"
#include "definition-plan.h"
#include "fault.h"
#include "json-text.h"
#include "kept-definition.h"
#include "living-definition.h"
#include "log.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFINED	 "defined"  /* journal entry: what libvirt has done */
#define DEFINING "defining" /* journal entry: what libvirt was asked to do */
#define ASK_MS	 5000

static struct definition *definition_of(struct part *p)
{
	return container_of(p, struct definition, part);
}

/* ---- the plan ---- */

static int examine(struct part *p, struct err *e)
{
	struct definition *d = definition_of(p);
	const json_t *told = json_object_get(d->target->description, DEFINITION);
	json_auto_t *with_xml = told ? json_copy((json_t *)(uintptr_t)told) : json_object();
	int r;

	json_object_set_new(with_xml, "xml", json_string("")); /* the XML comes with PREPARE */
	r = kept_definition_check(with_xml, e);
	return r ? r : definition_look(d, told, e) ? target_obstacle(d->target, e) : 0;
}

static int describe(struct part *p, json_t *accept, struct err *e)
{
	struct definition *d = definition_of(p);
	json_t *all = json_object_get(accept, "cautions"), *ours = json_object_get(d->accept, "cautions");

	(void)e;
	if (all)
		json_array_extend(all, ours);
	else if (json_array_size(ours))
		json_object_set(accept, "cautions", ours);
	json_object_set(accept, DEFINITION, d->accept);
	return 0;
}

/* ---- kept ---- */

static char *place_of(const struct definition *d)
{
	char id[2 * ATTEMPT_ID_LEN + 1];

	return xasprintf("%s/%s-dst.definition", d->disks->state_dir, attempt_id_format(d->part.a->id, id));
}

int definition_take(struct definition *d, const json_t *prepare, struct err *e)
{
	const json_t *kept = json_object_get(prepare, DEFINITION), *told = json_object_get(d->target->description, DEFINITION);
	AUTO_FREE char *path = place_of(d);
	int r = kept_definition_check(kept, e);

	if (!r && (strcmp(json_text(kept, "uuid"), json_text(told, "uuid")) || strcmp(json_text(kept, "name"), json_text(told, "name"))))
		r = err_set(e, EPROTO, "the source sends the definition of another guest than it has described");
	r = r ?: attempt_own(d->part.a, DEFINITION, json_pack("{s:s}", "path", path), e) ?: kept_definition_write(path, kept, e);
	fault_point("dst-definition-kept");
	return r;
}

int definition_note_devices(struct definition *d, struct lv *v, const struct lv_domain *it, struct err *e)
{
	AUTO_FREE char *path = place_of(d);

	return living_definition_note(path, v, it, e);
}

/* ---- defined ---- */

static bool is_noted(const struct definition *d, const char *kind)
{
	return journal_last_note(d->part.a->journal, kind) != NULL;
}

static bool was_defined(const struct definition *d)
{
	return is_noted(d, DEFINED);
}

/* libvirt has it without having been asked by us: somebody has defined one of that UUID here since the move was planned, whose disks may be others. */
static int is_another(const json_t *kept, enum handoff_event *out, struct err *e)
{
	err_set(e, EEXIST,
		"another client defined a guest with the UUID %s in libvirt at the destination while the guest was moved: undefine it "
		"there",
		json_text(kept, "uuid"));
	*out = EV_CONT_FAILED_NEVER_RAN;
	return 0;
}

static int define(struct definition *d, struct lv *v, const json_t *kept, enum handoff_event *out, struct err *e)
{
	bool there, is_asked = is_noted(d, DEFINING);
	struct err why;
	int r = kept_definition_is_there(v, kept, &there, e);

	if (!r && there && !is_asked)
		return is_another(kept, out, e);
	if (!r && !is_asked)
		r = attempt_note(d->part.a, DEFINING, json_pack("{s:b}", "yes", 1), e);
	if (r)
		return r;
	if (!there && !was_defined(d) && kept_definition_define(v, kept, e)) {
		why = *e;
		if (kept_definition_is_there(v, kept, &there, e))
			return -e->code;
		*e = why;
	} else {
		there = true; /* somebody may have undefined it since: it was here */
	}
	fault_point("dst-defined");
	*out = there ? EV_CONT_OK : EV_CONT_FAILED_NEVER_RAN;
	if (there && !was_defined(d))
		r = attempt_note(d->part.a, DEFINED, json_pack("{s:b}", "yes", 1), e);
	return r;
}

/* libvirt finds new volumes when a pool is looked at anew. */
static void refresh_pools(const struct definition *d, struct lv *v)
{
	struct err ignored;

	for (size_t i = 0; i < d->disks->count; i++) {
		AUTO_FREE char *copy = xstrdup(d->disks->list[i].path);
		AUTO_FREE char *pool = NULL;

		if (!lv_pool_at(v, dirname(copy), &pool, &ignored))
			lv_pool_refresh(v, pool, &ignored);
	}
}

void definition_find_volumes(const struct definition *d)
{
	struct err ignored;
	struct lv *v;

	if (lv_open(&v, ASK_MS, &ignored))
		return;
	refresh_pools(d, v);
	lv_close(v);
}

/* Snapshots and autostart are the guest's as much as its definition is: a libvirt that is lost meanwhile is asked again. */
static int complete(struct definition *d, struct lv *v, const json_t *kept, struct err *e)
{
	int r;

	json_decref(d->failed);
	d->failed = json_array();
	r = kept_definition_complete(v, kept, d->failed, e);
	if (!r)
		refresh_pools(d, v);
	return r;
}

static int cannot_tell(struct err *e)
{
	e->code = EAGAIN;
	return err_prefix(e, "cannot tell whether libvirt has the guest at the destination");
}

int definition_define(struct definition *d, enum handoff_event *out, struct err *e)
{
	AUTO_FREE char *path = place_of(d);
	struct lv *v;
	json_t *kept;
	int r = kept_definition_read(path, &kept, e);

	if (r)
		return cannot_tell(e);
	r = lv_open(&v, ASK_MS, e);
	if (!r) {
		r = define(d, v, kept, out, e);
		if (!r && *out == EV_CONT_OK)
			r = complete(d, v, kept, e);
		lv_close(v);
	}
	json_decref(kept);
	return r ? cannot_tell(e) : 0;
}

static void add_error(struct definition *d, const char *text)
{
	const char *before = json_text(d->settled, "after_error");

	json_object_set_new(d->settled, "after_error", json_sprintf("%s%s%s", before ?: "", before ? "; " : "", text));
}

/* The definition that an earlier stay here has left for people: the guest is back. */
static void forget_earlier(const struct definition *d, const json_t *kept)
{
	AUTO_FREE char *left = kept_definition_place(d->disks->state_dir, json_text(kept, "uuid"));

	unlink(left);
}

/* A guest that libvirt here forgets with its QEMU, as the source's does. */
static bool is_transient(const json_t *kept)
{
	return json_is_true(json_object_get(kept, "transient"));
}

/* The QEMU that came, and not one that was started since. */
static bool qemu_lives(const struct definition *d)
{
	const struct qemu_proc *q = &d->target->qemu;

	return q->pid > 0 && qemu_is_alive(q->pid, q->start_time);
}

static void warn(struct definition *d, const char *text)
{
	log_error("guest %s: %s", d->target->name, text);
	add_error(d, text);
}

/* A guest that libvirt has only as long as its QEMU lives does not count: that may have ended, and libvirt not have seen it yet. */
static int is_persistent(struct lv *v, const json_t *kept, bool *yes, struct err *e)
{
	struct lv_domain domain;
	int r = kept_definition_lookup(v, kept, &domain, e);

	*yes = false;
	if (r)
		return r == -ENOENT ? 0 : r;
	r = lv_is_persistent(v, &domain, yes, e);
	lv_domain_fini(&domain);
	return r;
}

/* The guest has run here and runs no more: it was shut down, or somebody has moved it on, and then nothing here may start it by itself. */
static int define_ended(struct definition *d, struct lv *v, json_t *kept, struct err *e)
{
	bool there;
	int r = is_persistent(v, kept, &there, e) ?: arrived_has_left(d->part.a, &d->has_left, e);

	if (r || there)
		return r;
	if (d->has_left) {
		warn(d, "it has left this host since, so libvirt here is not told of it");
		return 0;
	}
	json_object_set_new(kept, "autostart", json_false());
	json_object_del(kept, "autostart_once");
	warn(d,
	     "its QEMU has ended before libvirt was told to keep the guest, which may run elsewhere by now: libvirt has it defined, "
	     "without "
	     "autostart; start it only if it runs nowhere else, and if it has got other images there since (a snapshot), with those (virsh "
	     "edit)");
	return kept_definition_define(v, kept, e) ?: complete(d, v, kept, e);
}

/* Sets *yes if another client has defined the guest anew since it runs here: that definition is to stay. */
static int is_defined_by_others(const struct definition *d, struct lv *v, const json_t *kept, bool *yes, struct err *e)
{
	*yes = false;
	return is_noted(d, DEFINING) ? 0 : is_persistent(v, kept, yes, e);
}

static int define_as_it_lives(struct definition *d, struct lv *v, json_t *kept, struct err *e)
{
	json_t *told = json_array(), *one;
	int r = living_definition_define(v, kept, d->disks->state_dir, told, e);
	size_t i;

	json_array_foreach(told, i, one)
		warn(d, json_string_value(one));
	json_decref(told);
	return r;
}

static int define_living(struct definition *d, struct lv *v, json_t *kept, struct err *e)
{
	bool theirs;
	int r = is_defined_by_others(d, v, kept, &theirs, e);

	if (!r && theirs) {
		warn(d, "another client defined it in libvirt there since it runs there (virsh define, virsh edit): that definition "
			"stays, and differs from the one here");
		return 0;
	}
	r = r ?: attempt_note(d->part.a, DEFINING, json_pack("{s:b}", "yes", 1), e) ?: define_as_it_lives(d, v, kept, e);
	return r ?: complete(d, v, kept, e);
}

/* A guest that came as it runs is forgotten by libvirt with its QEMU until it is defined, too. Once that is noted, whether libvirt has it is up to others. */
static int define_running(struct definition *d, json_t *kept, struct err *e)
{
	struct lv *v;
	int r;

	if (is_transient(kept))
		definition_find_volumes(d);
	if (is_transient(kept) || was_defined(d))
		return 0;
	r = lv_open(&v, ASK_MS, e);
	if (r)
		return r;
	r = qemu_lives(d) ? define_living(d, v, kept, e) : define_ended(d, v, kept, e);
	lv_close(v);
	fault_point("dst-defined");
	return r ?: attempt_note(d->part.a, DEFINED, json_pack("{s:b}", "yes", 1), e);
}

/* libvirt has not been told of it in time. A file that is gone was removed by an earlier life, when libvirt had been. */
static int define_from(struct definition *d, const char *path, struct err *e)
{
	json_t *kept;
	int r = kept_definition_read(path, &kept, e);

	if (r)
		return r == -ENOENT ? 0 : r;
	r = define_running(d, kept, e);
	json_decref(kept);
	return r;
}

/* True if another client has defined the guest here while it is its source's; *e tells the user. That definition stays. */
static bool is_others(const struct definition *d, const char *path, struct err *e)
{
	struct lv *v;
	json_t *kept;
	bool yes = false;

	if (kept_definition_read(path, &kept, e))
		return false;
	if (!lv_open(&v, ASK_MS, e)) {
		if (!is_defined_by_others(d, v, kept, &yes, e) && yes)
			err_set(e, EEXIST,
				"another client defined the guest in libvirt at the destination meanwhile, but it belongs to the source: "
				"undefine it there (virsh undefine %s), so that it cannot be started twice",
				json_text(kept, "uuid"));
		lv_close(v);
	}
	json_decref(kept);
	return yes;
}

/* The file of its definition is all that is to be removed: libvirt has the guest only if it was to have it. */
static int undo_definition(struct part *p, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path");
	struct definition *d = definition_of(p);
	bool others;

	if (path && d->target->libvirt.domain && p->a->handoff.state == HO_DST_DONE && !was_defined(d) && define_from(d, path, e))
		return err_prefix(
			e,
			"libvirt is to define the guest, or would forget it once it is shut down: \"vmferry recover %s\" here has it "
			"do so (the definition is the \"xml\" of %s)",
			d->target->name, path);
	others = path && d->target->libvirt.domain && p->a->handoff.state == HO_DST_ABORTED && is_others(d, path, e);
	return path && unlink(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path) : others;
}

void definition_settle(struct definition *d)
{
	AUTO_FREE char *path = place_of(d);
	json_t *kept, *one;
	struct err e;
	size_t i;

	if (d->settled || d->part.a->dead || kept_definition_read(path, &kept, &e))
		return;
	d->settled = json_object();
	d->kept = kept;
	if (d->target->libvirt.domain && define_running(d, kept, &e)) {
		err_prefix(&e, qemu_lives(d) ? "the guest runs there, and libvirt would forget it once it is shut down"
					     : "its QEMU there has ended, and libvirt was not told of it");
		add_error(d, e.msg);
	} else if (!d->has_left) {
		forget_earlier(d, kept);
	}
	json_array_foreach(d->failed, i, one)
		add_error(d, json_string_value(one));
	if (d->has_left)
		return;
	json_object_set(d->settled, "defined", json_object_get(kept, "name"));
	json_object_set(d->settled, "autostart", json_object_get(kept, "autostart"));
	if (is_transient(kept))
		json_object_set_new(d->settled, "transient", json_true());
}

void definition_start(struct definition *d)
{
	struct lv_domain domain;
	struct lv *v;
	struct err e;
	int r;

	if (!d->kept || d->started)
		return;
	d->started = true;
	r = lv_open(&v, ASK_MS, &e);
	if (!r) {
		r = kept_definition_lookup(v, d->kept, &domain, &e);
		if (!r) {
			r = lv_create(v, &domain, &e);
			lv_domain_fini(&domain);
		}
		lv_close(v);
	}
	if (r) {
		err_prefix(&e, "starting the guest (--start)");
		add_error(d, e.msg);
	} else {
		json_object_set_new(d->settled, "started", json_true());
	}
}

static void tell(const struct part *p, enum part_tale tale, json_t *out)
{
	const struct definition *d = container_of(p, const struct definition, part);

	if (tale == TELL_RESULT && d->settled)
		json_object_update(out, d->settled);
}

static void fini(struct part *p)
{
	json_decref(definition_of(p)->accept);
	json_decref(definition_of(p)->settled);
	json_decref(definition_of(p)->kept);
	json_decref(definition_of(p)->failed);
}

static const struct part_undo undo[] = {{DEFINITION, "its definition", undo_definition}, {NULL, NULL, NULL}};

static const struct part_ops ops =
	{.name = "definition", .examine = examine, .describe = describe, .undo = undo, .tell = tell, .fini = fini};

void definition_init(struct definition *d, struct target *target, const struct disks *disks)
{
	*d = (struct definition){.part = {&ops, target->part.a}, .target = target, .disks = disks};
}
