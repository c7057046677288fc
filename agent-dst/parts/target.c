/* target.c: see target.h. */
#include "target.h"
#include "durable-file.h"
#include "fault.h"
#include "in-place.h"
#include "json-text.h"
#include "log.h"
#include "made.h"
#include "monitors.h"
#include "partial.h"
#include "process.h"
#include "qemu-find.h"
#include "qemu-settings.h"
#include "systemd.h"
#include "taps.h"
#include "unit-text.h"
#include "util.h"
#include "rom-sizes.h"
#include "virtio-rings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_MS   30000
#define STATUS_MS  5000
#define GUESTS_DIR "guests-dir" /* journal entry */

static struct target *target_of(struct part *p)
{
	return container_of(p, struct target, part);
}

int target_obstacle(struct target *t, const struct err *e)
{
	obstacles_add(&t->obstacles, e);
	return 0;
}

bool target_is_refused(const struct target *t)
{
	return json_is_true(json_object_get(t->description, "refused"));
}

bool target_is_paused(const struct target *t)
{
	return json_is_true(json_object_get(t->description, "paused"));
}

bool target_is_at_rest(const struct target *t)
{
	return !strcmp(json_text(t->description, "how") ?: "", "cold");
}

bool target_has_state(const struct target *t)
{
	const char *how = json_text(t->description, "how") ?: "live";

	return strcmp(how, "warm") && strcmp(how, "cold") && strcmp(how, "disks") && strcmp(how, "replica");
}

const json_t *target_described_disk(const struct target *t, uint32_t object)
{
	const json_t *disks = json_object_get(t->description, "disks");
	json_t *d;
	size_t i;

	json_array_foreach((json_t *)disks, i, d)
		if (json_integer_value(json_object_get(d, "object")) == (json_int_t)object)
			return d;
	return NULL;
}

bool target_is_to_start(const struct target *t)
{
	return json_is_true(json_object_get(t->description, "start"));
}

bool target_is_revertible(const struct target *t)
{
	return json_is_true(json_object_get(t->description, "revertible"));
}

bool target_is_in_place(const struct target *t)
{
	return json_is_object(json_object_get(t->description, "in_place"));
}

long target_keep_partial_s(const struct target *t)
{
	json_int_t s = json_integer_value(json_object_get(t->description, "keep_partial_s"));

	return s > 0 && s <= KEEP_PARTIAL_S_MAX ? (long)s : 0;
}

/* ---- the plan ---- */

static int examine(struct part *p, struct err *e)
{
	struct target *t = target_of(p);
	const json_t *d = t->description;
	char id[2 * ATTEMPT_ID_LEN + 1];

	if (!json_is_object(d) || !json_text(d, "name") || !json_text(d, "exe"))
		return err_set(e, EPROTO, "the source's description of the guest is incomplete");
	if (target_is_revertible(t) && !strcmp(json_text(d, "how") ?: "", "cold")) {
		err_set(e, ENOTSUP, "the destination cannot give back a guest that is shut down: it may have been started here");
		target_obstacle(t, e);
	}
	if (target_is_in_place(t) && !target_has_state(t)) {
		err_set(e, ENOTSUP, "a guest goes on in its place with its memory only");
		target_obstacle(t, e);
	}
	if (target_is_in_place(t) && (!json_is_integer(json_object_get(json_object_get(d, "in_place"), "pid")) ||
				      !json_is_integer(json_object_get(json_object_get(d, "in_place"), "start_time"))))
		return err_set(e, EPROTO, "the source does not say in the place of which QEMU the guest is to be");
	t->name = xstrdup(json_text(d, "name"));
	t->exe = qemu_find(json_text(d, "exe"), json_is_true(json_object_get(d, "only_exe")), e);
	if (!t->exe)
		target_obstacle(t, e);
	if (!text_is_utf8(t->runtime_dir))
		return err_set(e, EILSEQ, "the name of the runtime directory there, %s, is not UTF-8 text", t->runtime_dir);
	t->run_dir = xasprintf("%s/%.12s", t->runtime_dir, attempt_id_format(p->a->id, id));
	t->qmp_path = xasprintf("%s/" ARGS_RUN_QMP, t->run_dir);
	return 0;
}

