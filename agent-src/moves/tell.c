/* tell.c: the plan, the progress, the status and the result of a move as events (docs/report.md): each part tells its own. */
#include "transfer.h"
#include "ending.h"
#include "exit-code.h"
#include "head-start.h"
#include "json-text.h"
#include "replica-sync.h"
#include "shell-quote.h"
#include "util.h"
#include "version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void set_text(json_t *ev, const char *key, const char *value)
{
	json_object_set_new(ev, key, json_string(value));
}

static void set_number(json_t *ev, const char *key, uint64_t value)
{
	json_object_set_new(ev, key, json_integer((json_int_t)value));
}

static void set_real(json_t *ev, const char *key, double value)
{
	json_object_set_new(ev, key, json_real(value));
}

static void set_flag(json_t *ev, const char *key, bool value)
{
	json_object_set_new(ev, key, json_boolean(value));
}

static double ms(uint64_t from, uint64_t to)
{
	return from && to > from ? (double)(to - from) / 1e6 : 0;
}

/* ---- plan ---- */

static void append_sentence(json_t *list, const char *fmt, const json_t *what)
{
	AUTO_FREE char *s = json_string_value(what) ? xasprintf("%s%s", fmt, json_string_value(what)) : NULL;

	if (s)
		json_array_append_new(list, json_string(s));
}

/* Lists what might start the guest here again, and what the move does about it. */
static void plan_starters(const struct transfer *t, json_t *list)
{
	const struct aside *a = &t->around.aside;

	if (a->starter && a->images)
		json_array_append_new(
			list, json_sprintf("%s: so that it does not start the guest here again, the guest's disks get other names here",
					   a->starter));
	else if (a->starter)
		json_array_append_new(list, json_sprintf("%s: as you say, it does not start the guest here again", a->starter));
	for (size_t i = 0; i < a->scripts.count; i++)
		if (a->scripts.list[i].ours)
			json_array_append_new(list, json_sprintf("vmferry renames %s here, so that it cannot start the guest a second time",
								 a->scripts.list[i].path));
}

static void plan_libvirt(const struct transfer *t, json_t *list)
{
	const struct libvirt_guest *l = &t->around.definition.guest;
	AUTO_FREE char *snapshots =
		l->snapshot_count ? xasprintf(", with %zu snapshot%s", l->snapshot_count, l->snapshot_count == 1 ? "" : "s") : xstrdup("");

	if (!l->xml)
		return;
	if (l->is_transient && definition_is_left_behind(&t->around.definition))
		return;
	if (l->is_transient) {
		json_array_append_new(
			list, json_sprintf("libvirt there (%s) has the guest, transient as here: it forgets it once it is shut down",
					   json_text(t->around.definition.there, "libvirt") ?: "?"));
		return;
	}
	if (!definition_is_left_behind(&t->around.definition))
		json_array_append_new(list, json_sprintf("libvirt there (%s) defines the guest%s; %s",
							 json_text(t->around.definition.there, "libvirt") ?: "?", snapshots,
							 !l->autostart	    ? "it does not start when that host boots"
							 : l->is_plain_here ? "it starts when that host boots"
									    : "it starts when that host boots, as it does here"));
	if (definition_is_libvirts(&t->around.definition))
		json_array_append_new(
			list,
			json_string("libvirt here does not define it any more: its definition is kept in a file that the result names"));
}

/* Lists changes outside of both QEMUs that follow once the guest runs there. */
static json_t *plan_afterwards(const struct transfer *t)
{
	json_t *list = json_array();

	if (t->opt->revert_within_s) {
		AUTO_FREE char *held = xasprintf(
			"for %u s after it has begun to run there the guest is held here, and can be had back as it was, with its clock behind by as long "
			"as it ran there: vmferry revert",
			t->opt->revert_within_s);

		json_array_append_new(list, json_string(held));
	}
	if (t->around.unit.autostart.note)
		json_array_append_new(list, json_string(t->around.unit.autostart.note));
	if (t->src.adds_monitor)
		json_array_append_new(list,
				      json_string(
					      "vmferry adds a QMP monitor to the guest's command line there, which has none here, so that "
					      "the guest can be moved again"));
	append_sentence(list, "what starts the guest again there: ", json_object_get(t->told.plan, "start_script"));
	plan_libvirt(t, list);
	append_sentence(list, "installed and enabled there, for the next boot: ", json_object_get(t->told.plan, "unit"));
	plan_starters(t, list);
	return list;
}

