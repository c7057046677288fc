/*
 * head-start.c: a guest that runs, and is to go cold. The files of its disks are copied while its QEMU writes to them, and what arrives is kept at the
 * destination as of a move that fails (PROTOCOL.md, "What is kept"). Nothing in there is believed: once the guest is down an ordinary cold move compares
 * all of it, under lock, and sends what differs. So nothing is asked of the guest's QEMU, which may have no monitor.
 *
 * Each pass is an attempt. The last of them stays connected until the guest is down.
 */
#include "transfer.h"
#include "durable-file.h"
#include "exit-code.h"
#include "guest-at-rest.h"
#include "guest-power.h"
#include "head-start.h"
#include "log.h"
#include "move.h"
#include "process.h"
#include "qemu-migration.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "shell-quote.h"
#include "started-by.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK_MS		25
#define PASSES_MAX	4
#define WORTH_A_PASS	(64 * MIB) /* minimum, because a pass reads all disks at both ends */
#define LASTING_PASS_NS 10000000000ULL
#define KEPT_S		(24 * 3600) /* time for which the destination keeps partial disks */
#define QMP_MS		3000

/* The number of further tries once the guest is shut down, so that a lost network or a reader of its disks does not leave it so. */
#define TRIES_MORE 3
static const unsigned pauses_s[TRIES_MORE] = {3, 10, 30};

bool head_start_runs(const struct move_options *opt)
{
	return opt->cold.head && !opt->cold.head->is_down;
}

/* ---- may it go? ---- */

/* A starter that runs the guest again at once would do so before its disks are locked; the unit is not stopped yet, so its processes count. */
static int check_starter(const struct transfer *t, const struct guest *running, struct err *e)
{
	bool at_boot = false;
	AUTO_FREE char *starter = t->opt->starter.is_stopped ? NULL : guest_starter(running, false, &at_boot, NULL);

	return starter && !at_boot
		       ? err_set(e, EBUSY,
				 "%s, and may start it again as soon as it is down. Stop that first (the guest runs on), and then say so: --starter-stopped",
				 starter)
		       : 0;
}

/* An agent holds the QEMU of a guest that was handed over: such a guest does not run here, and its QEMU's end is no shutdown. */
static int check_runs(const struct transfer *t, const struct guest *running, struct err *e)
{
	(void)t;
	return process_is_stopped(running->pid)
		       ? err_set(e, EBUSY,
				 "a signal stopped the guest's QEMU (process %d), as vmferry does when a guest was handed over: settle "
				 "that move (vmferry recover %s). If another program stopped it: kill -CONT %d",
				 (int)running->pid, running->name, (int)running->pid)
		       : 0;
}

/* Refuses a QEMU to which another program is migrating the guest: until that is over the guest runs elsewhere, and the end of this QEMU
 * says nothing about it. */
static int check_has_come(const struct transfer *t, const struct guest *running, struct err *e)
{
	struct qmp *q = NULL;
	char state[32] = "";
	struct err ignored;

	if (!running->qmp.path || guest_is_libvirts(running) ||
	    guest_open_qmp(t->opt->cold.head->guest, &q, t->a.loop, QMP_MS, NULL, NULL, &ignored))
		return 0;
	if (qemu_migration_run_state(q, t->a.loop, 0, state, &ignored))
		*state = '\0';
	qmp_close(q);
	return strcmp(state, "inmigrate")
		       ? 0
		       : err_set(e, EBUSY,
				 "the guest's QEMU (process %d) waits for the guest, which another program migrates here (-incoming), and "
				 "which may run elsewhere until then: move the guest once it is here",
				 (int)running->pid);
}

static int check_temporary(const struct transfer *t, const struct guest *running, struct err *e)
{
	(void)t;
	return guest_writes_to_temporary(running)
		       ? err_set(e, ENOTSUP,
				 "what the guest writes is in a temporary file (-snapshot), which goes with its QEMU: shut it down, if it can lose that, and "
				 "move it by what starts it")
		       : 0;
}

/* A reader of the disks would be in the way once the guest is down. */
static int check_readers(const struct transfer *t, const struct guest *running, struct err *e)
{
	const struct guest *g = &t->src.guest;

	for (size_t i = 0; i < g->disk_count; i++) {
		pid_t pid = process_that_opened(g->disks[i].real_path, running->pid);
		AUTO_FREE char *who = process_text(pid);

		if (pid)
			return err_set(e, EBUSY,
				       "%s is open in %s, too: it must be left alone when the guest is down, until that has moved",
				       g->disks[i].real_path, who);
	}
	return 0;
}

