/* move-report.c: the plan, the status and the result of a move as events (docs/report.md). */
#include "move-private.h"
#include "exit-code.h"
#include "option-words.h"
#include "util.h"
#include "version.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *plan_disk_to(const json_t *accept, uint32_t object)
{
	json_t *d;
	size_t i;

	json_array_foreach(json_object_get(accept, "disks"), i, d)
		if (json_integer_value(json_object_get(d, "object")) == object)
			return json_string_value(json_object_get(d, "path"));
	return NULL;
}

static void append_sentence(json_t *list, const char *fmt, const json_t *what)
{
	AUTO_FREE char *s = json_string_value(what) ? xasprintf("%s%s", fmt, json_string_value(what)) : NULL;

	if (s)
		json_array_append_new(list, json_string(s));
}

/* What will be changed outside of both QEMUs once the guest runs there. */
static json_t *plan_afterwards(const struct move *m, const json_t *accept)
{
	json_t *list = json_array();

	if (m->autostart.note)
		json_array_append_new(list, json_string(m->autostart.note));
	append_sentence(list, "what starts the guest again there: ", json_object_get(accept, "start_script"));
	append_sentence(list, "installed and enabled there, for the next boot: ", json_object_get(accept, "unit"));
	return list;
}

static json_t *plan_disk(const struct move *m, const struct disk *d)
{
	const struct guest_disk *g = d->guest;
	json_t *described = json_array_get(json_object_get(m->description, "disks"), d->object - OBJECT_DISK_BASE);
	AUTO_FREE char *mode = xasprintf("%03o", (unsigned)json_integer_value(json_object_get(described, "mode")));
	AUTO_FREE char *owner = xasprintf("%d:%d", (int)json_integer_value(json_object_get(described, "uid")),
					  (int)json_integer_value(json_object_get(described, "gid")));

	return json_pack("{s:s,s:s,s:s,s:s,s:I,s:O*,s:s,s:b,s:s,s:s,s:b}", "node", g->node, "from", g->real_path, "to", d->to, "format",
			 g->format, "virtual_size", (json_int_t)g->virtual_size, "allocated", json_object_get(described, "allocated"),
			 "transfer", "copy", "flatten", g->chain_count && !move_keeps_chain(m, g), "mode", mode, "owner", owner, "acl",
			 json_object_get(described, "acl") != NULL);
}

/* What becomes of files that the guest only reads, as the destination decided. */
static json_t *plan_files(const struct move *m, const json_t *accept)
{
	const json_t *described = json_object_get(m->description, "files");
	json_t *out = json_array(), *c;
	size_t i;

	json_array_foreach(json_object_get(accept, "carry"), i, c) {
		const json_t *f = json_array_get(described, (size_t)json_integer_value(json_object_get(c, "file")));
		const char *to = json_string_value(json_object_get(c, "to"));

		json_array_append_new(out, json_pack("{s:O*,s:O*,s:O*,s:s*,s:O*,s:O*}", "from", json_object_get(f, "path"), "role",
						     json_object_get(f, "role"), "size", json_object_get(f, "size"), "to", to,
						     "transfer", json_object_get(c, "transfer"), "other", json_object_get(c, "other")));
	}
	return out;
}

/* What QEMU will run there, as the user that it has there. */
static json_t *plan_programs(const json_t *accept)
{
	json_t *out = json_array(), *f;
	size_t i;

	json_array_foreach(json_object_get(accept, "files"), i, f) {
		const char *role = json_string_value(json_object_get(f, "role"));
		json_t *to = json_object_get(f, "to");

		if (role && !strcmp(role, "script") && json_is_string(to))
			json_array_append(out, to);
	}
	return out;
}

void move_emit_plan(struct move *m, const json_t *accept)
{
	AUTO_FREE char *version = xasprintf("%d.%d.%d", m->guest.qemu_major, m->guest.qemu_minor, m->guest.qemu_micro);
	json_t *disks = json_array();
	unsigned i;

	for (i = OBJECT_DISK_BASE; i < OBJECT_DISK_BASE + m->disk_count; i++) {
		const char *to = plan_disk_to(accept, i);

		m->disks[i].to = xstrdup(to ? to : "?");
		json_array_append_new(disks, plan_disk(m, &m->disks[i]));
	}
	report_emit(&m->report,
		    json_pack("{s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:I,s:b,s:s,s:o,s:o,s:o,s:O*,s:O*,s:O*,s:O*,s:O*,s:o}", "event", "plan", "software",
			      VMFERRY_VERSION, "guest", m->guest.name, "pid", (int)m->guest.pid, "machine",
			      m->guest.machine, "qemu_version", version, "destination", m->opt->dest.where, "ram_bytes",
			      (json_int_t)m->guest.ram_bytes, "paused", m->paused, "ram_mode",
			      m->opt->ram_mode == RAM_WISH_AUTO
				      ? "pages, placed straight into the destination's memory (opaque where that is not possible)"
				      : ram_mode_words[m->opt->ram_mode],
			      "disks", disks, "files", plan_files(m, accept), "programs", plan_programs(accept), "nics",
			      json_object_get(accept, "nics"), "destination_qemu_version", json_object_get(accept, "qemu_version"), "findings",
			      json_object_get(accept, "findings"), "notes", json_object_get(accept, "notes"), "command_line",
			      json_object_get(accept, "argv"), "afterwards", plan_afterwards(m, accept)));
}