/* Lists what the destination decided about files that the guest only reads. */
static json_t *plan_files(const struct transfer *t)
{
	const json_t *described = json_object_get(t->told.description, "files");
	json_t *out = json_array(), *c;
	size_t i;

	json_array_foreach(json_object_get(t->told.plan, "carry"), i, c) {
		const json_t *f = json_array_get(described, (size_t)json_integer_value(json_object_get(c, "file")));
		const char *to = json_string_value(json_object_get(c, "to"));

		json_array_append_new(out, json_pack("{s:O*,s:O*,s:O*,s:O*,s:s*,s:O*,s:O*}", "from", json_object_get(f, "path"), "role",
						     json_object_get(f, "role"), "kind", json_object_get(f, "kind"), "size",
						     json_object_get(f, "size"), "to", to, "transfer", json_object_get(c, "transfer"),
						     "other", json_object_get(c, "other")));
	}
	return out;
}

/* Lists programs that QEMU will run there, as its user there. */
static json_t *plan_programs(const struct transfer *t)
{
	json_t *out = json_array(), *f;
	size_t i;

	json_array_foreach(json_object_get(t->told.plan, "files"), i, f) {
		const char *role = json_string_value(json_object_get(f, "role"));
		json_t *to = json_object_get(f, "to");

		if (role && !strcmp(role, "script") && json_is_string(to))
			json_array_append(out, to);
	}
	return out;
}

void tell_plan(struct transfer *t)
{
	static const char *const as_said[][2] = {{"nics", "nics"},	   {"destination_qemu_version", "qemu_version"},
						 {"findings", "findings"}, {"cautions", "cautions"},
						 {"notes", "notes"},	   {"command_line", "argv"},
						 {"there", "host"}};
	json_t *ev = json_object();

	set_text(ev, "software", VMFERRY_VERSION);
	set_text(ev, "destination", t->opt->dest.where);
	if (t->opt->in_place)
		set_flag(ev, "in_place", true);
	if (t->opt->plan.only)
		set_flag(ev, "trial", true);
	if (t->opt->stop.at)
		set_number(ev, "held_until", (uint64_t)t->opt->stop.at);
	parts_tell(&t->parts, TELL_PLAN, ev);
	json_object_set_new(ev, "files", plan_files(t));
	json_object_set_new(ev, "programs", plan_programs(t));
	json_object_set_new(ev, "afterwards", plan_afterwards(t));
	for (size_t i = 0; i < ARRAY_LEN(as_said); i++)
		if (json_object_get(t->told.plan, as_said[i][1]))
			json_object_set(ev, as_said[i][0], json_object_get(t->told.plan, as_said[i][1]));
	life_emit(&t->life, "plan", ev);
}

/* ---- progress and status ---- */

static void set_outages(const struct transfer *t, json_t *ev)
{
	json_t *outages = outage_tell(t);

	if (outages)
		json_object_set_new(ev, "outages", outages);
}

uint64_t tell_left(struct transfer *t)
{
	uint64_t left = disks_left(&t->disks) + ram_left_to_come(&t->ram);

	if (!t->src.traits.guest_runs) /* disks have been read soon, and may be on their way for long */
		left += data_plane_unacked(&t->data);
	t->pace.most_left = MAX(t->pace.most_left, left);
	return left;
}

