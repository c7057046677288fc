/* definition.c: see definition.h. */
#include "definition-private.h"
#include "disks-private.h"
#include "durable-file.h"
#include "fault.h"
#include "json-text.h"
#include "kept-definition.h"
#include "util.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNDEFINING "undefining" /* journal entry, with one of the words below */
#define ASKED	   "asked"	/* libvirt may do so yet: it has not answered, or has done it */
#define REFUSED	   "refused"
#define UNDONE	   "undone"

bool definition_is_libvirts(const struct definition *d)
{
	return d->guest.xml && !d->guest.is_plain_here;
}

bool definition_is_left_behind(const struct definition *d)
{
	return d->guest.plain.argv;
}

int definition_find(struct definition *d, const char *name, enum libvirt_wanted wanted, struct err *e)
{
	int found = libvirt_find(&d->guest, name, wanted, e);

	if (found < 0 && d->guest.domain.name && !d->src->guest.name)
		d->src->guest.name = xstrdup(d->guest.domain.name);
	if (found <= 0) { /* a move of another kind does not have this part */
		libvirt_guest_fini(&d->guest);
		d->guest = (struct libvirt_guest){.xml = NULL};
	}
	return found;
}

/* The destination's libvirt is to have it. */
static bool is_told(const struct definition *d)
{
	return d->guest.xml && !definition_is_left_behind(d);
}

/* ---- the plan ---- */