json_t *move_status(struct move *m)
{
	return json_pack("{s:s,s:i,s:s,s:s,s:f,s:I,s:I,s:I,s:b,s:s}", "guest", m->guest.name, "pid", (int)m->guest.pid, "destination",
			 m->opt->dest.where, "stage", stage_names[m->con.stage], "rate_bps", m->rate_bps, "ram_left",
			 (json_int_t)m->ram.left, "disk_left", (json_int_t)(m->reader ? disks_left(m) : 0), "ram_round",
			 (json_int_t)m->ram.pass, "held", m->held, "mode", m->opaque ? "opaque" : "pages");
}

/* ---- result ---- */

struct outcome {
	const char *outcome, *guest, *text, *where;
};

static struct outcome outcome(const struct move *m)
{
	enum handoff_state s = m->handoff.state;

	if (!m->handing_off && !m->guest.pid)
		return (struct outcome){"refused", "none", "not found", "nowhere"};
	if (!m->handing_off)
		return (struct outcome){"refused", "source", "on the source, untouched", "source"};
	if (m->undecided || s == HO_SRC_COMMITTED)
		return (struct outcome){"undecided", "undecided",
					"undecided: it may run at the destination; it is held on the source. Run: vmferry recover", "undecided"};
	if (s == HO_SRC_RELEASED)
		return (struct outcome){"migrated", "destination", "on the destination", "destination"};
	if (m->over && m->handoff.qemu_alive)
		return (struct outcome){"rolled-back", "source", "on the source, where that move left it", "source"};
	if (m->over)
		return (struct outcome){"rolled-back", "none", "not of that move any more: its source QEMU of then has ended since", "nowhere"};
	if (m->guest_shut_down)
		return (struct outcome){"rolled-back", "shut-down", "shut down by itself during the move", "nowhere"};
	if (!m->handoff.qemu_alive)
		return (struct outcome){"rolled-back", "none", "nowhere: its QEMU has ended during the move; its disks are whole at the source", "nowhere"};
	if (m->migrated_away)
		return (struct outcome){"rolled-back", "source-paused", "migrated away by somebody else; its old QEMU on the source stands still",
					"source"};
	if (m->exit_code == EXIT_PAUSED)
		return (struct outcome){"rolled-back", "source-paused", "paused on the source (QMP cont resumes it)", "source"};
	return (struct outcome){"rolled-back", "source", m->paused ? "on the source, paused as it was" : "running on the source", "source"};
}

static double ms(uint64_t from, uint64_t to)
{
	return from && to > from ? (double)(to - from) / 1e6 : 0;
}

static json_t *downtime(const struct move *m)
{
	return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f}", "total", ms(m->blackout.stop_ns, m->blackout.started_ns), "disk",
			 m->disk_count ? ms(m->blackout.stop_ns, m->blackout.disks_done_ns) : 0.0, "ram",
			 ms(m->blackout.stop_ns, m->blackout.ram_done_ns), "device_state", m->peer.load_ms, "start", m->peer.start_ms,
			 "predicted", m->blackout.predicted_ms > 1e8 ? 0.0 : m->blackout.predicted_ms);
}

static json_t *disks_json(const struct move *m)
{
	json_t *out = json_array();
	unsigned i;

	for (i = OBJECT_DISK_BASE; i < OBJECT_DISK_BASE + m->disk_count; i++) {
		const struct disk *d = &m->disks[i];

		json_array_append_new(out, json_pack("{s:s,s:s,s:s*,s:i,s:I,s:I,s:s}", "node", d->guest->node, "from",
						     d->guest->real_path, "to", d->to, "rounds", (int)d->round + 1,
						     "bytes_read", (json_int_t)d->read_bytes, "bytes_wire",
						     (json_int_t)m->sent.disk_bytes[i], "format", d->guest->format));
	}
	return out;
}

/* What the kernel's workers do here is not the data plane's: QEMU reads the disks. */
static json_t *cpu_used(const struct move *m)
{
	return json_pack("{s:o,s:O*}", "source", cpu_meter_json(&m->cpu_used, cpu_stages_source, CPU_OTHER), "destination",
			 m->peer.cpu_used);
}

