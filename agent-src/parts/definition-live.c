/*
 * definition-live.c: the definition of a libvirt guest that goes as it runs; see definition.h.
 *
 * Between Begin and Confirm libvirt has its migration job: whoever would start, change, snapshot or undefine the guest waits, and `virsh migrate` is refused.
 * Of the two only Confirm means that the guest has gone, so a job that is simply left (its connection is closed, or we die) leaves the guest as it is.
 * Whether it runs is nobody's but the hand-off's matter.
 */
#include "definition-private.h"
#include "durable-file.h"
#include "fault.h"
#include "json-text.h"
#include "kept-definition.h"
#include "libvirt-job.h"
#include "libvirt-monitor.h"
#include "log.h"
#include "lv-process.h"
#include "owners.h"
#include "process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWNERS		  "owners" /* journal entry */
#define FORGET_MS	  2000
#define ENDS_MS		  10000
#define UNDEFINE_TRIES	  3 /* each of which libvirt may let wait for 30 s */
#define UNDEFINE_PAUSE_MS 500
#define LOOK_MS		  2
#define END_MS		  1000 /* time for libvirt to begin to end QEMU */

/* Flags of libvirt's migration. NON_SHARED_DISK is absent, as the images there are not written by libvirt's QEMU. UNSAFE is there, as
 * libvirt would take them for files that both hosts see. */
#define FLAGS (LV_MIGRATE_LIVE | LV_MIGRATE_PAUSED | LV_MIGRATE_CHANGE_PROTECTION | LV_MIGRATE_UNSAFE)

/* A definition of a transient guest would be somebody else's. */
static uint32_t flags_of(const struct definition *d)
{
	return d->src->libvirt.is_transient ? FLAGS : FLAGS | LV_MIGRATE_UNDEFINE_SOURCE;
}

bool definition_is_live(const struct definition *d)
{
	return d->guest.live_xml;
}

int definition_find_running(struct definition *d, const char *vm, struct err *e)
{
	struct guest g;
	int found = libvirt_find_running(&d->guest, &g, vm, e);

	if (found > 0 || (found < 0 && g.name)) {
		guest_fini(&d->src->guest);
		d->src->guest = g;
	} else {
		guest_fini(&g);
	}
	if (found > 0) {
		d->src->libvirt.is_its = true;
		d->src->libvirt.uuid = xstrdup(d->guest.def.uuid);
		d->src->libvirt.is_transient = d->guest.is_transient;
	} else {
		libvirt_guest_fini(&d->guest);
		d->guest = (struct libvirt_guest){.xml = NULL};
	}
	return found;
}

/* ---- may it go so? ---- */

static char *own_file(const struct definition *d)
{
	AUTO_FREE char *config = lv_config_dir();

	return xasprintf("%s/qemu/%s.xml", config, d->guest.def.name);
}

static int check_own_file(const struct definition *d, struct err *e)
{
	AUTO_FREE char *path = own_file(d);

	if (geteuid() && d->guest.def.tpm.is_there)
		return err_set(e, ENOTSUP, "guest %s of a user's own libvirt (qemu:///session) has a TPM, which is not carried so far",
			       d->guest.def.name);
	return !d->src->libvirt.is_transient && access(path, W_OK)
		       ? err_sys(e, errno, "libvirt's own file of the guest's definition, %s, is to be set aside during the move", path)
		       : 0;
}

/* libvirt forgets a transient guest once it is shut down. */
static const char *way_cold(const struct definition *d)
{
	return d->src->libvirt.is_transient ? "define it (virsh define), and then --how cold" : "--how cold";
}

static int check_snapshots(const struct definition *d, struct err *e)
{
	return d->guest.snapshot_count
		       ? err_set(e, ENOTSUP,
				 "guest %s of libvirt has %zu snapshot%s, with which libvirt lets no guest go as it runs: %s takes them along; as it "
				 "runs it goes once libvirt knows of none (virsh snapshot-delete, with --metadata: they stay in its images), and then "
				 "with --drop=snapshots, which leaves behind what is in its images",
				 d->guest.def.name, d->guest.snapshot_count, d->guest.snapshot_count == 1 ? "" : "s", way_cold(d))
		       : 0;
}