/* Notes device and inode of each disk's file for the move that follows. */
static void note_images(struct head_start *h, const struct guest *g)
{
	struct stat st;

	json_decref(h->images);
	h->images = json_object();
	for (size_t i = 0; i < g->disk_count; i++)
		if (!stat(g->disks[i].real_path, &st))
			json_object_set_new(h->images, g->disks[i].real_path,
					    json_pack("[I,I]", (json_int_t)st.st_dev, (json_int_t)st.st_ino));
}

/* Compares the images with those in the plan, as another client may make a snapshot, plug in a disk or replace an image at any time. */
static int check_images(const struct transfer *t, const struct guest *running, struct err *e)
{
	int r = guest_writes_to_its_line(running, &t->src.guest, e);

	if (!r)
		note_images(t->opt->cold.head, &t->src.guest);
	return r;
}

int head_start_check_images(const struct transfer *t, struct err *e)
{
	const struct head_start *h = t->opt->cold.head;
	const struct guest *g = &t->src.guest;
	struct stat st;

	for (size_t i = 0; h && i < g->disk_count; i++) {
		const json_t *was = json_object_get(h->images, g->disks[i].real_path);

		if (stat(g->disks[i].real_path, &st))
			return err_sys(e, errno, "cannot look at %s", g->disks[i].real_path);
		if (json_integer_value(json_array_get(was, 0)) != (json_int_t)st.st_dev ||
		    json_integer_value(json_array_get(was, 1)) != (json_int_t)st.st_ino)
			return err_set(e, ESTALE,
				       "%s is not the file that the guest's QEMU had when it ended: it was replaced, so what the guest has "
				       "written would be missing",
				       g->disks[i].real_path);
	}
	return 0;
}

static bool is_served(const struct qemu_opt *opt)
{
	bool device = !strcmp(opt->name, "device"), yes;
	const char *kind;
	struct props p;

	if (!opt->value || (!device && strcmp(opt->name, "netdev")))
		return false;
	props_parse(&p, opt->value);
	kind = device ? kv_get(&p.l, "driver", "driver") : kv_get(&p.l, "type", "type");
	yes = text_starts_with(kind, "vhost-user");
	props_fini(&p);
	return yes;
}

/* A process that serves the guest (virtiofsd, a software switch) must be started before it; here the guest would be started at once. */
static int check_companions(const struct transfer *t, const struct guest *running, struct err *e)
{
	const struct guest_line *l = &t->src.guest.line;
	struct qemu_opt opt;
	size_t i = 1;

	(void)running;
	while (qemu_opt_next(l->expanded, l->expanded_count, &i, &opt))
		if (is_served(&opt))
			return err_set(
				e, ENOTSUP,
				"the guest has -%s %s: another process serves it, which must run at the destination before the guest does. Shut the "
				"guest down, and move it then (--how cold SCRIPT, or its command line behind --)",
				opt.name, opt.value);
	return 0;
}

static bool has_bases(const struct guest *g)
{
	size_t i;

	for (i = 0; i < g->disk_count && !g->disks[i].chain_count; i++)
		;
	return i < g->disk_count;
}

/* The disks may have gone elsewhere while the guest ran (vmferry storage): QEMU knows which its drives have now, its line does not. Whatever is not put
 * right here, as an external snapshot, is refused by what the QEMU has open. */
static void write_in_disks(const struct transfer *t)
{
	struct guest *g = t->opt->cold.head->guest;
	struct qmp *q = NULL;
	struct err ignored;

	if (!g->qmp.path || guest_open_qmp(g, &q, t->a.loop, QMP_MS, NULL, NULL, &ignored))
		return;
	if (guest_query(g, q, &ignored) || (!has_bases(g) && guest_write_in_disks(g, q, NULL, &ignored)))
		log_info("which disks %s has now is not known: %s", g->name, ignored.msg);
	guest_forget_query(g);
	qmp_close(q);
}

