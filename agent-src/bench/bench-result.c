/* bench-result.c: what becomes of what was seen of a move: the JSON of docs/bench.md. */
#include "bench.h"
#include "bench-heartbeat.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#define STEP_NS	      100000000ULL
#define FINE_NS	      10000000ULL
#define BEFORE_NS     1000000000ULL /* time of the beats before a move, and before its gap */
#define AFTER_NS      2000000000ULL
#define GAPS_SHOWN    10
#define STOP_SLACK_NS 300000000ULL /* QEMU's STOP event may come that late */

static double ms_since(uint64_t at_ns, uint64_t from_ns)
{
	return ((double)at_ns - (double)from_ns) / 1e6;
}

static void set_ms(json_t *o, const char *key, double ms)
{
	if (ms > 0)
		json_object_set_new(o, key, json_real(ms));
}

/* ---- the guest's heartbeat ---- */

struct beats {
	struct beat *all;
	size_t count;
	struct gap gap; /* the one of the switchover */
};

/* The longest silence that begins about when the guest stopped. */
static struct gap switchover_gap(const struct beats *b, const struct watch *w)
{
	uint64_t from = w->seen.stop_ns > STOP_SLACK_NS ? w->seen.stop_ns - STOP_SLACK_NS : 0, to = w->seen.resume_ns + STOP_SLACK_NS;
	struct gap longest = {0};

	if (w->seen.stop_ns && w->seen.resume_ns)
		beats_gaps(b->all, b->count, from, to, &longest, 1);
	return longest;
}

static json_t *heartbeat_json(const struct beats *b, const struct watch *w, uint64_t end_ns)
{
	struct beat_count n = beats_count(b->all, b->count, w->began_ns, end_ns);
	struct gap gaps[GAPS_SHOWN], before = {0};
	size_t count = beats_gaps(b->all, b->count, w->began_ns, end_ns, gaps, GAPS_SHOWN), i;
	json_t *list = json_array(), *o;

	beats_gaps(b->all, b->count, w->quiet_ns - BEFORE_NS, w->quiet_ns, &before, 1);
	for (i = 0; i < count; i++)
		json_array_append_new(list, json_pack("{s:f,s:f}", "t_ms", ms_since(gaps[i].begin_ns, w->began_ns), "ms",
						      (double)gaps[i].ns / 1e6));
	o = json_pack("{s:I,s:I,s:I,s:f,s:o}", "sent", (json_int_t)n.sent, "received", (json_int_t)n.received, "lost", (json_int_t)n.lost,
		      "before_ms", (double)before.ns / 1e6, "gaps", list);
	if (count)
		json_object_update_new(o, json_pack("{s:f,s:f}", "gap_ms", (double)gaps[0].ns / 1e6, "gap_t_ms",
						    ms_since(gaps[0].begin_ns, w->began_ns)));
	return o;
}

/* Arrays of what the guest's datagrams say of each step. */
static void add_beats(json_t *o, const struct beats *b, uint64_t from_ns, uint64_t step_ns, size_t steps)
{
	AUTO_FREE struct beat_step *s = xcalloc(steps + 1, sizeof(*s));
	json_t *beats = json_array(), *work = json_array();

	beats_steps(b->all, b->count, from_ns, step_ns, s, steps);
	for (size_t i = 0; i < steps; i++) {
		json_array_append_new(beats, json_integer((json_int_t)s[i].beats));
		json_array_append_new(work, s[i].beats ? json_integer((json_int_t)(s[i].ram_ops + s[i].disk_ops)) : json_null());
	}
	json_object_set_new(o, "beats", beats);
	json_object_set_new(o, "work", work);
}

static json_t *around_json(const struct beats *b, const struct watch *w, uint64_t end_ns)
{
	uint64_t from = b->gap.begin_ns - BEFORE_NS, to = MIN(b->gap.begin_ns + b->gap.ns + AFTER_NS, end_ns);
	json_t *o = json_pack("{s:f,s:f,s:f,s:f}", "step_ms", (double)FINE_NS / 1e6, "from_ms", ms_since(from, w->began_ns), "gap_t_ms",
			      ms_since(b->gap.begin_ns, w->began_ns), "gap_ms", (double)b->gap.ns / 1e6);

	add_beats(o, b, from, FINE_NS, to > from ? (to - from) / FINE_NS : 0);
	return o;
}

static json_t *probe_json(const struct watch *w)
{
	struct probe p;

	collector_probe(w->b->collector, &p);
	if (!p.records)
		return NULL;
	return json_pack("{s:b,s:f}", "alive", p.connected && p.connection_first == p.connection_last && p.record_ns > w->seen.resume_ns,
			 "gap_ms", (double)p.longest_gap_ns / 1e6);
}

/* ---- the link and the tool ---- */