/* A guest that is stopped first stands still until everything has arrived. */
static void predict_stopped(const struct transfer *t, uint64_t left, json_t *ev)
{
	struct converge_fixed fixed = switchover_takes(t);
	double eta_s = report_eta_s(left, t->pace.rate);

	if (t->src.run.stopped && t->blackout.stop_ns && (eta_s > 0 || !left))
		set_real(ev, "predicted_downtime_ms", ms(t->blackout.stop_ns, now_ns()) + eta_s * 1000 + converge_fixed_ms(&fixed));
}

#define SILENT_S 2

/* Silence is told once sent data stay unacknowledged, long before a connection is given up. */
static void set_silence(struct transfer *t, json_t *ev)
{
	struct pace *p = &t->pace;
	uint64_t acked = data_plane_acked(&t->data), now = now_ns();

	if (acked != p->acked || !p->acked_ns || !data_plane_unacked(&t->data)) {
		p->acked = acked;
		p->acked_ns = now;
	}
	if (now - p->acked_ns >= SILENT_S * 1000000000ULL)
		set_number(ev, "silent_s", (now - p->acked_ns) / 1000000000);
}

/* Sets how long the move waits for the guest to end; meanwhile nothing is copied. */
static void set_wait(const struct transfer *t, json_t *ev)
{
	const struct head_start *h = t->opt->cold.head;
	bool is_asked = h && !h->is_down && h->is_asked;

	if ((t->a.con.stage == ST_SWITCHOVER && t->around.power.asked && !t->around.power.off) || (is_asked && t->around.power.until_ns))
		set_number(ev, "shutdown_left_s", (uint64_t)(ms(now_ns(), t->around.power.until_ns) / 1000));
	else if (is_asked)
		set_flag(ev, "waits_for_owner", true);
}

/* Sets what progress and status have in common. */
static void set_pace(struct transfer *t, json_t *ev)
{
	uint64_t left = tell_left(t);

	set_text(ev, "stage", stage_names[t->a.con.stage]);
	set_real(ev, "t_ms", (double)(now_ns() - t->life.begin_ns) / 1e6);
	set_number(ev, "left", left);
	if (t->pace.most_left)
		set_real(ev, "percent", 100.0 * (double)(t->pace.most_left - left) / (double)t->pace.most_left);
	set_real(ev, "rate_bps", t->pace.rate);
	set_real(ev, "dirty_bps", t->ram.load.dirty_per_s);
	set_real(ev, "eta_s", t->pace.held ? 0 : report_eta_s(left, t->pace.rate));
	set_flag(ev, "held", t->pace.held);
	set_silence(t, ev);
	set_wait(t, ev);
	if (t->src.traits.stops_first)
		predict_stopped(t, left, ev);
	else if (t->src.migrating && t->ram.pass.number > 1)
		set_real(ev, "predicted_downtime_ms", t->pace.converge.dry_ms);
}

void tell_progress(struct transfer *t, bool second)
{
	json_t *ev = json_object();

	set_pace(t, ev);
	set_flag(ev, "second", second);
	set_text(ev, "codec", codec_name((enum data_codec)__atomic_load_n(&t->data.shared.codec_now, __ATOMIC_RELAXED)));
	parts_tell(&t->parts, TELL_PROGRESS, ev);
	set_outages(t, ev);
	life_emit(&t->life, "progress", ev);
}

json_t *tell_status(struct transfer *t)
{
	json_t *status = json_pack("{s:s,s:s*,s:s*}", "how", t->recipe->how, "destination", t->life.subject.to, "attempt",
				   *t->life.attempt ? t->life.attempt : NULL);

	set_pace(t, status);
	if (t->queue.waits.ahead)
		json_object_set_new(status, "waits",
				    json_pack("{s:s,s:I}", "for", t->queue.waits.here ? "out" : "in", "ahead",
					      (json_int_t)t->queue.waits.ahead));
	if (t->revert.open)
		set_number(status, "revert_until", (uint64_t)t->revert.until);
	parts_tell(&t->parts, TELL_STATUS, status);
	set_outages(t, status);
	return status;
}

/* ---- result ---- */