/* A copy of it would be this guest's alone from then on. */
static int check_shareable(const struct definition *d, struct err *e)
{
	for (size_t i = 0; i < d->guest.def.disk_count; i++)
		if (strcmp(d->guest.def.disks[i].device, "cdrom") && libvirt_check_shareable(&d->guest.def.disks[i], e))
			return -e->code;
	return 0;
}

static int check_secrets(const struct definition *d, struct err *e)
{
	return d->guest.def.secrets.count
		       ? err_set(e, ENOTSUP,
				 "guest %s of libvirt needs secrets, which are not carried: %s moves it, and they are to be there before it "
				 "is started (virsh secret-define, secret-set-value)",
				 d->guest.def.name, way_cold(d))
		       : 0;
}

int definition_examine_live(struct definition *d, struct err *e)
{
	static int (*const checks[])(const struct definition *d, struct err *e) = {check_own_file, check_snapshots, check_shareable,
										   check_secrets};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(checks) && !r; i++)
		r = checks[i](d, e) ? source_obstacle(d->src, e) : 0;
	for (size_t i = 0; i < d->guest.def.block_count && !r; i++) {
		err_set(e, ENOTSUP, "%s: the guest cannot go as it runs, but shut down: %s", d->guest.def.blocks_live[i], way_cold(d));
		r = source_obstacle(d->src, e);
	}
	if (!r)
		report_notice(d->src->report,
			      "libvirt notes that vmferry spoke to the guest's QEMU here (tainted: custom-monitor), until that ends");
	return r;
}

/* ---- libvirt's job ---- */

/* Begin's XML is what libvirt there takes: the guest as it is, without what is this host's alone. The paths that the plan has given are changed in it as they were in
 * the one that was looked at. */
static int begin(struct definition *d, struct lv_cookie *cookie, char **xml, struct err *e)
{
	const struct lv_params params = {0};
	int r = lv_open(&d->job, ASK_MS, e) ?: lv_begin(d->job, &d->guest.domain, &params, flags_of(d), cookie, xml, e);

	fault_point("src-libvirt-begun");
	return r;
}

static int rewrite_begun(struct definition *d, const char *xml, const struct lv_cookie *cookie, struct err *e)
{
	AUTO_FREE char *text = xstrndup((const char *)cookie->data, cookie->n);
	AUTO_FREE char *there = xstrdup(xml);
	int r = definition_change(d, &there, e);

	if (r)
		return r;
	d->begun = json_pack("{s:s,s:s,s:I}", "xml", there, "cookie", text, "flags", (json_int_t)flags_of(d));
	return d->begun ? 0 : err_set(e, EILSEQ, "libvirt's definition of the guest is not UTF-8 text");
}

int definition_begin_job(struct part *p, struct err *e)
{
	struct definition *d = definition_of(p);
	struct lv_cookie cookie = {0};
	AUTO_FREE char *xml = NULL;
	int r;

	if (!definition_is_live(d) || d->job)
		return 0;
	r = begin(d, &cookie, &xml, e);
	if (!r && !definition_is_left_behind(d))
		r = rewrite_begun(d, xml, &cookie, e);
	lv_cookie_fini(&cookie);
	return r;
}

void definition_end_job(struct definition *d)
{
	lv_close(d->job);
	d->job = NULL;
}

/* ---- no host that boots starts it here ---- */

/* -ENOENT: libvirt does not know the guest. */
static int ask_whether_defined(const char *uuid, bool *yes, struct err *e)
{
	struct lv_domain domain;
	struct lv *v;
	int r = lv_open(&v, ASK_MS, e);

	*yes = false;
	if (r)
		return r == -ENOENT ? -EPIPE : r; /* no libvirt listens there, so nobody can tell */
	r = lv_lookup_text(v, uuid, &domain, e);
	if (!r) {
		r = lv_is_persistent(v, &domain, yes, e);
		lv_domain_fini(&domain);
	}
	lv_close(v);
	return r;
}

/* libvirt's job keeps nobody from defining it. */
static int check_stays_transient(const struct definition *d, struct err *e)
{
	bool is_defined;
	int r = ask_whether_defined(d->src->libvirt.uuid, &is_defined, e);

	return r || !is_defined
		       ? r
		       : err_set(e, ECANCELED,
				 "another client defined the transient guest in libvirt here (virsh define) while it was moved: move it "
				 "again");
}