/* libvirt's guests are described as libvirt defines them; it starts them, too, so that nothing else is asked who does. */
static int find_running(struct transfer *t, const struct guest *running, struct err *e)
{
	int r;

	if (!guest_is_libvirts(running)) {
		write_in_disks(t);
		return source_check_owner(running, t->opt, e) ?: cold_decide_as(t, e) ?: source_find_at_rest(&t->src, NULL, e) ?: cold_become(t, e);
	}
	r = definition_find(&t->around.definition, running->name, LIBVIRT_RUNNING, e);
	if (!r)
		return err_set(
			e, ENOENT,
			"guest %s seems to be libvirt's, and no libvirt that answers defines it: is it another user's (qemu:///session)? That user "
			"moves it",
			running->name);
	r = r < 0 ? r : recipe_choose(t, "head-start", "libvirt", e) ?: cold_decide_as(t, e);
	return r ?: source_find_at_rest(&t->src, &t->around.definition.guest, e);
}

int head_start_find(struct transfer *t, struct err *e)
{
	static int (*const checks[])(const struct transfer *t, const struct guest *running,
				     struct err *e) = {check_runs,    check_has_come, check_temporary, check_images,
						       check_readers, check_starter,  check_companions};
	const struct guest *running = t->opt->cold.head->guest;
	int r = find_running(t, running, e);

	t->src.guest.ran_as = running->pid;
	disks_rest(&t->disks);
	for (size_t i = 0; i < ARRAY_LEN(checks) && !r; i++)
		if (checks[i](t, running, e))
			r = source_obstacle(&t->src, e);
	if (!r && !guest_has_power_button(running) && !t->opt->cold.head->passes)
		report_notice(
			&t->life.report,
			"the guest has no monitor and no agent by which it could be told to shut down: that is for you to do, once its disks are there");
	return r ?: transfer_open(t, e);
}

/* A later life knows its QEMU from the journal. */
pid_t head_start_known_as(const struct transfer *t)
{
	return t->opt->cold.head ? t->opt->cold.head->guest->pid : t->src.guest.pid;
}

/* ---- what its QEMU says, if it has a monitor ---- */

/* A guest that is down is stopped, too, but QEMU announces its shutdown first. */
static void on_qmp_event(void *ctx, const char *name, json_t *data, uint64_t at_ns)
{
	struct head_start *h = ctx;

	(void)at_ns;
	h->has_said_shutdown |= !strcmp(name, "SHUTDOWN") && json_is_true(json_object_get(data, "guest"));
	if (!strcmp(name, "STOP") || !strcmp(name, "RESUME"))
		h->is_stopped = *name == 'S' && !h->has_said_shutdown;
}

static const struct qmp_handlers listens = {on_qmp_event, NULL};

static void close_monitor(struct head_start *h)
{
	qmp_close(h->qmp);
	h->qmp = NULL;
}

/* A guest that somebody migrates away runs elsewhere. That a migration is completed tells nothing: it may be the one by which the guest came here. */
static int check_is_here(struct transfer *t, struct err *e)
{
	struct qmp *q = t->opt->cold.head->qmp;
	char state[MIGRATION_STATUS_MAX] = "postmigrate";
	int r;

	if (!q || !qmp_alive(q))
		return 0;
	r = qemu_migration_is_over(q) ? qemu_migration_run_state(q, t->a.loop, now_ns() + SOURCE_SETTLES_MS * 1000000ULL, state, e) : 0;
	if (!qmp_alive(q))
		return 0;
	if (r || !qemu_migrated_away(q, state))
		return r;
	t->end.migrated_away = true;
	return err_set(e, ECANCELED, MIGRATED_AWAY);
}

/* ---- how it was started ---- */

/* Under the state directory: nobody else may know it any more once its QEMU has ended, and it may have secrets in it. Malloc'ed. */
static char *start_script_of(const struct transfer *t, pid_t pid)
{
	return xasprintf("%s/start-%d.sh", t->opt->dirs.state, (int)pid);
}

static char *joined(char **words)
{
	char *text = xstrdup("");
	size_t i;

	for (i = 0; words && words[i]; i++) {
		AUTO_FREE char *before = text, *word = shell_quote(words[i]);

		text = xasprintf("%s%s%s", before, i ? " " : "", word);
	}
	args_free_strings(words, i);
	return text;
}