static int describe(struct part *p, json_t *accept, struct err *e)
{
	(void)e;
	json_object_set_new(accept, "qemu", json_string(target_of(p)->exe));
	if (target_keep_partial_s(target_of(p)))
		json_object_set_new(accept, "keep_partial_s", json_integer(target_keep_partial_s(target_of(p))));
	if (target_is_revertible(target_of(p)))
		json_object_set_new(accept, "revertible", json_true());
	if (target_is_in_place(target_of(p)))
		json_object_set_new(accept, "in_place", json_true());
	return 0;
}

char **target_environment(const struct target *t)
{
	static const char *const keys[] = {"LD_LIBRARY_PATH", "QEMU_MODULE_DIR"};
	const json_t *env = json_object_get(t->description, "env");
	char **out = xcalloc(ARRAY_LEN(keys) + 1, sizeof(*out));
	size_t i, n = 0;

	for (i = 0; i < ARRAY_LEN(keys); i++)
		if (json_text(env, keys[i]))
			out[n++] = xasprintf("%s=%s", keys[i], json_text(env, keys[i]));
	return out;
}

void target_free_environment(char **env)
{
	for (size_t i = 0; env[i]; i++)
		free(env[i]);
	free(env);
}

/* ---- its QEMU ---- */

/* The guest's: whoever has made it since the plan was made keeps it. */
static int make_dir(struct target *t, const char *dir, struct err *e)
{
	int r = made_own(t->part.a, GUESTS_DIR, dir, e);

	if (!r && make_dir_as(dir, 0755)) {
		r = errno == EEXIST ? 0 : err_sys(e, errno, "cannot create %s", dir);
		attempt_disown(t->part.a, GUESTS_DIR, json_pack("{s:s}", "path", dir));
	}
	fault_point("dst-dir-made");
	return r ?: sync_parent_dir(dir, e);
}

bool target_makes_dir(const struct target *t, const char *dir)
{
	return (t->makes_dir && !strcmp(dir, t->dir)) || (t->makes_below && !strcmp(dir, t->makes_below));
}

static int prepare(struct part *p, struct err *e)
{
	struct target *t = target_of(p);
	int r = made_own(p->a, "dir", t->run_dir, e);

	if (!r && mkdir(t->run_dir, 0700))
		r = err_sys(e, errno, "cannot create %s", t->run_dir);
	if (!r && t->makes_dir)
		r = make_dir(t, t->dir, e);
	return r || !t->makes_below ? r : make_dir(t, t->makes_below, e);
}

/* The guest outlives us, and what we are allowed to use is not meant for it. */
char **target_scope(const struct target *t)
{
	AUTO_FREE char *plain = unit_plain_name(t->name);
	AUTO_FREE char *unit = xasprintf("vmferry-%s-%d.scope", plain, (int)getpid());
	AUTO_FREE char *description = xasprintf("QEMU of guest %s", plain);
	struct err e;
	char **scope = systemd_scope(unit, description, &e);

	if (!scope && e.code)
		log_error("the guest shares our unit and its limits: %s", e.msg);
	return scope;
}

/* The journal knows of it, and of what it will make, before it is a QEMU. */
static int note_qemu(void *ctx, const struct qemu_proc *p, struct err *e)
{
	json_auto_t *note = json_pack("{s:i,s:I}", "pid", (int)p->pid, "start_time", (json_int_t)p->start_time);
	struct target *t = ctx;
	int r;

	fault_point(t->tried ? "dst-try-forked" : "dst-qemu-forked");
	r = journal_note(t->part.a->journal, "qemu", note, e) ?: made_own_what_qemu_makes(t, p->pid, e);
	fault_point(t->tried ? "dst-try-noted" : "dst-qemu-noted");
	return r;
}

static int start(struct target *t, char *const *env, struct err *e)
{
	char **scope;
	int r = made_own(t->part.a, "qemu", t->qmp_path, e);

	if (r)
		return r;
	/* a tried QEMU has no scope: it would end a moment later than the QEMU, and two would have one name */
	scope = t->tried ? NULL : target_scope(t);
	r = qemu_launch(&t->qemu, t->exe, t->args.argv, env, scope, note_qemu, t, e);
	free_words(scope);
	if (r)
		return r;
	t->part.a->handoff.qemu_alive = true;
	fault_point(t->tried ? "dst-try-launched" : "dst-qemu-launched");
	r = qemu_launch_wait_qmp(&t->qemu, t->part.a->loop, t->qmp_path, START_MS, &conductor_qmp, &t->part.a->con, &t->qmp, e);
	made_know_what_qemu_made(t, false);
	if (r == -ECHILD)
		t->part.a->handoff.qemu_alive = false;
	return r ? err_prefix(e, "starting the destination QEMU") : 0;
}

