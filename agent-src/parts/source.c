/* source.c: see source.h. */
#include "source.h"
#include "source-images.h"
#include "source-sockets.h"
#include "earlier-moves.h"
#include "error-stop.h"
#include "fault.h"
#include "guest-at-rest.h"
#include "head-start.h"
#include "host-grants.h"
#include "json-text.h"
#include "milestone.h"
#include "process.h"
#include "qemu-args-json.h"
#include "qemu-cpu.h"
#include "qemu-migration.h"
#include "qmp-advice.h"
#include "util.h"
#include "rom-sizes.h"
#include "virtio-rings.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define QMP_OPEN_MS	 5000
#define QEMU_END_MS	 2000
#define GUARD_MONITOR_MS 2000 /* the guard tries again */

static struct source *source_of(struct part *p)
{
	return container_of(p, struct source, part);
}

int source_obstacle(struct source *s, const struct err *e)
{
	obstacles_add(&s->obstacles, e);
	return s->qmp && (!qmp_alive(s->qmp) || e->code == ETIMEDOUT) ? -e->code : 0;
}

/* ---- its monitor ---- */

static int open_monitor(struct source *s, unsigned ms, struct err *e)
{
	struct attempt *a = s->part.a;

	return s->libvirt.uuid ? qmp_open_libvirt(&s->qmp, a->loop, s->libvirt.uuid, s->guest.pid, ms, &conductor_qmp, &a->con, e)
			       : guest_open_qmp(&s->guest, &s->qmp, a->loop, ms, &conductor_qmp, &a->con, e);
}

int source_query(struct source *s, struct err *e)
{
	return open_monitor(s, QMP_OPEN_MS, e) ?: guest_query(&s->guest, s->qmp, e);
}

int source_open_monitor(struct source *s, struct err *e)
{
	return open_monitor(s, s->patient ? GUARD_MONITOR_MS : QMP_DEADLINE_MS, e);
}

/* True if the guest's monitor is open. libvirt reports the end of a QEMU later than we can see it. */
static bool is_heard(const struct source *s)
{
	return s->qmp && qmp_alive(s->qmp) && (!s->libvirt.uuid || qemu_is_alive(s->guest.pid, s->guest.start_time));
}

bool source_has_ended(const struct source *s)
{
	uint64_t until = now_ns() + QEMU_END_MS * 1000000ULL;

	if (is_heard(s))
		return false;
	while (qemu_is_alive(s->guest.pid, s->guest.start_time) && now_ns() < until)
		poll(NULL, 0, 2);
	return !qemu_is_alive(s->guest.pid, s->guest.start_time);
}

int source_reach(struct source *s, struct err *e)
{
	if (!s->part.a->handoff.qemu_alive)
		return 0;
	if (is_heard(s))
		return 1;
	s->unreachable = s->unreachable || !source_has_ended(s);
	return s->unreachable ? err_set(e, EPIPE, "its monitor %s cannot be reached", s->guest.qmp.path ?: "through libvirt") : 0;
}

int source_undo(struct source *s, int (*undo)(struct source *s, const json_t *detail, struct err *e), const json_t *detail, struct err *e)
{
	struct err ignored;
	int r = source_reach(s, e);

	if (r <= 0)
		return r ?: 1;
	r = undo(s, detail, e);
	return !r || source_reach(s, &ignored) ? r : 1;
}

int source_run_state(struct source *s, char out[32], uint64_t until_ns, struct err *e)
{
	return qemu_migration_run_state(s->qmp, s->part.a->loop, until_ns, out, e);
}

bool source_runs(const char *state)
{
	return !strcmp(state, "running") || !strcmp(state, "suspended");
}

/* ---- how it runs ---- */

int source_set_paused(struct source *s, bool paused, struct err *e)
{
	s->run.paused = paused;
	return s->part.a->journal ? attempt_note(s->part.a, "paused", json_pack("{s:b}", "paused", paused), e) : 0;
}