static int write_start_script(const struct transfer *t, struct err *e)
{
	struct head_start *h = t->opt->cold.head;
	const struct guest *g = h->guest;
	AUTO_FREE char *path = start_script_of(t, g->pid), *cwd = shell_quote(g->cwd ?: "/");
	AUTO_FREE char *line = qemu_args_start_line(g->line.argv, g->line.argc, g->exe, NULL);
	AUTO_FREE char *libraries = shell_quote(g->env.ld_library_path ?: ""), *modules = shell_quote(g->env.module_dir ?: "");
	AUTO_FREE char *swtpm = joined(g->tpm.socket ? swtpm_line(&g->tpm, "swtpm", true) : NULL);
	AUTO_FREE char *text = xasprintf(
		"#!/bin/sh\n# Starts the guest %s as it ran here before it was shut down for a move.\ncd %s || exit\n%s%s%s%s%s%s%s%s"
		"exec %s\n",
		g->name, cwd, g->env.ld_library_path ? "export LD_LIBRARY_PATH=" : "", g->env.ld_library_path ? libraries : "",
		g->env.ld_library_path ? "\n" : "", g->env.module_dir ? "export QEMU_MODULE_DIR=" : "", g->env.module_dir ? modules : "",
		g->env.module_dir ? "\n" : "", swtpm, *swtpm ? "\n" : "", line);

	if (h->start_script || t->recipe->owner)
		return 0;
	unlink(path); /* file of an earlier process that had the same pid */
	if (write_new_file(path, 0700, text, e))
		return err_prefix(e, "how the guest was started here");
	h->start_script = xstrdup(path);
	return 0;
}

/* ---- copy ---- */

static int copy_head_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;
	struct head_start *h = t->opt->cold.head;
	struct err ignored;

	if (h->guest->qmp.path && !t->recipe->owner && guest_open_qmp(h->guest, &h->qmp, t->a.loop, QMP_MS, &listens, h, &ignored))
		h->qmp = NULL;
	conductor_tick(&t->a.con, TICK_MS);
	t->pace.begun = true;
	return parts_begin(&t->parts, e);
}

/* The attempt ends, and what has arrived is kept. */
static int end_pass(struct transfer *t, struct err *e)
{
	t->end.brought = true;
	return err_set(e, ECANCELED, "the destination does not say that it keeps what has arrived");
}

static int has_gone_down(struct transfer *t, struct err *e)
{
	struct head_start *h = t->opt->cold.head;

	struct err ignored; /* the guest's QEMU has ended */

	if (h->qmp)
		qmp_drain(h->qmp, &ignored);
	if (h->qmp && !h->has_said_shutdown && !h->is_stopped)
		report_notice(
			&t->life.report,
			"the guest's QEMU ended without a shutdown of the guest: vmferry moves its disks as they are, as after a power "
			"failure");
	h->is_down = true;
	h->down_ns = now_ns();
	if (write_start_script(t, e))
		return -e->code;
	t->end.migrated_away = h->is_stopped;
	return h->is_stopped
		       ? err_set(e, ECANCELED,
				 "the guest was stopped, and not shut down, when its QEMU here ended: another client may have migrated it "
				 "away by QEMU itself, so vmferry does not start it at the destination")
		       : end_pass(t, e);
}

/*
 * The first pass is followed by one that compares: less has changed by its end, and what the last step has to read was read just before, so that it lies in
 * the page cache. Others follow where so much has changed while this one lasted that it is worth it before anybody waits.
 */
static bool is_worth_another(const struct transfer *t)
{
	const struct head_start *h = t->opt->cold.head;

	return !h->passes ||
	       (h->passes + 1 < PASSES_MAX && now_ns() - t->life.begin_ns > LASTING_PASS_NS && data_plane_moved(&t->data) > WORTH_A_PASS);
}

static int tell_to_shut_down(struct transfer *t, struct err *e)
{
	struct head_start *h = t->opt->cold.head;
	const char *by = "";
	int r = guest_press_power(h->guest, h->qmp, &by, e);

	if (r)
		return r;
	h->is_told = true;
	t->around.power.until_ns = now_ns() + t->opt->warm.shutdown_timeout_s * 1000000000ULL;
	report_notice(&t->life.report, "the guest's disks are at the destination: the guest is told to shut down now (%s)", by);
	return 0;
}

/* Waits until the guest's owner has shut it down, by whatever means. */
static void wait_for_owner(struct transfer *t, const char *why)
{
	AUTO_FREE char *name = text_shown(t->src.guest.name);

	report_notice(
		&t->life.report,
		"the guest's disks are at the destination: shut the guest down now, from inside or by other means. vmferry then copies "
		"what has changed since, and starts the guest at the destination (vmferry cancel %s ends the wait)%s%s",
		name, *why ? ". vmferry did not tell it to shut down: " : "", why);
}