int target_misfit(struct err *e, const char *why)
{
	return err_set(
		e, ENOTSUP,
		"the QEMU at the destination cannot load this guest: %s. Have the same QEMU there as here, or let the guest boot there "
		"(--how warm)",
		why);
}

/* The rings are compared before anything is copied: QEMU itself would refuse them when all has arrived. */
static int check_rings(struct target *t, struct err *e)
{
	const json_t *used = json_object_get(t->description, "rings");
	json_t *longest;
	int r = used ? virtio_rings_longest(t->qmp, &longest, e) : 0;
	AUTO_FREE char *words = used && !r ? virtio_rings_misfit(used, longest) : NULL;

	if (used && !r)
		json_decref(longest);
	return words ? target_misfit(e, words) : r;
}

static int check_roms(struct target *t, struct err *e)
{
	const json_t *used = json_object_get(t->description, "roms");
	json_auto_t *there = NULL;
	int r = used ? rom_sizes_ask(t->qmp, &there, e) : 0;
	AUTO_FREE char *words = rom_sizes_misfit(used, there, false);

	return words ? target_misfit(e, words) : r;
}

int target_start_qemu(struct target *t, struct err *e)
{
	char **env = target_environment(t);
	int r = target_is_in_place(t) ? in_place_set_aside(t, e) ?: taps_hold(t, e) : 0;

	r = r ?: start(t, env, e);

	target_free_environment(env);
	r = r ?: monitors_hide(t, e) ?: check_rings(t, e) ?: check_roms(t, e);
	return r || !target_is_in_place(t) ? r : taps_try(t, e);
}

int target_configure_qemu(struct target *t, unsigned multifd, struct err *e)
{
	const char *on[5] = {"events", "return-path"};
	unsigned n = 2;
	json_t *params = json_pack("{s:s,s:s}", "tls-creds", "", "multifd-compression", "none");
	int r;

	if (t->disks_stay) /* QEMU before 10 would take their locks as soon as it has loaded */
		on[n++] = "late-block-activate";
	if (multifd)
		on[n++] = "multifd";
	r = t->settings ? 0 : settings_save(t->qmp, &t->settings, e);
	r = r ?: journal_note(t->part.a->journal, "settings", t->settings, e) ?: settings_capabilities(t->qmp, t->settings, on, e);
	if (multifd)
		json_object_set_new(params, "multifd-channels", json_integer(multifd));
	if (r) {
		json_decref(params);
		return r;
	}
	return settings_parameters(t->qmp, t->settings, params, e);
}

int target_end_qemu(struct target *t, struct err *e)
{
	pid_t pid = t->qemu.pid;
	uint64_t start_time = t->qemu.start_time;

	if (qemu_is_alive(pid, start_time))
		made_know_what_qemu_made(t, true);
	qmp_close(t->qmp);
	t->qmp = NULL;
	qemu_end(&t->qemu);
	if (pid <= 0 || !qemu_is_alive(pid, start_time))
		return 0;
	return err_set(e, EBUSY, "the destination QEMU (pid %d) does not end", (int)pid);
}

int target_try_qemu(struct target *t, struct err *e)
{
	struct attempt *a = t->part.a;
	size_t before = attempt_owned(a);
	int r;

	t->tried = true;
	r = target_start_qemu(t, e) ?: target_stands(t, e);
	if (r)
		return r;
	monitors_let_go(t);
	r = target_end_qemu(t, e);
	if (r)
		return r;
	t->tried = a->handoff.qemu_alive = false;
	attempt_undo_since(a, before);
	return a->undo_failed ? err_set(e, EBUSY, "cannot remove what the QEMU there made when it was tried") : 0;
}

enum run_state target_run_state(struct target *t)
{
	enum run_state state;
	json_t *status;
	const char *s;
	struct err e;