/* libvirt there has given them to its QEMU's user. */
static int note_owners(const struct definition *d, struct err *e)
{
	json_t *list = json_array(), *path, *owner;
	size_t i;

	json_array_foreach(d->src->shared_paths, i, path) {
		owner = owner_of(json_string_value(path));
		if (owner)
			json_array_append_new(list, owner);
	}
	if (json_array_size(list))
		return attempt_note(d->part.a, OWNERS, json_pack("{s:o,s:I}", "files", list, "given", (json_int_t)d->src->libvirt.user), e);
	json_decref(list);
	return 0;
}

/* libvirt's job keeps nobody from defining it otherwise, and it began after we had looked. */
int definition_is_as_found(const struct definition *d, struct err *e)
{
	struct lv *v;
	bool is_defined;
	int r = definition_is_libvirts(d) ? lv_open(&v, ASK_MS, e) : 0;

	if (r || !definition_is_libvirts(d))
		return r;
	r = lv_is_persistent(v, &d->guest.domain, &is_defined, e);
	if (!r && !is_defined)
		r = err_set(e, ENOENT, "guest %s was undefined in libvirt here (virsh undefine) while it was moved", d->guest.def.name);
	r = r ?: libvirt_is_as_defined(&d->guest, v, e);
	lv_close(v);
	return r;
}

int definition_stays_aside(const struct definition *d, struct err *e)
{
	AUTO_FREE char *path = d->is_aside ? own_file(d) : NULL;

	return path && !access(path, F_OK)
		       ? err_set(e, ECANCELED, "the definition of guest %s was changed (virsh edit) while the guest was moved",
				 d->guest.def.name)
		       : 0;
}

int definition_set_aside(struct definition *d, struct err *e)
{
	AUTO_FREE char *path = NULL, *aside = NULL;
	int r;

	if (!definition_is_live(d) || d->is_aside)
		return 0;
	r = note_owners(d, e);
	if (r)
		return r;
	if (d->src->libvirt.is_transient)
		return check_stays_transient(d, e);
	r = definition_is_as_found(d, e);
	if (r)
		return r;
	path = own_file(d);
	aside = attempt_id_name(d->part.a->id, path);
	r = definition_keep(d, e);
	if (!r)
		r = attempt_own(d->part.a, DEFINITION_ASIDE,
				json_pack("{s:s,s:s,s:s}", "path", path, "aside", aside, "uuid", d->guest.def.uuid), e);
	if (!r && (r = rename_new(path, aside)))
		err_sys(e, -r, "cannot set %s aside", path);
	d->is_aside = !r;
	fault_point("src-definition-aside");
	return r ?: sync_parent_dir(path, e);
}

/* A libvirt that was started meanwhile knows only a guest that runs, and would forget it with its QEMU. */
static int define_if_forgotten(const struct definition *d, const char *uuid, struct err *e)
{
	AUTO_FREE char *path = definition_kept_at(d);
	json_auto_t *kept = NULL, *failed = NULL;
	bool is_defined;
	struct lv *v;
	int r = ask_whether_defined(uuid, &is_defined, e);

	if ((r && r != -ENOENT) || is_defined)
		return r;
	r = kept_definition_read(path, &kept, e);
	if (r)
		return r;
	failed = json_array();
	r = lv_open(&v, ASK_MS, e);
	if (!r) {
		r = kept_definition_define(v, kept, e) ?: kept_definition_complete(v, kept, failed, e);
		lv_close(v);
	}
	return r;
}

static int give_back(const char *path, const char *aside, struct err *e)
{
	int r = rename_new(aside, path);

	if (!r)
		return sync_parent_dir(path, e);
	if (r == -EEXIST) /* somebody has defined it anew */
		r = unlink(aside) && errno != ENOENT ? -errno : 0;
	return r && r != -ENOENT ? err_sys(e, -r, "cannot give %s its name back", path) : 0;
}

/* libvirt defines it, and it is held, or ended. One that runs as another process than ours did has come back. */
static int is_to_be_forgotten(struct lv *v, const struct lv_domain *domain, pid_t ours, bool *yes, struct err *e)
{
	struct err ignored;
	pid_t pid;
	int r = lv_is_persistent(v, domain, yes, e);

	*yes = !r && *yes && (domain->id < 0 || (!lv_process_of(v, domain, &pid, &ignored) && pid == ours));
	return r;
}