/* The source's files that nobody needs any more. */
static json_t *deletable(const struct move *m)
{
	json_t *out = json_array(), *path;
	struct stat st;
	size_t i;

	json_array_foreach(m->source_disks, i, path)
		if (!stat(json_string_value(path), &st) && S_ISREG(st.st_mode))
			json_array_append_new(out, json_pack("{s:O,s:I}", "path", path, "bytes", (json_int_t)st.st_blocks * 512));
	return out;
}

static void add_afterwards(const struct move *m, json_t *ev)
{
	static const char *const from_there[] = {"start_script", "unit", "after_reboot", "after_error"};
	size_t i;

	for (i = 0; i < ARRAY_LEN(from_there); i++)
		if (json_is_string(json_object_get(m->peer.afterwards, from_there[i])))
			json_object_set(ev, from_there[i], json_object_get(m->peer.afterwards, from_there[i]));
	json_object_set(ev, "disabled", m->disabled);
	json_object_set_new(ev, "deletable", deletable(m));
}

#define LEFTOVERS_MAX	   32
#define LEFTOVER_BYTES_MAX 2048

void move_take_leftovers(struct move *m, const json_t *told)
{
	json_t *one;
	size_t i;

	json_decref(m->peer.leftovers);
	m->peer.leftovers = json_array();
	json_array_foreach((json_t *)told, i, one) {
		const char *s = json_string_value(one);
		AUTO_FREE char *text = s && i < LEFTOVERS_MAX ? xasprintf("at the destination: %.*s", LEFTOVER_BYTES_MAX, s) : NULL;

		if (!text)
			continue;
		text_make_utf8(text);
		json_array_append_new(m->peer.leftovers, json_string(text));
	}
}

bool move_has_leftovers(const struct move *m)
{
	return json_array_size(m->leftovers) || json_array_size(m->peer.leftovers);
}

/* Of both sides; an empty array if all is clean. */
static json_t *leftovers(const struct move *m)
{
	json_t *all = json_copy(m->leftovers);

	if (m->peer.leftovers)
		json_array_extend(all, m->peer.leftovers);
	if (m->handing_off && m->handoff.state == HO_SRC_ABORTED && !m->peer.aborted)
		json_array_append_new(all, json_string("at the destination: its agent could not be reached to clean up: its disks and a "
						       "waiting QEMU may be there; vmferry recover, or the next start of "
						       "vmferry-dst there, removes them"));
	return all;
}

void move_emit_result(struct move *m)
{
	struct outcome o = outcome(m);
	json_t *left,
	    *ev = json_pack("{s:s,s:s,s:s,s:s,s:s,s:f,s:o,s:{s:i,s:I,s:I,s:I,s:I,s:s},s:o,s:I,s:b,s:I,s:I,s:i,s:i}", "event", "result",
			    "outcome", o.outcome, "guest", o.guest, "guest_text", o.text, "where", o.where, "total_ms",
			    ms(m->begin_ns, now_ns()), "downtime_ms", downtime(m), "ram", "rounds", (int)m->ram.rounds, "pages",
			    (json_int_t)m->sent.pages, "zero_pages", (json_int_t)m->sent.zero_pages, "same_pages",
			    (json_int_t)m->sent.same_pages, "bytes_wire", (json_int_t)m->sent.ram_wire, "mode",
			    m->opaque ? "opaque" : "pages", "disks", disks_json(m), "bytes_wire", (json_int_t)m->wire_bytes, "verified",
			    m->blackout.prepared_ns != 0, "agent_rss_anon", (json_int_t)m->rss_anon_max, "destination_agent_rss_anon",
			    (json_int_t)m->peer.rss_anon, "destination_pid", m->peer.pid, "exit_code", m->exit_code);

	json_object_set_new(ev, "cpu_s", cpu_used(m));
	if (m->channels)
		json_object_set_new(ev, "transport", json_string(dest_transport(&m->dest)));
	if (m->channels)
		json_object_set_new(ev, "io_uring",
				    json_pack("{s:b,s:b}", "source", loop_has_io_uring(m->loop), "destination", m->peer.has_io_uring));
	if (m->why.code)
		json_object_set_new(ev, "reason", json_string(m->why.msg));
	if (!strcmp(o.outcome, "migrated"))
		add_afterwards(m, ev);
	if (m->opaque_why)
		json_object_set_new(ev, "opaque_because", json_string(m->opaque_why));
	left = leftovers(m);
	if (json_array_size(left))
		json_object_set(ev, "leftovers", left);
	json_decref(left);
	report_emit(&m->report, ev);
}