/*
 * The guest's unit is held first, so that it does not start the guest again at once. What others have changed since this pass began must not make the move fail
 * once the guest is down: another pass looks at all of it.
 */
static int ask_for_end(struct transfer *t, struct err *e)
{
	struct head_start *h = t->opt->cold.head;
	struct err why = {.msg = ""};
	int r = check_images(t, h->guest, e);

	if (r)
		return qemu_is_alive(h->guest->pid, h->guest->start_time) ? r : 0; /* the next tick sees its end */
	h->is_wanted = true;
	if (definition_is_as_found(&t->around.definition, &why) == -ESTALE)
		return end_pass(t, e);
	why.msg[0] = '\0';
	r = write_start_script(t, e) ?: unit_hold(&t->around.unit, e);
	if (r)
		return r;
	h->is_asked = true;
	if (!guest_has_power_button(h->guest) || tell_to_shut_down(t, &why))
		wait_for_owner(t, why.msg);
	return 0;
}

/* The guest runs on until it is down, or has taken too long for that. */
static int wait_on(struct transfer *t, struct err *e)
{
	struct head_start *h = t->opt->cold.head;
	AUTO_FREE char *name = text_shown(t->src.guest.name);
	bool was_held = t->pace.held;

	t->pace.held = true;
	if (h->is_asked)
		return !t->around.power.until_ns || now_ns() < t->around.power.until_ns
			       ? 0
			       : err_set(e, ETIMEDOUT, "the guest did not shut down within %u s (--shutdown-timeout)",
					 t->opt->warm.shutdown_timeout_s);
	if (!t->opt->stop.hold || t->pace.stop_wanted || h->is_wanted)
		return ask_for_end(t, e);
	if (!was_held)
		report_notice(&t->life.report,
			      "the guest's disks are at the destination: the guest runs on here until it is shut down, or you say: "
			      "vmferry switch %s",
			      name);
	return 0;
}

static int tick(struct transfer *t, struct err *e)
{
	const struct guest *running = t->opt->cold.head->guest;
	bool second = copy_tick(t, false);

	if (!qemu_is_alive(running->pid, running->start_time))
		return has_gone_down(t, e);
	/* open files of a QEMU that is ending cannot be read */
	if (second && check_images(t, running, e) && qemu_is_alive(running->pid, running->start_time))
		return -e->code;
	return second ? check_is_here(t, e) : 0;
}

static int copy_head_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r = common_event(t, ev, e);

	if (r || t->a.con.stage != ST_COPY || ev->kind != EVENT_TICK)
		return r;
	r = tick(t, e);
	if (r || !disks_read(&t->disks) || !disks_idle(&t->disks))
		return r;
	disks_note_known(&t->disks);
	return !t->pace.held && is_worth_another(t) ? end_pass(t, e) : wait_on(t, e);
}

static int does_not_happen(void *ctx, struct err *e)
{
	(void)ctx;
	return err_set(e, ENOTRECOVERABLE, "a guest that runs is not handed over cold");
}

const struct stage head_start_stages[] = {
	[ST_CONNECT] = {"connect", connect_enter, connect_event},
	[ST_PREFLIGHT] = {"preflight", preflight_enter, preflight_event},
	[ST_PREPARE] = {"prepare", prepare_enter, prepare_event},
	[ST_COPY] = {"copy", copy_head_enter, copy_head_event},
	[ST_SWITCHOVER] = {"switchover", does_not_happen, common_event},
	[ST_COMMIT] = {"commit", does_not_happen, common_event},
	[ST_RELEASE] = {"release", NULL, common_event},
};

static bool has_moved(const struct transfer *t)
{
	return t->a.handoff.state == HO_SRC_RELEASED;
}

/* The guest is down here, and where it is is beyond doubt. */
static bool may_be_tried_again(const struct transfer *t)
{
	const struct head_start *h = t->opt->cold.head;

	return h->is_over && h->tries < TRIES_MORE && !has_moved(t) && !t->a.undecided && !handoff_is_given_up(&t->a.handoff) &&
	       !t->end.user_cancelled && !t->a.dead;
}