int source_note_stopped(struct source *s, bool stopped, struct err *e)
{
	int r = attempt_note(s->part.a, "stopped", json_pack("{s:b}", "ours", stopped), e);

	s->run.stopped = stopped;
	return r;
}

int source_stop(struct source *s, bool whoever, struct err *e)
{
	char state[32] = "";
	int r;

	if (s->run.paused)
		return 0;
	r = source_note_stopped(s, true, e);
	fault_point("src-stop-noted");
	r = r || whoever ? r : source_run_state(s, state, 0, e); /* the journal took a while */
	if (!r && !strcmp(state, "paused"))
		return source_set_paused(s, true, e) ?: source_note_stopped(s, false, e);
	r = r ?: qmp_call(s->qmp, "stop", NULL, NULL, e);
	fault_point("src-stopped");
	return r;
}

int source_note_migration(struct source *s, bool ours, bool ends_noted, struct err *e)
{
	int r = attempt_note(s->part.a, "migration", json_pack("{s:b,s:b}", "ours", ours, "ends_noted", ends_noted), e);

	s->migrating = ours;
	return r;
}

/* ---- may it be moved? ---- */

/* JSON cannot describe text that is not UTF-8. */
static int check_text(const struct guest *g, struct err *e)
{
	for (size_t i = 0; i < g->line.argc; i++)
		if (!text_is_utf8(g->line.argv[i]))
			return err_set(e, EILSEQ, "argument %zu of the guest's command line is not UTF-8 text", i);
	for (size_t i = 0; i < g->disk_count; i++)
		if (g->disks[i].real_path && !text_is_utf8(g->disks[i].real_path))
			return err_set(e, EILSEQ, "the name of the disk file %s is not UTF-8 text", g->disks[i].real_path);
	if (g->qmp.path && !text_is_utf8(g->qmp.path))
		return err_set(e, EILSEQ, "the name of the guest's monitor %s is not UTF-8 text", g->qmp.path);
	if (!text_is_utf8(g->cwd))
		return err_set(e, EILSEQ, "the name of QEMU's directory %s is not UTF-8 text", g->cwd);
	return 0;
}

/* A Pacemaker cluster takes a guest that leaves without its doing for stopped, and starts it again. */
static int check_cluster(const struct guest *g, const struct move_options *opt, struct err *e)
{
	if (!g->resource || opt->owner == OWNER_PACEMAKER || opt->how == HOW_DISKS || opt->how == HOW_REPLICA)
		return 0;
	return err_set(
		e, EPERM,
		"guest %s is the resource %s of Pacemaker, which would start it again here: crm_resource --move --resource %s --node NODE "
		"has Pacemaker move it. In its maintenance mode: --owner pacemaker",
		g->name, g->resource, g->resource);
}

int source_check_owner(const struct guest *g, const struct move_options *opt, struct err *e)
{
	if (g->owner_hint && strcmp(g->owner_hint, "libvirt"))
		return err_set(e, ENOTSUP, "guest %s belongs to %s, which would lose track of it; move it with `qm remote-migrate`",
			       g->name, g->owner_hint);
	if (g->owner_hint)
		return err_set(
			e, ENOTSUP,
			"guest %s belongs to libvirt, whose guests go live, quick, or shut down (--how cold: its disks go ahead while it runs, and "
			"libvirt shuts it down then)",
			g->name);
	return guest_check_user(g, e) ? err_prefix(e, "guest %s", g->name) : check_cluster(g, opt, e);
}

static int examine_cpu(struct source *s, struct err *e)
{
	json_t *kvm;
	int r = qmp_call(s->qmp, "query-kvm", NULL, &kvm, e);

	if (r)
		return r;
	s->machine.accel = json_is_true(json_object_get(kvm, "enabled")) ? "kvm" : "tcg";
	json_decref(kvm);
	r = qemu_cpu(s->qmp, &s->machine.cpu, e);
	if (r || !qemu_cpu_needs_names(s->machine.cpu))
		return r;
	return qemu_cpu_names(s->qmp, NULL, s->machine.cpu, e);
}