static json_t *downtime(const struct transfer *t)
{
	const struct blackout *b = &t->blackout;
	json_t *d = json_object();

	set_real(d, "total", ms(b->stop_ns, b->started_ns));
	set_real(d, "disk", t->disks.count ? ms(b->stop_ns, t->disks.end.durable_ns) : 0);
	set_real(d, "ram", ms(b->stop_ns, t->ram.done_ns));
	set_real(d, "recheck", ms(t->ram.done_ns, __atomic_load_n(&t->data.shared.rechecked_ns, __ATOMIC_RELAXED)));
	set_real(d, "device_state", t->peer.load_ms);
	if (t->peer.take_over_ms > 0)
		set_real(d, "take_over", t->peer.take_over_ms);
	set_real(d, "journal", (double)b->noted_ns / 1e6 + t->peer.noted_ms);
	set_real(d, "start", t->peer.start_ms);
	set_real(d, "predicted", b->predicted_ms > 1e8 ? 0 : b->predicted_ms);
	if (t->src.traits.carries_memory && !t->src.traits.stops_first)
		set_number(d, "allowed", t->opt->stop.max_downtime_ms);
	return d;
}

/* CPU time of the kernel's workers counts as CPU_OTHER, not as the data plane's: on this side QEMU reads the disks. */
static json_t *cpu_used(const struct transfer *t)
{
	return json_pack("{s:o,s:O*}", "source", cpu_meter_json(&t->a.cpu_used, cpu_stages_source, CPU_OTHER), "destination",
			 t->peer.cpu_used);
}

/* A raw disk that is a part of its file: what else is in there was not copied. */
static bool holds_more(const struct guest *g, const char *path)
{
	for (size_t i = 0; i < g->disk_count; i++)
		if ((g->disks[i].bounds.begins_later || g->disks[i].bounds.ends_by_size) && g->disks[i].real_path &&
		    !strcmp(g->disks[i].real_path, path))
			return true;
	return false;
}

/* The source's files that nobody needs any more. */
static json_t *deletable(const struct transfer *t)
{
	json_t *out = json_array(), *path;
	struct stat st;
	size_t i;

	json_array_foreach(t->src.disk_paths, i, path) {
		AUTO_FREE char *now = aside_path(&t->around.aside, json_string_value(path));

		if (!stat(now, &st) && S_ISREG(st.st_mode) && !holds_more(&t->src.guest, json_string_value(path)))
			json_array_append_new(out, json_pack("{s:s,s:I}", "path", now, "bytes", (json_int_t)st.st_blocks * 512));
	}
	return out;
}

static void add_afterwards(const struct transfer *t, json_t *ev)
{
	static const char *const from_there[] = {"start_script", "unit", "after_reboot", "after_error", "defined"};
	static const char *const flags[] = {"autostart", "started", "transient"};

	for (size_t i = 0; i < ARRAY_LEN(from_there); i++)
		if (json_is_string(json_object_get(t->peer.afterwards, from_there[i])))
			json_object_set(ev, from_there[i], json_object_get(t->peer.afterwards, from_there[i]));
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (json_is_boolean(json_object_get(t->peer.afterwards, flags[i])))
			json_object_set(ev, flags[i], json_object_get(t->peer.afterwards, flags[i]));
	if (json_is_integer(json_object_get(t->peer.afterwards, "started_pid")))
		json_object_set(ev, "started_pid", json_object_get(t->peer.afterwards, "started_pid"));
	json_object_set_new(ev, "disabled", t->around.unit.disabled ? json_incref(t->around.unit.disabled) : json_array());
	json_object_set_new(ev, "deletable", deletable(t));
}

#define LEFTOVERS_MAX	   32
#define LEFTOVER_BYTES_MAX 2048