static int check_words(const struct definition *d, struct err *e)
{
	const struct move_options *o = d->src->opt;
	const bool is_here = definition_is_libvirts(d);
	const struct {
		bool said;
		const char *why;
	} words[] = {
		{is_here && o->starter.install_unit,
		 "--install-unit is for guests that a script starts: libvirt starts this one as its autostart says"},
		{is_here && o->machine, "--machine cannot be given for a guest of libvirt's: change its definition (virsh edit)"},
		{is_here && o->map_net.count, "--map-net cannot be given for a guest of libvirt's: change its definition (virsh edit)"},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (words[i].said)
			return err_set(e, ENOTSUP, "%s", words[i].why);
	return 0;
}

static int examine(struct part *p, struct err *e)
{
	struct definition *d = definition_of(p);
	int r = is_told(d) && check_words(d, e) ? source_obstacle(d->src, e) : 0;

	return r || !definition_is_live(d) ? r : definition_examine_live(d, e);
}

static json_t *pools_of(const struct libvirt_definition *def)
{
	json_t *out = json_array();

	for (size_t i = 0; i < def->disk_count; i++)
		if (def->disks[i].source == LIBVIRT_VOLUME)
			json_array_append_new(out, json_string(def->disks[i].pool));
	return out;
}

static json_t *secrets_of(const struct libvirt_definition *def)
{
	json_t *out = json_array();

	for (size_t i = 0; i < def->secrets.count; i++)
		json_array_append_new(out, json_string(def->secrets.names[i]));
	return out;
}

static int describe(struct part *p, json_t *out, struct err *e)
{
	const struct definition *d = definition_of(p);
	const struct libvirt_definition *def = &d->guest.def;
	json_t *networks;

	(void)e;
	if (!is_told(d))
		return 0;
	networks = definition_networks(def);
	json_object_set_new(out, "owner", json_string("libvirt"));
	json_object_set_new(out, DEFINITION,
			    json_pack("{s:s,s:s,s:o*,s:o,s:o,s:o,s:b,s:b}", "name", def->name, "uuid", def->uuid, "networks_later",
				      definition_networks_later(d, networks), "networks", networks, "pools", pools_of(def), "secrets",
				      secrets_of(def), "autostart", d->guest.autostart, "net_map", true));
	if (d->guest.is_transient)
		json_object_set_new(json_object_get(out, DEFINITION), "transient", json_true());
	return 0;
}

/* ---- as it is to be there ---- */

struct changes {
	struct libvirt_change *list;
	size_t count;
};

/* type: "file" or "block"; NULL: as it is. is_alone: see libvirt-xml.h. */
static void change(struct changes *c, const char *from, const char *to, const char *type, bool is_alone)
{
	if (from && to && (strcmp(from, to) || is_alone))
		c->list[c->count++] = (struct libvirt_change){.from = from, .to = to, .type = type, .is_alone = is_alone};
}

/* The destination's plan for a disk; NULL: ACCEPT has none. */
static const json_t *plan_of(const json_t *accept, uint32_t object)
{
	json_t *disk;
	size_t i;

	json_array_foreach(json_object_get(accept, "disks"), i, disk)
		if (json_integer_value(json_object_get(disk, "object")) == (json_int_t)object)
			return disk;
	return NULL;
}

/* True if the pool of that name, at the destination, has its volumes in the directory of that path. */
static bool pool_has(const json_t *accept, const char *pool, const char *path)
{
	AUTO_FREE char *copy = xstrdup(path);
	const char *target = json_text(json_object_get(json_object_get(accept, DEFINITION), "pools"), pool);

	return target && !strcmp(target, dirname(copy));
}

/* A volume stays one where a pool of its name has its place there; elsewhere it is a file. */
static void change_volume(struct definition *d, struct changes *c, const json_t *accept, const struct libvirt_disk *disk, const char *to,
			  bool is_alone, char **name)
{
	AUTO_FREE char *copy = xstrdup(to);
	AUTO_FREE char *there = xasprintf("%s/%s", disk->pool, basename(copy));

	*name = xasprintf("%s/%s", disk->pool, disk->volume);
	if (!pool_has(accept, disk->pool, to)) {
		tell_once(d, "disk %s is no volume of the pool %s there, which has no such place: it is the file %s", disk->target,
			  disk->pool, to);
		change(c, *name, to, "file", is_alone);
	} else if (strcmp(*name, there)) {
		tell_once(d, "disk %s has another name in its pool there: it is the file %s", disk->target, to);
		change(c, *name, to, "file", is_alone);
	} else {
		change(c, *name, *name, NULL, is_alone);
	}
}

static const struct libvirt_disk *disk_at(const struct libvirt_definition *def, const char *path)
{
	for (size_t i = 0; path && i < def->disk_count; i++)
		if (def->disks[i].path && !strcmp(def->disks[i].path, path))
			return &def->disks[i];
	return NULL;
}

static void change_disks(struct definition *d, struct changes *c, const json_t *accept, char **names)
{
	for (unsigned i = 0; i < d->disks->count + d->disks->uncopied.stays;
	     i++) { /* the list has each disk until it is agreed which stay */
		const struct disk *one = i < d->disks->count ? d->disks->list[i] : d->disks->uncopied.stay[i - d->disks->count];
		const struct libvirt_disk *disk = disk_at(&d->guest.def, one->guest->file);
		const json_t *plan = plan_of(accept, one->object);
		const char *to = json_text(plan, "path"), *type = json_is_true(json_object_get(plan, "device")) ? "block" : "file";
		bool stays = !strcmp(json_text(plan, "transfer") ?: "", "shared");
		bool is_alone = disk && !stays && one->guest->chain_count && !disk_keeps_chain(d->disks, one->guest);

		if (to && disk && disk->source == LIBVIRT_VOLUME)
			change_volume(d, c, accept, disk, to, is_alone, &names[i]);
		else
			change(c, one->guest->file, to, disk ? type : NULL, is_alone);
	}
}

static bool leads_to(const char *name, const char *path)
{
	AUTO_FREE char *real = *name == '/' ? realpath(name, NULL) : NULL;

	return real && !strcmp(real, path);
}

/* An image that others are based on is known by where it really is. A definition names it as the image above does, perhaps by way of links that are not
 * there; or not at all, as that of a guest that is shut down, and Begin's, where libvirt has found it by itself. */
static void change_backing(struct changes *c, const struct libvirt_definition *def, const char *path, const char *to)
{
	size_t i, k;

	for (i = 0; i < def->disk_count; i++)
		for (k = 0; path && k < def->disks[i].backing_count; k++)
			if (to && leads_to(def->disks[i].backing[k], path))
				c->list[c->count++] = (struct libvirt_change){.from = def->disks[i].backing[k], .to = to, .may_miss = true};
}

static void change_files(struct definition *d, struct changes *c)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(d->accepted, "carry"), i, one) {
		const json_t *file = json_array_get(d->files->described, (size_t)json_integer_value(json_object_get(one, "file")));
		const char *role = json_text(file, "role"), *path = json_text(file, "path"), *to = json_text(one, "to");

		if (role && !strcmp(role, "backing"))
			change_backing(c, &d->guest.def, path, to);
		else
			change(c, path, to, NULL, false);
	}
}