/* Bytes that had left by then, between two samples in proportion. *at: a sample before it, which is looked for from there on. */
static double wire_at(const struct watch *w, uint64_t at_ns, size_t *at)
{
	const struct watch_sample *a, *b;

	while (*at + 1 < w->sample_count && w->samples[*at + 1].at_ns <= at_ns)
		++*at;
	if (!w->sample_count || w->samples[0].at_ns > at_ns)
		return 0;
	a = &w->samples[*at];
	if (*at + 1 == w->sample_count)
		return (double)a->wire_bytes;
	b = a + 1;
	return (double)a->wire_bytes + (double)(b->wire_bytes - a->wire_bytes) * (double)(at_ns - a->at_ns) / (double)(b->at_ns - a->at_ns);
}

/* The time when that many bytes had left. */
static uint64_t wire_when(const struct watch *w, double bytes)
{
	for (size_t i = 1; i < w->sample_count; i++) {
		const struct watch_sample *a = &w->samples[i - 1], *b = &w->samples[i];

		if ((double)b->wire_bytes >= bytes && b->wire_bytes > a->wire_bytes)
			return a->at_ns + (uint64_t)((bytes - (double)a->wire_bytes) / (double)(b->wire_bytes - a->wire_bytes) *
						     (double)(b->at_ns - a->at_ns));
	}
	return w->sample_count ? w->samples[w->sample_count - 1].at_ns : 0;
}

static double utilisation(const struct watch *w, double capacity_bytes_per_s)
{
	double all = w->sample_count ? (double)w->samples[w->sample_count - 1].wire_bytes : 0;
	uint64_t from = wire_when(w, 0.1 * all), to = wire_when(w, 0.9 * all);

	return capacity_bytes_per_s > 0 && to > from ? 0.8 * all / ((double)(to - from) / 1e9) / capacity_bytes_per_s : 0;
}

static json_t *series_json(const struct watch *w, const struct beats *b, uint64_t end_ns)
{
	static const struct {
		const char *name;
		size_t offset; /* offset of an int64_t in a sample; -1 in it: not known */
	} members[] = {{"ram_left", offsetof(struct watch_sample, ram_left)},
		       {"disk_left", offsetof(struct watch_sample, disk_left)},
		       {"round", offsetof(struct watch_sample, round)},
		       {"dirty_bps", offsetof(struct watch_sample, dirty_bytes_per_s)}};
	json_t *o = json_pack("{s:f,s:[],s:[],s:[],s:[],s:[],s:[]}", "step_ms", (double)STEP_NS / 1e6, "wire_bps", "ram_left", "disk_left",
			      "round", "dirty_bps", "codec");
	size_t steps = (end_ns - w->began_ns + STEP_NS - 1) / STEP_NS, i, k, from = 0;
	double sent = wire_at(w, w->began_ns, &from);

	for (i = 0; i < steps; i++) {
		double now = wire_at(w, w->began_ns + (i + 1) * STEP_NS, &from);
		const struct watch_sample *s = w->sample_count ? &w->samples[from] : NULL;

		json_array_append_new(json_object_get(o, "wire_bps"), json_real((now - sent) / ((double)STEP_NS / 1e9)));
		for (k = 0; k < ARRAY_LEN(members); k++) {
			int64_t n = s ? *(const int64_t *)((const char *)s + members[k].offset) : -1;

			json_array_append_new(json_object_get(o, members[k].name), n < 0 ? json_null() : json_integer(n));
		}
		json_array_append_new(json_object_get(o, "codec"), s && s->codec ? json_string(s->codec) : json_null());
		sent = now;
	}
	add_beats(o, b, w->began_ns, STEP_NS, steps);
	return o;
}

static json_t *events_json(const struct watch *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->event_count; i++)
		json_array_append_new(list,
				      json_pack("{s:f,s:s}", "t_ms", ms_since(w->events[i].at_ns, w->began_ns), "what", w->events[i].what));
	return list;
}

static json_t *downtime_json(const struct watch *w, const struct outcome *o, const struct beats *b)
{
	json_t *d = json_object();

	set_ms(d, "guest", (double)b->gap.ns / 1e6);
	set_ms(d, "qmp", o->qmp_ms);
	if (w->seen.stop_ns && w->seen.resume_ns && !w->clocks_differ)
		set_ms(d, "events", ms_since(w->seen.resume_ns, w->seen.stop_ns));
	set_ms(d, "own", o->own_ms);
	set_ms(d, "predicted", o->predicted_ms);
	return d;
}