void take_leftovers(struct transfer *t, const json_t *detail)
{
	const json_t *told = json_object_get(detail, "leftovers");
	json_t *one;
	size_t i;

	json_decref(t->peer.leftovers);
	t->peer.leftovers = json_array();
	t->peer.told = json_array_size(told);
	t->peer.kept = (size_t)json_integer_value(json_object_get(detail, "kept"));
	json_array_foreach((json_t *)told, i, one) {
		const char *s = json_string_value(one);
		AUTO_FREE char *text = s && i < LEFTOVERS_MAX ? xasprintf("at the destination: %.*s", LEFTOVER_BYTES_MAX, s) : NULL;

		if (!text)
			continue;
		text_make_utf8(text);
		json_array_append_new(t->peer.leftovers, json_string(text));
	}
}

bool has_leftovers(const struct transfer *t)
{
	return json_array_size(t->a.leftovers) || json_array_size(t->peer.leftovers);
}

/* Leftovers of both sides; an empty array if all is clean. */
static json_t *leftovers(const struct transfer *t)
{
	json_t *all = json_copy(t->a.leftovers);

	if (t->peer.leftovers)
		json_array_extend(all, t->peer.leftovers);
	if (t->a.handing_off && t->a.handoff.state == HO_SRC_ABORTED && !t->peer.aborted && cutover_keeps_partial(t))
		json_array_append_new(all, json_string("at the destination: its agent could not be reached; what has arrived there of the "
						       "disks is kept: vmferry recover, with --resume, goes on with it, and without "
						       "removes it"));
	else if (t->a.handing_off && t->a.handoff.state == HO_SRC_ABORTED && !t->peer.aborted)
		json_array_append_new(all, json_string("at the destination: its agent could not be reached to clean up: its disks and a "
						       "waiting QEMU may be there; vmferry recover, or the next start of "
						       "vmferry-dst there, removes them"));
	return all;
}

/* Sets what was carried, and over which transport. */
static void tell_transport(const struct transfer *t, json_t *ev)
{
	set_number(ev, "bytes_wire", t->data.wire_bytes);
	set_number(ev, "agent_rss_anon", t->a.rss_anon_max);
	set_number(ev, "destination_agent_rss_anon", t->peer.rss_anon);
	json_object_set_new(ev, "cpu_s", cpu_used(t));
	if (!t->data.channels)
		return;
	set_outages(t, ev);
	set_text(ev, "transport", dest_transport(&t->dest));
	json_object_set_new(ev, "io_uring",
			    json_pack("{s:b,s:b}", "source", loop_has_io_uring(t->a.loop), "destination", t->peer.has_io_uring));
}

/* Summary of a life in which nothing went wrong: what the earlier life left is undone. */
static const char *what_recover_did(const struct transfer *t)
{
	if (has_leftovers(t))
		return "vmferry has undone the guest's move, which had been cut off, but for what is listed";
	if (!t->peer.aborted)
		return "vmferry has undone the guest's move here, which had been cut off";
	return t->peer.forgotten ? "vmferry has undone the guest's move here, which had been cut off; the destination has forgotten it"
				 : "vmferry has removed what the guest's move, which had been cut off, had made here and at the "
				   "destination";
}

/* Reason why the copy is not verified in full; NULL: all was compared with the guest's state when it stopped. */
static const char *why_unverified(const struct transfer *t)
{
	if (!ram_is_known_whole(&t->ram))
		return "all digests matched, but what a guest without KVM has written to its memory is QEMU's word alone, and that now and "
		       "then leaves out a page";
	return t->opt->replica && t->opt->replica->planned
		       ? "all digests matched of what was sent; the rest of its disks is the replica's, and was compared as its points were made"
		       : NULL;
}

/* line is freed. */
static char *with_word(char *line, const char *word)
{
	AUTO_FREE char *before = line;
	AUTO_FREE char *quoted = shell_quote(word);

	return xasprintf("%s %s", before, quoted);
}

/* The command that was given for its disks alone, as it moves the guest. Malloc'ed; NULL: it is not known. */
static char *move_again(const json_t *move)
{
	char *line = move ? xstrdup("vmferry migrate") : NULL;
	json_t *word;
	size_t i;

	json_array_foreach(json_object_get(move, "words"), i, word) {
		const char *text = json_string_value(word) ?: "";

		if (strcmp(text, "--only-disks") != 0 && !text_starts_with(text, "--keep-partial"))
			line = with_word(line, text);
	}
	return line ? with_word(with_word(line, json_text(move, "vm") ?: "VM"), json_text(move, "dest") ?: "DEST") : NULL;
}