static int examine_rings(struct source *s, struct err *e)
{
	return virtio_rings_used(s->qmp, &s->machine.rings, e);
}

static int examine_roms(struct source *s, struct err *e)
{
	return rom_sizes_ask(s->qmp, &s->machine.roms, e);
}

/* A point may be made of a guest that has shut down while its QEMU stays: its last, before it is taken over. */
static bool may_have_shut_down(const struct source *s)
{
	return s->opt->how == HOW_REPLICA && !strcmp(s->guest.status, "shutdown");
}

static int check_state(struct source *s, struct err *e)
{
	const char *state = s->guest.status, *notice = run_state_notice(state);

	s->run.was_running = !strcmp(state, "running");
	if (!run_state_moves(state) && !may_have_shut_down(s))
		return err_set(
			e, EBUSY, "the guest is in state '%s', and a guest can be moved that runs, or would go on by cont; %s", state,
			!strcmp(state, "postmigrate") && !qemu_migrated_away(s->qmp, state)
				? "a migration that came to nothing has left it so: let it run (QMP cont), then pause it again if it is to stand still"
				: run_state_way_out(state));
	s->run.paused = !s->run.was_running;
	s->end.was_shut = may_have_shut_down(s);
	s->run.ran = s->run.was_running;
	if (notice)
		report_notice(s->report, "%s", notice);
	return 0;
}

static bool line_has(const struct guest *g, const char *word)
{
	size_t i;

	for (i = 0; i < g->line.expanded_count && !strstr(g->line.expanded[i], word); i++)
		;
	return i < g->line.expanded_count;
}

/* An nvdimm keeps its contents in a file that is not a disk. */
static int check_nvdimm(const struct guest *g, struct err *e)
{
	return line_has(g, "nvdimm") ? err_set(e, ENOTSUP, "the guest has memory that it keeps (nvdimm), which is carried live only") : 0;
}

static int check_boots(const struct source *s, struct err *e)
{
	return s->run.paused
		       ? err_set(e, EBUSY, "the guest is stopped, and cannot shut down: let it go on (QMP cont) before it is moved warm")
		       : check_nvdimm(&s->guest, e);
}

/* A copy of the disks alone starts no migration in QEMU, so nothing else would notice one. */
static int check_stays(const struct source *s, struct err *e)
{
	char status[MIGRATION_STATUS_MAX];

	if (s->opt->replica && line_has(&s->guest, "nvdimm"))
		return err_set(e, ENOTSUP,
			       "the guest has memory that it keeps in a file (nvdimm), which would be in no point of its replica");
	return qemu_migration_is_over(s->qmp)
		       ? 0
		       : err_set(e, EBUSY, "a migration of this guest is under way (QEMU says: %s)", qemu_migration_status(s->qmp, status));
}

static void tell_what_was_written_in(const struct source *s)
{
	for (size_t i = 0; i < s->guest.notes.count; i++)
		report_notice(s->report, "%s", s->guest.notes.text[i]);
}

/* Checks what the guest needs so that its name can be sent, and that it is ours. */
static int check_can_be_told(const struct source *s, struct err *e)
{
	int r = s->guest.pid && !s->libvirt.uuid ? source_check_owner(&s->guest, s->opt, e) : 0;

	r = r ?: check_text(&s->guest, e);
	if (!r && !text_is_utf8(s->opt->dirs.runtime))
		r = err_set(e, EILSEQ, "the name of the runtime directory %s is not UTF-8 text", s->opt->dirs.runtime);
	return r;
}

static int check_earlier_moves(struct source *s, struct err *e)
{
	return earlier_moves_check(s->opt->dirs.state, &s->guest, s->report, e);
}