	if (t->libvirt.run_state)
		return t->libvirt.run_state(t);
	if (!t->qmp || qmp_call_ms(t->qmp, STATUS_MS, "query-status", NULL, &status, &e))
		return UNKNOWN;
	s = json_text(status, "status");
	state = json_is_true(json_object_get(status, "running"))		   ? RUNS
		: s && (!strcmp(s, "postmigrate") || !strcmp(s, "finish-migrate")) ? MIGRATED
										   : STANDS;
	json_decref(status);
	return state;
}

bool target_locks_at_load(const struct target *t)
{
	int major, minor, micro;

	if (!t->qmp || t->disks_stay) /* late-block-activate */
		return false;
	qmp_version(t->qmp, &major, &minor, &micro);
	return major < 10;
}

/* Takes the disks' locks now, so that `cont` cannot fail on them. QEMU < 10 took them at load. */
int target_activate(struct target *t, struct err *e)
{
	int major, minor, micro;

	qmp_version(t->qmp, &major, &minor, &micro);
	if (major < 10)
		return 0;
	return qmp_call(t->qmp, "blockdev-set-active", json_pack("{s:b}", "active", 1), NULL, e);
}

int target_stands(struct target *t, struct err *e)
{
	json_t *status;
	bool runs;
	int r = qmp_call(t->qmp, "query-status", NULL, &status, e);

	if (r)
		return r;
	/* a QEMU that has loaded everything and is still in this state was told to start the guest, could not get its disks, and ignores
	 * every later `cont` (10.0) */
	runs = json_is_true(json_object_get(status, "running")) || !strcmp(json_text(status, "status") ?: "", "inmigrate");
	json_decref(status);
	if (runs || conductor_has_qmp(&t->part.a->con, "RESUME"))
		return err_set(e, ECANCELED, "the guest was resumed at the destination by another client before it was handed over");
	return 0;
}

/* ---- undoing ---- */

/* The sockets of our QEMU and of helper QEMUs in our own directory: only these are removed from it. */
static const char *const in_run_dir[] = {"vmferry.qmp", "incoming", "nbd", "helper.qmp"};

static int remove_dir(const char *path, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(in_run_dir); i++) {
		AUTO_FREE char *file = xasprintf("%s/%s", path, in_run_dir[i]);

		if (unlink(file) && errno != ENOENT)
			return err_sys(e, errno, "cannot remove %s", file);
	}
	return rmdir(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path) : 0;
}

static int undo_dir(struct part *p, const json_t *detail, struct err *e)
{
	(void)p;
	return remove_dir(json_text(detail, "path") ?: "", e);
}

/* The directory stays if others have put files into it since, or if parts of the disks are kept there. */
static int undo_guests_dir(struct part *p, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path") ?: "";

	if (target_of(p)->keep_guest || !rmdir(path) || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST)
		return 0;
	return err_sys(e, errno, "cannot remove %s", path);
}

static int undo_file(struct part *p, const json_t *detail, struct err *e)
{
	return partial_is_to_be_kept(target_of(p), detail) ? partial_keep(target_of(p), detail, e)
							   : made_undo_file(target_of(p), detail, e);
}

static int undo_unknown(struct part *p, const json_t *detail, struct err *e)
{
	return made_undo_unknown(target_of(p), detail, e);
}

static int undo_hidden(struct part *p, const json_t *detail, struct err *e)
{
	return monitors_undo(target_of(p), detail, e);
}

static int undo_aside(struct part *p, const json_t *detail, struct err *e)
{
	return in_place_undo(target_of(p), detail, e);
}

static int undo_tap(struct part *p, const json_t *detail, struct err *e)
{
	return taps_undo(target_of(p), detail, e);
}

/* QEMU has ended or is the guest's, and a kept name is no file: there is nothing to undo. */
static int undo_nothing(struct part *p, const json_t *detail, struct err *e)
{
	(void)p, (void)detail, (void)e;
	return 0;
}

/* ---- an earlier life ---- */