/* Makes libvirt forget the guest: at once if it has no QEMU, else when its QEMU ends. */
static int undefine(const char *uuid, pid_t ours, struct err *e)
{
	struct lv_domain domain;
	bool yes;
	struct lv *v;
	int r = lv_open(&v, ASK_MS, e);

	if (r)
		return r;
	r = lv_lookup_text(v, uuid, &domain, e);
	if (!r) {
		r = is_to_be_forgotten(v, &domain, ours, &yes, e);
		if (!r && yes)
			r = lv_undefine(v, &domain, e);
		lv_domain_fini(&domain);
	}
	lv_close(v);
	return r == -ENOENT ? 0 : r;
}

/* libvirt has no file of it any more, but would start it from its memory until it is told, however its QEMU has ended. One that somebody has defined since
 * is theirs. */
static int forget_for_good(const struct definition *d, const char *path, const char *aside, const char *uuid, struct err *e)
{
	int r = access(path, F_OK) ? undefine(uuid, d->src->guest.pid, e) : 0;

	if (r)
		return err_prefix(e, "libvirt here is to forget the guest, which has gone");
	return unlink(aside) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", aside) : 0;
}

int definition_undo_aside(struct part *p, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path"), *aside = json_text(detail, "aside"), *uuid = json_text(detail, "uuid");

	if (!path || !aside || !uuid)
		return err_set(e, EBADMSG, "the journal does not say which");
	if (p->a->handoff.state == HO_SRC_RELEASED)
		return forget_for_good(definition_of(p), path, aside, uuid, e);
	definition_end_job(definition_of(p)); /* libvirt must not wait for its own job */
	return give_back(path, aside, e) ?: define_if_forgotten(definition_of(p), uuid, e);
}

/* ---- it has gone ---- */

struct ending_qemu {
	struct timer timer;
	struct loop *loop;
	const struct guest *g;
	uint64_t until_ns;
};

static void look_whether_it_ends(struct timer *t)
{
	struct ending_qemu *ending = container_of(t, struct ending_qemu, timer);
	const struct guest *g = ending->g;

	if (!qemu_is_alive(g->pid, g->start_time))
		return;
	if (process_awaits_signal(g->pid, SIGTERM) || now_ns() >= ending->until_ns)
		kill(g->pid, SIGKILL);
	else
		loop_timer_set(ending->loop, t, LOOK_MS);
}

/* libvirt asks a QEMU to end, and waits for 10 s before it ends it. One that is held does not hear: so it is ended as soon as libvirt has begun to wait, and
 * at no moment libvirt has a guest that has ended and that could be started. */
static int confirm(struct definition *d, struct err *e)
{
	static const struct lv_handlers none = {NULL, NULL};
	struct loop *l = d->part.a->loop;
	struct ending_qemu ending = {{.fire = look_whether_it_ends}, l, &d->src->guest, now_ns() + END_MS * 1000000ULL};
	int r;

	lv_attach(d->job, l, &none, NULL);
	loop_timer_set(l, &ending.timer, LOOK_MS);
	r = lv_confirm(d->job, &d->guest.domain, flags_of(d), false, e);
	loop_timer_clear(l, &ending.timer);
	definition_end_job(d);
	return r;
}

static void tell_if_defined(const struct definition *d)
{
	struct err ignored;
	bool yes;

	if (!ask_whether_defined(d->src->libvirt.uuid, &yes, &ignored) && yes)
		definition_tell_defined(d, d->src->guest.name, d->src->libvirt.uuid);
}

static int compare_with(const struct definition *d, const json_t *kept, json_t *changed, char **xml, struct err *e)
{
	struct lv_domain domain;
	struct lv *v;
	bool yes;
	int r = lv_open(&v, ASK_MS, e);

	if (r)
		return r == -ENOENT ? -EPIPE : r;
	r = kept_definition_lookup(v, kept, &domain, e);
	if (!r) {
		r = is_to_be_forgotten(v, &domain, d->src->guest.pid, &yes, e);
		r = r || !yes ? r : kept_definition_compare(v, &domain, kept, changed, xml, e);
		lv_domain_fini(&domain);
	}
	lv_close(v);
	return r == -ENOENT ? 0 : r;
}