static int check_drift(struct source *s, struct err *e)
{
	size_t before = obstacles_count(&s->obstacles);
	int r = s->libvirt.uuid && !s->libvirt.goes_plain ? 0 : guest_check_drift(&s->guest, s->qmp, &s->obstacles, e);

	if (!r && !s->libvirt.uuid && !s->traits.stays_here)
		host_grants_note(&s->guest, s->guest.pid);
	if (!r && obstacles_count(&s->obstacles) == before)
		tell_what_was_written_in(s);
	else if (s->libvirt.goes_plain)
		report_notice(s->report,
			      "what was changed while the guest ran is changed back by virsh, or the guest goes shut down (--how cold)");
	return r;
}

static int watch(struct source *s, struct err *e)
{
	int r = guest_watch_begin(&s->watch, &s->guest, s->qmp, e);

	return r ?: source_images_of(&s->guest, s->qmp, &s->images, e) ?: guest_watch_check(&s->watch, e);
}

static int check_kind(struct source *s, struct err *e)
{
	if (s->traits.carries_memory && s->libvirt.uuid &&
	    !s->libvirt.goes_plain) /* the guest's devices are not on the line that is tried there */
		return examine_cpu(s, e);
	if (s->traits.carries_memory)
		return examine_cpu(s, e) ?: examine_rings(s, e) ?: examine_roms(s, e);
	return s->traits.stays_here ? check_stays(s, e) : check_boots(s, e);
}

static int examine(struct part *p, struct err *e)
{
	static int (*const checks[])(struct source * s, struct err * e) = {check_earlier_moves, check_drift, watch, check_state,
									   check_kind};
	struct source *s = source_of(p);
	size_t i, before = obstacles_count(&s->obstacles);
	int r = check_can_be_told(s, e);

	for (i = 0; i < ARRAY_LEN(checks) && !r; i++)
		if (checks[i](s, e))
			r = source_obstacle(s, e);
	s->examined = !r && obstacles_count(&s->obstacles) == before;
	return r;
}

static int examine_at_rest(struct part *p, struct err *e)
{
	struct source *s = source_of(p);
	int r = check_can_be_told(s, e);

	if (!r)
		tell_what_was_written_in(s);
	return r || !check_earlier_moves(s, e) ? r : source_obstacle(s, e);
}

/* ---- what is told of it ---- */

static json_t *map_net(const struct option_list *nets)
{
	json_t *out = json_object();

	for (unsigned i = 0; i < nets->count; i++) {
		const char *what = strchr(nets->at[i], '=');
		AUTO_FREE char *nic = xasprintf("%.*s", (int)(what - nets->at[i]), nets->at[i]);

		json_object_del(out, nic); /* the last word about a NIC is the last in it */
		json_object_set_new(out, nic, json_string(what + 1));
	}
	return out;
}

static void set_text(json_t *out, const char *key, const char *value)
{
	if (value)
		json_object_set_new(out, key, json_string(value));
}

static char *version_of(const struct guest *g)
{
	return xasprintf("%d.%d.%d", g->version.major, g->version.minor, g->version.micro);
}

/* "guid=auto" is another one with each QEMU: the guest would take itself for a copy. NULL: it has none. */
static json_t *generation_of(const struct source *s)
{
	json_t *said = NULL, *guid;
	struct err ignored;

	if (!s->qmp || qmp_call(s->qmp, "query-vm-generation-id", NULL, &said, &ignored))
		return NULL;
	guid = json_incref(json_object_get(said, "guid"));
	json_decref(said);
	return guid;
}

/* A guest whose line has no QMP monitor on a unix socket gets one there, so that it can be moved on. */
static void add_monitor(struct source *s, json_t *argv)
{
	const struct guest *g = &s->guest;
	char **paths, *words[QMP_WORDS_MAX];
	size_t count = qemu_args_qmp_paths(g->line.expanded, g->line.expanded_count, &paths), n, i, ours = 0;

	for (i = 0; i < count; i++)
		ours += args_qmp_is_ours(paths[i]);
	args_free_strings(paths, count);
	if (count > ours || !g->line.expanded_count || s->libvirt.is_its || s->libvirt.is_its_there)
		return;
	n = qmp_words(g->name, g->line.expanded, g->line.expanded_count, words);
	for (i = 0; i < n; i++) {
		json_array_append_new(argv, json_string(words[i]));
		free(words[i]);
	}
	s->adds_monitor = true;
}