/* The guest's name for the report, and the command to go on with, where something of its disks is kept. */
static void tell_how_to_go_on(const struct transfer *t, json_t *ev)
{
	AUTO_FREE char *again = ahead_has_brought(t) ? move_again(t->opt->disks.keep.move) : NULL;

	set_number(ev, "kept", t->peer.kept);
	if (t->opt->vm ?: t->src.guest.name)
		set_text(ev, "vm", t->opt->vm ?: t->src.guest.name);
	if (again)
		set_text(ev, "move_again", again);
}

void tell_result(struct transfer *t)
{
	struct ending_words o = ending_words(t);
	json_t *left = leftovers(t), *ev = json_pack("{s:s}", "event", "result");

	set_text(ev, "outcome", o.outcome);
	set_text(ev, "guest", o.guest);
	set_text(ev, "guest_text", o.text);
	set_text(ev, "where", o.where);
	set_text(ev, "how", t->recipe->how);
	if (t->src.run.broken && t->src.run.paused)
		set_text(ev, "stopped_by", t->src.run.broken);
	if (t->opt->in_place)
		set_flag(ev, "in_place", true);
	set_number(ev, "exit_code", (uint64_t)t->a.exit_code);
	set_real(ev, "total_ms", ms(t->life.begin_ns, now_ns() - t->revert.lasted_ns));
	set_flag(ev, "verified", t->blackout.prepared_ns != 0 && !why_unverified(t));
	if (t->blackout.prepared_ns && why_unverified(t))
		set_text(ev, "unverified", why_unverified(t));
	set_number(ev, "destination_pid", (uint64_t)t->peer.pid);
	json_object_set_new(ev, "downtime_ms", downtime(t));
	parts_tell(&t->parts, TELL_RESULT, ev);
	tell_transport(t, ev);
	if (t->end.why.code && !ahead_has_brought(t) && !replica_has_point(t))
		set_text(ev, "reason", t->end.why.msg);
	else if (t->entry == &entry_recover && t->a.handoff.state == HO_SRC_ABORTED)
		set_text(ev, "reason", what_recover_did(t));
	if (t->entry == &entry_recover)
		set_flag(ev, "by_recover", true);
	if (t->end.user_cancelled)
		set_flag(ev, "cancelled", true);
	if (t->end.kind == ENDING_MAY_GO_DOWN)
		set_flag(ev, "may_go_down", true);
	if (t->revert.asked && t->a.handoff.state == HO_SRC_ABORTED)
		set_flag(ev, "reverted", true);
	if (obstacles_count(&t->src.obstacles) && !t->a.handing_off)
		json_object_set(ev, "obstacles", t->src.obstacles.list);
	if (!strcmp(o.outcome, "migrated"))
		add_afterwards(t, ev);
	if (t->opt->replica && t->opt->replica->outcome.durable)
		set_number(ev, "point", t->opt->replica->outcome.number);
	if (t->opt->replica && t->opt->replica->outcome.would_start)
		json_object_set(ev, "would_start", t->opt->replica->outcome.would_start);
	if (t->opt->replica && t->opt->replica->outcome.replaced)
		set_flag(ev, "replaced", true);
	head_start_tell(t, ev);
	if (json_array_size(left))
		json_object_set(ev, "leftovers", left);
	if (t->peer.kept)
		tell_how_to_go_on(t, ev);
	json_decref(left);
	if (t->opt->replica) {
		t->opt->replica->outcome.absent = t->end.kind == ENDING_NOT_FOUND && t->end.why.code == ENOENT;
		json_decref(t->opt->replica->outcome.event);
		t->opt->replica->outcome.event = json_incref(ev);
	}
	life_over(&t->life, ev);
}