/* The most changes that there can be, each image named by each disk. */
static size_t most_changes(const struct definition *d)
{
	size_t carried = json_array_size(json_object_get(d->accepted, "carry")), names = 1, i;

	for (i = 0; i < d->guest.def.disk_count; i++)
		names += d->guest.def.disks[i].backing_count;
	return d->disks->count + d->disks->uncopied.stays + carried * names + 1;
}

/* The definition as libvirt there can read it: an older one does not know all that one here has written into it. */
static const char *readable_there(const struct definition *d)
{
	const char *there = json_text(d->there, "libvirt");
	unsigned long major, minor, micro;

	if (!d->guest.xml_for_older || sscanf(there ?: "", "%lu.%lu.%lu", &major, &minor, &micro) != 3 ||
	    major * 1000000 + minor * 1000 + micro >= d->guest.version)
		return d->guest.xml;
	if (strcmp(d->guest.xml_for_older, d->guest.xml))
		tell_once(
			d,
			"libvirt there (%s) is older than here: the guest's definition goes without what such a one may not know, as the choice "
			"of its firmware by features (virsh dumpxml --migratable)",
			there);
	return d->guest.xml_for_older;
}

static int rewrite_all(struct definition *d, const struct libvirt_changes *c, void *ctx, struct err *e)
{
	json_t *snapshots = json_array();
	AUTO_FREE char *xml = NULL;
	const char *from = readable_there(d);
	int r = libvirt_xml_rewrite(from, strlen(from), c, &xml, e);

	(void)ctx;
	for (size_t i = 0; i < d->guest.snapshot_count && !r; i++) {
		AUTO_FREE char *text = NULL;

		r = libvirt_snapshot_rewrite(d->guest.snapshots[i], strlen(d->guest.snapshots[i]), c, &text, e);
		if (!r)
			json_array_append_new(snapshots, json_string(text));
	}
	if (!r)
		d->kept = json_pack("{s:s,s:s,s:s,s:b,s:O,s:s*}", "name", d->guest.def.name, "uuid", d->guest.def.uuid, "xml", xml,
				    "autostart", d->guest.autostart, "snapshots", snapshots, "current", d->guest.current);
	json_decref(snapshots);
	if (!r && !d->kept)
		r = err_set(e, EILSEQ, "the guest's definition is not UTF-8 text");
	if (!r && d->guest.is_transient)
		json_object_set_new(d->kept, "transient", json_true());
	if (!r && d->guest.autostart_once)
		json_object_set_new(d->kept, "autostart_once", json_true());
	return r ?: kept_definition_check(d->kept, e);
}

/* Callback of by_plan(): applies the plan's changes to a definition. */
typedef int use_changes(struct definition *d, const struct libvirt_changes *c, void *ctx, struct err *e);

static int by_plan(struct definition *d, use_changes *use, void *ctx, struct err *e)
{
	AUTO_FREE struct libvirt_change *list = xcalloc(most_changes(d), sizeof(*list));
	AUTO_FREE char **names = xcalloc(d->disks->count + d->disks->uncopied.stays + 1U, sizeof(*names));
	const char *emulator = json_text(d->accepted, "qemu");
	struct changes c = {list, 0};
	size_t cards;
	AUTO_FREE struct libvirt_change *nets = definition_cards(d, &cards);
	int r;

	change_disks(d, &c, d->accepted, names);
	change_files(d, &c);
	r = use(d,
		&(struct libvirt_changes){.paths = c.list,
					  .path_count = c.count,
					  .nets = nets,
					  .net_count = cards,
					  .may_miss = definition_is_live(d), /* plugged-in devices are missing at the next start */
					  .emulator = emulator && strcmp(emulator, d->guest.def.emulator) ? emulator : NULL},
		ctx, e);
	for (size_t i = 0; i < d->disks->count + d->disks->uncopied.stays; i++)
		free(names[i]);
	d->told = true;
	return r;
}