static int describe(struct part *p, json_t *out, struct err *e)
{
	struct source *s = source_of(p);
	const struct guest *g = &s->guest;
	AUTO_FREE char *version = version_of(g);
	json_t *argv = json_array(), *env = json_object();

	(void)e;
	for (size_t i = 0; i < g->line.argc && !s->libvirt.line_there; i++)
		json_array_append_new(argv, json_string(g->line.argv[i]));
	json_array_extend(argv, s->libvirt.line_there);
	if (!s->libvirt.line_there)
		add_monitor(s, argv);
	if (!s->opt->qemu) { /* the paths would be wrong for another QEMU */
		set_text(env, "LD_LIBRARY_PATH", g->env.ld_library_path);
		set_text(env, "QEMU_MODULE_DIR", g->env.module_dir);
	}
	set_text(out, "name", g->name);
	set_text(out, "exe", s->opt->qemu ?: g->exe);
	if (s->opt->qemu)
		json_object_set_new(out, "only_exe", json_true());
	set_text(out, "machine", s->traits.carries_memory ? g->machine : s->opt->machine);
	set_text(out, "cwd", s->libvirt.line_there ? "/" : g->cwd);
	set_text(out, "accel", s->machine.accel);
	set_text(out, "cpu_model", g->cpu.model);
	if (g->version.major && s->traits.carries_memory)
		set_text(out, "qemu_version", version);
	json_object_set_new(out, "argv", argv);
	json_object_set_new(out, "env", env);
	if (s->machine.cpu)
		json_object_set(out, "cpu", s->machine.cpu);
	if (s->machine.rings)
		json_object_set(out, "rings", s->machine.rings);
	if (json_object_size(s->machine.roms))
		json_object_set(out, "roms", s->machine.roms);
	json_object_set_new(out, "vcpus", json_integer((json_int_t)g->cpu.count));
	json_object_set_new(out, "ram_bytes", json_integer((json_int_t)g->ram_bytes));
	json_object_set_new(out, "paused", json_boolean(s->run.paused));
	if (line_has(g, "vmgenid"))
		json_object_set_new(out, "vmgenid", generation_of(s));
	if (g->line.config_count)
		json_object_set_new(out, "configs", args_configs_json(g->line.configs, g->line.config_count));
	if (s->opt->map_net.count && !s->libvirt.is_its_there) /* libvirt's definition has the networks */
		json_object_set_new(out, "map_net", map_net(&s->opt->map_net));
	return 0;
}

/* 0: it is shut down. */
static pid_t runs_as(const struct source *s)
{
	const struct head_start *h = s->opt->cold.head;

	return h && !h->is_down ? h->guest->pid : s->guest.pid;
}

static void tell(const struct part *p, enum part_tale tale, json_t *out)
{
	const struct source *s = container_of(p, const struct source, part);
	AUTO_FREE char *version = version_of(&s->guest);

	if (tale != TELL_PLAN && tale != TELL_STATUS)
		return;
	set_text(out, "guest", s->guest.name);
	json_object_set_new(out, "pid", json_integer(runs_as(s)));
	if (tale == TELL_STATUS)
		return;
	set_text(out, "machine", s->guest.machine);
	if (s->guest.version.major)
		set_text(out, "qemu_version", version);
	json_object_set_new(out, "ram_bytes", json_integer((json_int_t)s->guest.ram_bytes));
	json_object_set_new(out, "paused", json_boolean(s->run.paused));
}

/* ---- an earlier life ---- */