void target_describe_for_journal(const struct target *t, json_t *begin)
{
	AUTO_FREE char *boot = boot_id();

	json_object_set_new(begin, "guest", json_string(t->name));
	if (json_text(t->description, "host"))
		json_object_set(begin, "from", json_object_get(t->description, "host"));
	if (boot)
		json_object_set_new(begin, "boot_id", json_string(boot));
	json_object_set_new(begin, "dir", json_string(t->dir));
	json_object_set_new(begin, "run_dir", json_string(t->run_dir));
	json_object_set_new(begin, "qmp", json_string(t->qmp_path));
	if (t->libvirt.uuid)
		json_object_set_new(begin, "libvirt_uuid", json_string(t->libvirt.uuid));
	json_object_set_new(begin, "paused", json_boolean(target_is_paused(t)));
	if (target_is_to_start(t))
		json_object_set_new(begin, "start", json_true());
	if (target_is_revertible(t))
		json_object_set_new(begin, "revertible", json_true());
	if (target_is_in_place(t))
		json_object_set(begin, "in_place", json_object_get(t->description, "in_place"));
	if (target_keep_partial_s(t))
		json_object_set_new(begin, "keep_partial_s", json_integer(target_keep_partial_s(t)));
}

void target_restore(struct target *t)
{
	const struct journal *j = t->part.a->journal;
	const json_t *begin = journal_begin(j), *settings = journal_last_note(j, "settings"), *note = journal_last_note(j, "paused");

	t->qmp_path = xstrdup(json_text(begin, "qmp") ?: "");
	t->settings = settings ? json_deep_copy(settings) : NULL;
	t->description =
		json_pack("{s:b,s:b,s:b}", "paused", json_is_true(json_object_get(note ? note : begin, "paused")), "start",
			  json_is_true(json_object_get(begin, "start")), "revertible", json_is_true(json_object_get(begin, "revertible")));
	if (json_is_object(json_object_get(begin, "in_place")))
		json_object_set(t->description, "in_place", json_object_get(begin, "in_place"));
	t->name = xstrdup(json_text(begin, "guest") ?: "?");
	t->libvirt.uuid = json_text(begin, "libvirt_uuid") ? xstrdup(json_text(begin, "libvirt_uuid")) : NULL;
}

/* Finds the QEMU of an earlier life; the journal knows every QEMU that there was. */
void target_find_qemu_again(struct target *t, bool is_users)
{
	const json_t *note = journal_last_note(t->part.a->journal, "qemu");
	pid_t pid = (pid_t)json_integer_value(json_object_get(note, "pid"));
	uint64_t start = (uint64_t)json_integer_value(json_object_get(note, "start_time"));
	struct err e;

	if (!is_this_boot(json_text(journal_begin(t->part.a->journal), "boot_id")) || !qemu_is_alive(pid, start))
		return;
	t->qemu = (struct qemu_proc){.pid = pid, .pidfd = -1, .start_time = start};
	if (!is_users && !t->libvirt.uuid &&
	    qmp_open(&t->qmp, t->part.a->loop, t->qmp_path, STATUS_MS, &conductor_qmp, &t->part.a->con, &e)) {
		t->qmp = NULL;
		log_info("QEMU of an earlier life: %s", e.msg);
	}
}

/* ---- its life ---- */

static void fini(struct part *p)
{
	struct target *t = target_of(p);

	monitors_let_go(t);
	qmp_close(t->qmp);
	args_result_fini(&t->args);
	obstacles_fini(&t->obstacles);
	json_decref(t->description);
	json_decref(t->settings);
	json_decref(t->whole);
	json_decref(t->notices);
	FREE_ALL(t->name, t->libvirt.uuid, t->exe, t->dir, t->makes_below, t->run_dir, t->qmp_path);
}

static const struct part_undo undo[] = {
	{"dir", "its directory", undo_dir},
	{GUESTS_DIR, "the directory of its disks", undo_guests_dir},
	{"file", "a file", undo_file},
	{"made-by-qemu", "a file of QEMU's", undo_unknown},
	{"hidden", "sockets of its monitors", undo_hidden},
	{"aside", "what the other QEMU had in its places", undo_aside},
	{"tap", "a tap that it is to have", undo_tap},
	{"qemu", "its QEMU", undo_nothing},
	{"name", "a name", undo_nothing},
	{NULL, NULL, NULL},
};

static const struct part_ops ops =
	{.name = "target", .examine = examine, .describe = describe, .prepare = prepare, .undo = undo, .fini = fini};

void target_init(struct target *t, struct attempt *a, const char *runtime_dir)
{
	*t = (struct target){.part = {&ops, a}, .runtime_dir = runtime_dir, .qemu = QEMU_PROC_NONE, .notices = json_array()};
}