static void add_roles(json_t *move, const struct watch *w)
{
	json_t *cpu = json_object(), *rss = json_object();
	enum role role;

	for (role = 0; role < ROLES; role++) {
		if (role == ROLE_SOURCE_QEMU || (role == ROLE_TARGET_QEMU && !w->clocks_differ) || w->process[role].cpu_s > 0)
			json_object_set_new(cpu, role_names[role], json_real(w->process[role].cpu_s));
		if (role > ROLE_TARGET_QEMU && w->process[role].rss_anon)
			json_object_set_new(rss, role_names[role], json_integer((json_int_t)w->process[role].rss_anon));
	}
	json_object_set_new(move, "cpu_s", cpu);
	json_object_set_new(move, "rss_anon_bytes", rss);
	json_object_set_new(move, "others_cpu_s", json_real(w->others_cpu_s));
}

int result_fill(json_t *move, struct watch *w, const struct outcome *o, double capacity_bytes_per_s, struct err *e)
{
	uint64_t end_ns = realtime_ns(), last = w->sample_count ? w->samples[w->sample_count - 1].wire_bytes : 0;
	struct beats b = {0};
	json_t *probe = probe_json(w);
	double used = utilisation(w, capacity_bytes_per_s);

	b.count = collector_beats(w->b->collector, &b.all);
	b.gap = switchover_gap(&b, w);
	if (o->done_ns)
		json_object_set_new(move, "total_ms", json_real(ms_since(o->done_ns, w->began_ns)));
	if (w->seen.resume_ns)
		json_object_set_new(move, "copy_ms", json_real(ms_since(w->seen.resume_ns, w->began_ns)));
	json_object_set_new(move, "bytes_wire", json_integer((json_int_t)last));
	json_object_set_new(move, "carried_bytes", json_integer((json_int_t)o->carried_bytes));
	if (used > 0)
		json_object_set_new(move, "bulk_utilisation", json_real(used));
	json_object_set_new(move, "downtime_ms", downtime_json(w, o, &b));
	if (o->breakdown)
		json_object_set(move, "breakdown_ms", o->breakdown);
	if (o->stages)
		json_object_set(move, "stage_cpu_s", o->stages);
	add_roles(move, w);
	json_object_set_new(move, "heartbeat", heartbeat_json(&b, w, end_ns));
	if (probe)
		json_object_set_new(move, "tcp", probe);
	json_object_set_new(move, "series", series_json(w, &b, end_ns));
	if (b.gap.ns)
		json_object_set_new(move, "around", around_json(&b, w, end_ns));
	json_object_set_new(move, "events", events_json(w));
	free(b.all);
	return json_is_false(json_object_get(probe, "alive"))
		       ? err_set(e, EBADMSG, "the guest's TCP connection did not live through the move")
		       : 0;
}

/* ---- the environment ---- */

/* Version from QEMU's output: "10.0.2 (…)"; malloc'ed. */
static char *version_of(const char *said)
{
	static const char prefix[] = "QEMU emulator version ";

	if (text_starts_with(said, prefix))
		said += strlen(prefix);
	return xasprintf("%.*s", (int)strcspn(said, "\n"), said);
}

static char *qemu_version(const char *qemu)
{
	char *argv[] = {(char *)qemu, "--version", NULL};
	struct process_output said;
	struct err e;

	return process_run(argv, 10000, &said, &e) || said.status ? xstrdup("unknown") : version_of(said.text);
}

json_t *bench_environment(const struct bench *b)
{
	char cpu[128], os[128], own[64];
	AUTO_FREE char *qemu = qemu_version(b->opt.qemu), *there = b->there ? version_of(there_qemu_version(b->there)) : NULL;
	AUTO_FREE char *congestion = b->host ? NULL : lab_congestion(b);
	struct utsname name;
	struct sysinfo info;
	json_t *o = json_object();
	double load = 0;

	uname(&name);
	sysinfo(&info);
	getloadavg(&load, 1);
	file_value("/proc/cpuinfo", "model name", cpu, sizeof(cpu));
	file_value("/etc/os-release", "PRETTY_NAME", os, sizeof(os));
	file_value("/proc/sys/net/ipv4/tcp_congestion_control", "", own, sizeof(own));
	json_object_set_new(o, "cpu", json_string(cpu));
	json_object_set_new(o, "cores", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
	json_object_set_new(o, "memory_bytes", json_integer((json_int_t)info.totalram * info.mem_unit));
	json_object_set_new(o, "os", json_string(os));
	json_object_set_new(o, "kernel", json_string(name.release));
	json_object_set_new(o, "qemu", json_string(qemu));
	json_object_set_new(o, "accel", json_string(b->opt.accel));
	json_object_set_new(o, "tcp_congestion", json_string(congestion ?: own));
	json_object_set_new(o, "where", json_string(b->host ? b->host : "lab"));
	json_object_set_new(o, "load", json_real(load));
	json_object_set_new(o, "io_uring", json_boolean(loop_has_io_uring(b->loop)));
	if (plan_libvirt(&b->plan))
		json_object_set_new(o, "libvirt", libvirt_version(b));
	if (there)
		json_object_set_new(o, "qemu_there", json_string(there));
	return o;
}