/* Paths of all monitors; in place each may be set aside for a moment, under a name of this attempt, which is listed, too. */
static json_t *monitors(const struct source *s)
{
	const struct guest *g = &s->guest;
	json_t *out = json_array();

	for (size_t i = 0; i < g->qmp.count; i++) {
		AUTO_FREE char *aside = s->opt->in_place ? attempt_id_name(s->part.a->id, g->qmp.all[i]) : NULL;

		json_array_append_new(out, json_string(g->qmp.all[i]));
		if (aside)
			json_array_append_new(out, json_string(aside));
	}
	return out;
}

void source_describe_for_journal(const struct source *s, json_t *begin)
{
	AUTO_FREE char *boot = boot_id();

	set_text(begin, "guest", s->guest.name);
	json_object_set_new(begin, "pid", json_integer(s->guest.pid));
	json_object_set_new(begin, "start_time", json_integer((json_int_t)s->guest.start_time));
	set_text(begin, "qmp", s->guest.qmp.path);
	set_text(begin, "libvirt_uuid", s->libvirt.uuid);
	if (s->libvirt.is_transient)
		json_object_set_new(begin, "transient", json_true());
	json_object_set_new(begin, "monitors", monitors(s));
	set_text(begin, "boot_id", boot);
	json_object_set_new(begin, "paused", json_boolean(s->run.paused));
	json_object_set(begin, "disks", s->disk_paths);
	json_object_set(begin, "shared", s->shared_paths);
	json_object_set(begin, "by_word", s->disks_by_word);
	json_object_set(begin, "images", s->images);
	if (s->opt->replica) /* the agent that makes the next point settles it first */
		json_object_set_new(begin, "to_replica", json_true());
}

/* The one that the agent had, and the others. */
static void restore_monitors(struct guest *g, const json_t *begin)
{
	const json_t *all = json_object_get(begin, "monitors");
	json_t *path;
	size_t i;

	g->qmp.path = xstrdup(json_text(begin, "qmp") ?: "");
	g->qmp.all = xcalloc(json_array_size(all) + 1, sizeof(*g->qmp.all));
	json_array_foreach((json_t *)all, i, path)
		if (json_is_string(path))
			g->qmp.all[g->qmp.count++] = xstrdup(json_string_value(path));
}

void source_restore(struct source *s)
{
	const struct journal *j = s->part.a->journal;
	const json_t *begin = journal_begin(j), *note = journal_last_note(j, "paused");

	s->guest.name = xstrdup(json_text(begin, "guest") ?: "?");
	s->guest.pid = (pid_t)json_integer_value(json_object_get(begin, "pid"));
	s->guest.start_time = (uint64_t)json_integer_value(json_object_get(begin, "start_time"));
	restore_monitors(&s->guest, begin);
	s->libvirt.uuid = json_text(begin, "libvirt_uuid") ? xstrdup(json_text(begin, "libvirt_uuid")) : NULL;
	s->libvirt.is_transient = json_is_true(json_object_get(begin, "transient"));
	s->run.paused = json_is_true(json_object_get(note ? note : begin, "paused"));
	s->run.stopped = json_is_true(json_object_get(journal_last_note(j, "stopped"), "ours"));
	note = journal_last_note(j, "migration");
	s->migrating = json_is_true(json_object_get(note, "ours"));
	s->cannot_be_complete = json_is_true(json_object_get(note, "ends_noted")) && !journal_last_note(j, "disks-written");
	json_decref(s->disk_paths);
	s->disk_paths = json_deep_copy(json_object_get(begin, "disks"));
	json_decref(s->shared_paths);
	s->shared_paths = json_deep_copy(json_object_get(begin, "shared"));
	json_decref(s->disks_by_word);
	s->disks_by_word = json_deep_copy(json_object_get(begin, "by_word"));
	s->images = json_incref(json_object_get(begin, "images"));
}

/* ---- its life ---- */

static uint32_t reached(const struct part *p)
{
	return guest_watch_answered(&container_of(p, const struct source, part)->watch) ? M_LOOKED_AT : 0;
}