/* Changes that others made after the definition was set aside did not go along, and libvirt is about to forget them. They are in the journal until the
 * result tells them. */
static int note_changes(struct definition *d, struct err *e)
{
	AUTO_FREE char *path = definition_kept_at(d), *place = NULL, *xml = NULL;
	json_t *kept, *changed;
	int r = kept_definition_read(path, &kept, e);

	if (r)
		return r == -ENOENT ? 0 : r;
	changed = json_array();
	r = compare_with(d, kept, changed, &xml, e);
	place = xml ? kept_definition_place_changed(d->src->opt->dirs.state, json_text(kept, "uuid")) : NULL;
	r = r || !xml ? r : definition_leave(place, xml, e);
	if (!r && json_array_size(changed))
		r = attempt_note(d->part.a, DEFINITION_CHANGED, json_pack("{s:O,s:s*}", "what", changed, "file", place), e);
	json_decref(changed);
	json_decref(kept);
	return r;
}

/* Changes of the definition are noted before libvirt forgets it, unless they are by now (*noted). -EBUSY: libvirt waits for the guest's QEMU. */
static int forget(struct definition *d, bool *noted, struct err *e)
{
	int r = *noted ? 0 : note_changes(d, e);

	if (r)
		return err_prefix(e, "what was changed of the guest in libvirt here since it went");
	*noted = true;
	return undefine(d->src->libvirt.uuid, d->src->guest.pid, e);
}

static int forget_without_qemu(struct definition *d, bool *noted, struct err *e)
{
	const struct guest *g = &d->src->guest;
	int r;

	report_notice(
		d->src->report,
		"libvirt here waits for the QEMU of guest %s (process %d), which is held, as another client has asked for something (virsh "
		"resume): that QEMU is ended first",
		g->name, (int)g->pid);
	r = process_end(g->pid, g->start_time, ENDS_MS, e) ?: forget(d, noted, e);
	for (unsigned tries = 1; r == -EBUSY && tries < UNDEFINE_TRIES; tries++) {
		poll(NULL, 0, UNDEFINE_PAUSE_MS);
		r = forget(d, noted, e);
	}
	return r;
}

int definition_let_go(struct definition *d, struct err *e)
{
	bool noted = d->src->libvirt.is_transient;
	struct err why;
	int r;

	if (!d->src->libvirt.uuid)
		return 0;
	r = noted ? 0 : note_changes(d, e);
	noted = !r;
	if (r && r != -EBUSY)
		return err_prefix(e, "what was changed of the guest in libvirt here since it went");
	if (noted && d->job && confirm(d, &why))
		log_info("%s", why.msg);
	definition_end_job(d);
	fault_point("src-confirmed");
	if (d->src->libvirt.is_transient) {
		tell_if_defined(d);
		return 0;
	}
	r = noted ? forget(d, &noted, e) : -EBUSY;
	if (r == -EBUSY) /* another client waits for the QEMU that is held (virsh resume), and libvirt with it */
		r = forget_without_qemu(d, &noted, e);
	return r ? err_prefix(e, "libvirt here is to forget the guest, whose QEMU (process %d) is held until then", (int)d->src->guest.pid)
		 : 0;
}

/* A libvirt that has no job hears of the end of its QEMU a moment later. */
void definition_is_gone(const struct definition *d)
{
	const json_t *note = journal_last_note(d->part.a->journal, OWNERS), *owners = json_object_get(note, "files");
	uint64_t until = now_ns() + FORGET_MS * 1000000ULL;
	struct err e;
	bool is_defined;
	json_t *owner;
	size_t i;

	if (!owners || !d->src->libvirt.uuid)
		return;
	while (ask_whether_defined(d->src->libvirt.uuid, &is_defined, &e) != -ENOENT && now_ns() < until)
		poll(NULL, 0, LOOK_MS);
	json_array_foreach((json_t *)(uintptr_t)owners, i, owner)
		if (owner_give_back(owner, (uid_t)json_integer_value(json_object_get(note, "given")), &e))
			log_error("%s", e.msg);
}