static int change_xml(struct definition *d, const struct libvirt_changes *c, void *ctx, struct err *e)
{
	struct libvirt_changes strict = *c;
	char **xml = ctx;
	AUTO_FREE char *from = *xml;

	(void)d;
	*xml = NULL;
	strict.may_miss = false;
	return libvirt_xml_rewrite(from, strlen(from), &strict, xml, e);
}

int definition_change(struct definition *d, char **xml, struct err *e)
{
	return by_plan(d, change_xml, xml, e);
}

static int check_change(struct definition *d, struct err *e)
{
	AUTO_FREE char *xml = definition_is_live(d) ? xstrdup(d->guest.live_xml) : NULL;

	return xml ? definition_change(d, &xml, e) : 0;
}

/* Definition for this host, unchanged; d->kept is the one for the destination. */
static json_t *keep_own(const struct definition *d)
{
	json_t *snapshots = json_array();

	for (size_t i = 0; i < d->guest.snapshot_count; i++)
		json_array_append_new(snapshots, json_string(d->guest.snapshots[i]));
	return json_pack("{s:s,s:s,s:s,s:b,s:b,s:o,s:s*}", "name", d->guest.def.name, "uuid", d->guest.def.uuid, "xml", d->guest.xml,
			 "autostart", d->guest.autostart, "autostart_once", d->guest.autostart_once, "snapshots", snapshots, "current",
			 d->guest.current);
}

/* The guest's own definition must be complete, so that it can be defined here again. */
static int check_own(const struct definition *d, struct err *e)
{
	json_auto_t *own = keep_own(d);

	return own ? kept_definition_check(own, e) : err_set(e, EILSEQ, "the guest's definition is not UTF-8 text");
}

static int check_older(const struct definition *d, const json_t *accept, struct err *e)
{
	const json_t *said = json_object_get(accept, DEFINITION);

	if (!json_text(said, "libvirt"))
		return err_set(
			e, ENOTSUP,
			"the destination's plan says nothing of its libvirt: its vmferry is an older one, which would not define the guest. "
			"Install the same version there");
	return d->guest.is_transient && !json_is_true(json_object_get(said, "transient"))
		       ? err_set(e, ENOTSUP,
				 "the destination's vmferry is an older one, which would define the guest, and it is transient here: install the same "
				 "version there")
		       : 0;
}

static int agree(struct part *p, const json_t *accept, struct err *e)
{
	struct definition *d = definition_of(p);

	if (!is_told(d))
		return definition_is_libvirts(d) ? check_own(d, e) : 0;
	if (check_older(d, accept, e))
		return -e->code;
	d->there = json_incref(json_object_get(accept, DEFINITION));
	d->accepted = json_incref((json_t *)(uintptr_t)accept);
	return by_plan(d, rewrite_all, NULL, e) ?: check_change(d, e);
}

void definition_decide(const struct definition *d, json_t *prepare)
{
	if (d->kept)
		json_object_set(prepare, DEFINITION, d->kept);
	if (d->begun)
		json_object_set(prepare, "domain", d->begun);
}

/* ---- undefined, and defined again ---- */

char *definition_kept_at(const struct definition *d)
{
	char id[2 * ATTEMPT_ID_LEN + 1];

	return xasprintf("%s/%s-src.definition", d->src->opt->dirs.state, attempt_id_format(d->part.a->id, id));
}

int definition_keep(struct definition *d, struct err *e)
{
	AUTO_FREE char *path = definition_kept_at(d);
	json_t *own = keep_own(d);
	int r = attempt_own(d->part.a, DEFINITION, json_pack("{s:s,s:s}", "path", path, "name", d->guest.def.name), e);

	r = r ?: kept_definition_write(path, own, e);
	json_decref(own);
	fault_point("src-definition-kept");
	return r;
}

static int note(struct definition *d, const char *word, struct err *e)
{
	return attempt_note(d->part.a, UNDEFINING, json_pack("{s:s}", "libvirt", word), e);
}