static void fini(struct part *p)
{
	struct source *s = source_of(p);

	qmp_close(s->qmp);
	guest_watch_fini(&s->watch);
	guest_fini(&s->guest);
	json_decref(s->machine.cpu);
	json_decref(s->machine.rings);
	json_decref(s->machine.roms);
	obstacles_fini(&s->obstacles);
	json_decref(s->disk_paths);
	json_decref(s->shared_paths);
	json_decref(s->disks_by_word);
	json_decref(s->images);
	free(s->script);
	free(s->libvirt.uuid);
	json_decref(s->libvirt.line_there);
}

static int prepare(struct part *p, struct err *e)
{
	return source_sockets_prepare(source_of(p), e);
}

static int undo_sockets(struct part *p, const json_t *detail, struct err *e)
{
	(void)p;
	return source_sockets_undo(detail, e);
}

static const struct part_undo undo[] = {{SOCKET_DIR, "the directory of its sockets", undo_sockets}, {NULL, NULL, NULL}};

static const struct part_ops ops = {.name = "source",
				    .examine = examine,
				    .describe = describe,
				    .prepare = prepare,
				    .reached = reached,
				    .undo = undo,
				    .tell = tell,
				    .fini = fini};

static const struct part_ops at_rest = {.name = "source", .examine = examine_at_rest, .describe = describe, .tell = tell, .fini = fini};

void source_is_in_point(struct source *s)
{
	static const struct part_ops in_point = {.name = "source", .tell = tell, .fini = fini};

	s->part.ops = &in_point;
}

int source_find_at_rest(struct source *s, const struct libvirt_guest *libvirts, struct err *e)
{
	int r;

	s->part.ops = &at_rest;
	s->libvirt.is_its = libvirts;
	if (libvirts)
		r = libvirt_describe(libvirts, &s->guest, e);
	else if (s->opt->cold.head)
		r = guest_at_rest_of(&s->guest, s->opt->cold.head->guest, e);
	else
		r = guest_at_rest(&s->guest, s->opt->vm, s->opt->cold.line, s->opt->cold.words, &s->script, e);
	if (!r && !libvirts && !s->opt->cold.head && guest_boots_from_disks(&s->guest, e))
		r = source_obstacle(s, e);
	return r || !guest_write_in_own_files(&s->guest, &s->obstacles, e) ? r : source_obstacle(s, e);
}

#define SWAP(member)                                                                                                                       \
	do {                                                                                                                               \
		__typeof__(a->member) kept = a->member;                                                                                    \
                                                                                                                                           \
		a->member = b->member;                                                                                                     \
		b->member = kept;                                                                                                          \
	} while (0)

/* Swaps the members that a definition and a command line give. */
static void swap_guests(struct guest *a, struct guest *b)
{
	SWAP(exe);
	SWAP(cwd);
	SWAP(line);
	SWAP(env);
	SWAP(disks);
	SWAP(disk_count);
	SWAP(ram_bytes);
	SWAP(cpu.count);
}

/* The line is another one then, by which nobody starts it; what starts it here, and its TPM, are what they are. */
int source_become_libvirts(struct source *s, const struct libvirt_guest *becomes, struct err *e)
{
	struct guest line;
	int r = libvirt_describe(becomes, &line, e);

	if (r) {
		guest_fini(&line);
		return r;
	}
	for (size_t i = 0; i < line.notes.count; i++)
		guest_note(&s->guest, "%s", line.notes.text[i]);
	swap_guests(&s->guest, &line);
	guest_fini(&line);
	s->libvirt.is_its_there = true;
	return 0;
}

void source_init(struct source *s, struct attempt *a, const struct move_options *opt, struct report *report)
{
	*s = (struct source){.part = {&ops, a},
			     .opt = opt,
			     .report = report,
			     .disk_paths = json_array(),
			     .shared_paths = json_array(),
			     .disks_by_word = json_array()};
}