bool head_start_goes_on(struct transfer *t)
{
	struct head_start *h = t->opt->cold.head;

	if (!h)
		return false;
	close_monitor(h);
	if (t->src.guest.ran_as &&
	    !t->around.unit.autostart.unit) { /* the guest's unit does not concern the move, nor the one that follows */
		free(h->guest->unit.name);
		h->guest->unit.name = NULL;
	}
	if (!(t->end.brought && t->peer.aborted) && !may_be_tried_again(t))
		return false;
	if (h->is_over)
		report_again(&t->life.report, pauses_s[h->tries],
			     "the guest is shut down, and its move has failed: %s. It is tried again in %u s", t->end.why.msg,
			     pauses_s[h->tries]);
	h->passes++;
	h->wire_bytes += t->data.wire_bytes;
	return true;
}

/* ---- the journal, and the result ---- */

void head_start_describe(const struct transfer *t, json_t *begin)
{
	const struct head_start *h = t->opt->cold.head;
	AUTO_FREE char *path = h ? start_script_of(t, h->guest->pid) : NULL;

	if (path && text_is_utf8(path))
		json_object_set_new(begin, "start_here", json_string(path));
}

/* A pass is known by the QEMU whose disks it reads. */
void head_start_describe_for_journal(struct transfer *t, json_t *begin)
{
	const struct guest *running = t->opt->cold.head->guest;

	cold_describe_for_journal(t, begin);
	json_object_set_new(begin, "pid", json_integer(running->pid));
	json_object_set_new(begin, "start_time", json_integer((json_int_t)running->start_time));
}

/* The guest runs here, and nobody has told it to shut down. */
static bool is_as_before(const struct transfer *t)
{
	const struct head_start *h = t->opt->cold.head;

	return h ? !h->is_told && !h->is_down : t->src.guest.pid && qemu_is_alive(t->src.guest.pid, t->src.guest.start_time);
}

/* The script is for whoever must start the guest here again. */
void head_start_tell(const struct transfer *t, json_t *result)
{
	const struct head_start *h = t->opt->cold.head;
	const json_t *begin = t->a.journal ? journal_begin(t->a.journal) : NULL;
	const char *script = h ? h->start_script : json_string_value(json_object_get(begin, "start_here"));
	bool is_here = !t->a.handing_off || t->a.handoff.state == HO_SRC_ABORTED;

	if (h && h->is_down && h->passes > h->tries)
		json_object_set_new(result, "ahead",
				    json_pack("{s:i,s:f,s:I}", "passes", (int)(h->passes - h->tries), "ms",
					      (double)(t->life.begin_ns - h->begin_ns) / 1e6, "bytes_wire", (json_int_t)h->wire_bytes));
	if (has_moved(t) && h)
		json_object_set_new(result, "away_ms", json_real((double)((t->blackout.started_ns ?: now_ns()) - h->down_ns) / 1e6));
	if (!script || access(script, F_OK))
		return;
	if (has_moved(t) || (is_here && is_as_before(t)))
		unlink(script);
	else if (is_here && !t->a.undecided)
		json_object_set_new(result, "start_here", json_string(script));
}

/* ---- all of it ---- */

static int refuse_words(const struct move_options *o)
{
	const char *why = o->disks.keep.none ? "--keep-partial no" : !o->reconnect_ms ? "--reconnect-timeout 0" : NULL;

	if (why)
		fprintf(stderr,
			"vmferry: with %s nothing of its disks could go ahead, as that is kept at the destination. Shut the guest down, and move it by what starts it\n",
			why);
	return why ? EXIT_USAGE : 0;
}

static void pause_before(const struct head_start *h)
{
	if (h->is_over)
		poll(NULL, 0, (int)pauses_s[h->tries] * 1000);
}

int head_start_run(struct move_options *o, struct guest *running)
{
	struct head_start head = {.guest = running, .begin_ns = now_ns()};
	unsigned passes = 0;
	int code = refuse_words(o);

	if (code)
		return code;
	o->cold.head = &head;
	o->cold.start = true;
	o->disks.keep.partial_s = o->disks.keep.partial_s ?: KEPT_S;
	code = move_run(o);
	o->prepared = NULL; /* told once */
	while (head.passes > passes) {
		passes = head.passes;
		pause_before(&head);
		head.tries += head.is_over;
		head.is_down |= !qemu_is_alive(running->pid, running->start_time);
		head.down_ns = head.down_ns ?: now_ns();
		head.is_over = head.is_down;
		code = move_run_another(o);
	}
	o->cold.head = NULL;
	json_decref(head.images);
	disks_forget_known(&head);
	free(head.start_script);
	return code;
}