/* A libvirt that says no has not done it, and will not. */
static int undefine(struct definition *d, struct lv *v, struct err *e)
{
	struct err ignored;
	int r = note(d, ASKED, e);

	fault_point("src-undefining");
	r = r ?: lv_undefine(v, &d->guest.domain, e);
	if (r && lv_error_code(v))
		note(d, REFUSED, &ignored);
	return r;
}

int definition_undefine(struct definition *d, struct err *e)
{
	struct lv *v;
	int r;

	if (!definition_is_libvirts(d))
		return 0;
	r = definition_keep(d, e) ?: lv_open(&v, ASK_MS, e);
	if (r)
		return err_prefix(e, "undefining the guest here");
	r = libvirt_is_unchanged(&d->guest, v, e) ?: undefine(d, v, e);
	lv_close(v);
	fault_point("src-undefined");
	return r;
}

/* False also if libvirt cannot be asked: then nobody can have it define a guest. */
static bool is_defined_here(const json_t *kept)
{
	struct err ignored;
	bool there = false;
	struct lv *v;

	if (!lv_open(&v, ASK_MS, &ignored)) {
		kept_definition_is_there(v, kept, &there, &ignored);
		lv_close(v);
	}
	return there;
}

int definition_stays_undefined(const struct definition *d, struct err *e)
{
	json_auto_t *own = definition_is_libvirts(d) ? keep_own(d) : NULL;

	return own && is_defined_here(own)
		       ? err_set(e, ECANCELED,
				 "another client defined the guest %s in libvirt here again (virsh define) while it was moved",
				 d->guest.domain.name)
		       : 0;
}

/*
 * libvirt carries out what it was asked once whatever else it does with the guest is over, also for an agent that has died since. Before the guest is defined
 * again that must have come to its end, or libvirt would undefine it afterwards. It has if the guest is undefined by a call that is answered. A definition that
 * somebody has changed meanwhile stays the guest's.
 */
static int undefine_for_certain(struct lv *v, json_t *kept, struct err *e)
{
	AUTO_FREE char *xml = NULL;
	struct lv_domain domain;
	int r = kept_definition_lookup(v, kept, &domain, e);

	if (r)
		return r == -ENOENT ? 0 : r;
	r = lv_xml(v, &domain, true, &xml, e);
	if (!r)
		json_object_set_new(kept, "xml", json_string(xml));
	r = r ?: lv_undefine(v, &domain, e);
	lv_domain_fini(&domain);
	return r == -ENOENT || r == -EALREADY
		       ? 0
		       : r; /* EALREADY: it runs, and is defined no more; or has what keeps libvirt from undefining it */
}

/* Has libvirt define the guest from the file that keeps its definition, replacing any other. failed: as for kept_definition_complete(). */
static int define_again(json_t *kept, json_t *failed, struct err *e)
{
	struct lv *v;
	int r = lv_open(&v, ASK_MS, e);

	if (r)
		return r;
	r = undefine_for_certain(v, kept, e) ?: kept_definition_define(v, kept, e) ?: kept_definition_complete(v, kept, failed, e);
	lv_close(v);
	return r;
}

/* Reports once which snapshots, or whether autostart, could not be restored. */
static int take_back(struct definition *d, json_t *kept, struct err *e)
{
	const char *word = json_text(journal_last_note(d->part.a->journal, UNDEFINING), "libvirt");
	json_auto_t *failed = NULL;
	int r;

	if (!word || strcmp(word, ASKED) != 0) /* libvirt has it as it was, or as somebody else wants it */
		return 0;
	failed = json_array();
	r = define_again(kept, failed, e) ?: note(d, UNDONE, e);
	if (!r && json_array_size(failed))
		r = err_set(e, EREMOTEIO, "%s", json_string_value(json_array_get(failed, 0)));
	return r;
}

void definition_tell_defined(const struct definition *d, const char *name, const char *uuid)
{
	report_notice(
		d->src->report,
		"another client defined the guest %s in libvirt here again, but it is at the destination: do not start it here, undefine "
		"it (virsh undefine --keep-nvram %s)",
		name, uuid);
}

int definition_leave(const char *place, const char *xml, struct err *e)
{
	int r = unlink(place) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s, of an earlier move", place) : 0;

	return r ?: write_new_file(place, 0600, xml, e);
}

/* The XML is left for people: "virsh define FILE" has the guest here again. */
static int leave_for_people(struct definition *d, const json_t *kept, struct err *e)
{
	AUTO_FREE char *place = kept_definition_place(d->src->opt->dirs.state, json_text(kept, "uuid"));

	if (definition_leave(place, json_text(kept, "xml"), e))
		return -e->code;
	d->left = xstrdup(place);
	d->changed = json_deep_copy(journal_last_note(d->part.a->journal, DEFINITION_CHANGED));
	if (is_defined_here(kept))
		definition_tell_defined(d, json_text(kept, "name"), json_text(kept, "uuid"));
	return 0;
}

static int remove_file(const char *path, struct err *e)
{
	return unlink(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path) : 0;
}

/* True if the definition has its other name, and must still get its own name back. */
static bool definition_is_set_aside(const struct definition *d)
{
	json_t *owned;
	bool yes;

	if (journal_owned(d->part.a->journal, &owned))
		return true;
	yes = json_find(owned, "kind", DEFINITION_ASIDE);
	json_decref(owned);
	return yes;
}

static int undo_definition(struct part *p, const json_t *detail, struct err *e)
{
	struct definition *d = definition_of(p);
	bool has_gone = p->a->handoff.state == HO_SRC_RELEASED;
	const char *path = json_text(detail, "path");
	json_t *kept;
	int r = path ? kept_definition_read(path, &kept, e) : err_set(e, EBADMSG, "the journal does not say which");

	if (r == -ENOENT) /* libvirt was never told to undefine the guest */
		return 0;
	if (!r && definition_is_set_aside(d)) { /* if that failed, its undo needs the file again */
		json_decref(kept);
		return err_set(e, EBUSY, "libvirt here is to have the guest's definition again first");
	}
	if (r)
		return r;
	r = has_gone ? leave_for_people(d, kept, e) : take_back(d, kept, e);
	if (r)
		err_prefix(e, has_gone ? "the definition of guest %s" : "guest %s is to be defined in libvirt here again",
			   json_text(detail, "name") ?: "?");
	json_decref(kept);
	fault_point("src-defined-again");
	return r ?: remove_file(path, e);
}

/* ---- what is told ---- */

static void tell(const struct part *p, enum part_tale tale, json_t *out)
{
	const struct definition *d = container_of(p, const struct definition, part);

	if (tale == TELL_PLAN && d->guest.xml)
		json_object_set_new(out, "libvirt",
				    json_pack("{s:s*,s:b,s:i,s:b}", "there", json_text(d->there, "libvirt"), "autostart",
					      d->guest.autostart, "snapshots", (int)d->guest.snapshot_count, "transient",
					      d->guest.is_transient));
	if (tale == TELL_RESULT && d->left)
		json_object_set_new(out, "definition_left", json_string(d->left));
	if (tale == TELL_RESULT && d->changed)
		json_object_set(out, "definition_changed", d->changed);
}

static void fini(struct part *p)
{
	struct definition *d = definition_of(p);

	definition_end_job(d);
	libvirt_guest_fini(&d->guest);
	json_decref(d->begun);
	json_decref(d->accepted);
	json_decref(d->there);
	json_decref(d->kept);
	free(d->left);
	json_decref(d->changed);
}

static const struct part_undo undo[] = {{DEFINITION, "its definition in libvirt", undo_definition},
					{DEFINITION_ASIDE, "the other name of its definition", definition_undo_aside},
					{NULL, NULL, NULL}};

static const struct part_ops ops = {.name = "definition",
				    .examine = examine,
				    .describe = describe,
				    .agree = agree,
				    .prepare = definition_begin_job,
				    .undo = undo,
				    .tell = tell,
				    .fini = fini};

void definition_init(struct definition *d, struct source *src, const struct disks *disks, const struct files *files)
{
	*d = (struct definition){.part = {&ops, src->part.a}, .src = src, .disks = disks, .files = files};
}
