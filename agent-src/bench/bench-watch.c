/*
 * bench-watch.c: what is sampled while a move runs: QEMU's events and counters, CPU and memory of those who take part, bytes on the
 * link. It speaks with each QEMU over a monitor of its own; the other is the tool's.
 */
#include "bench.h"
#include "json-text.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SAMPLE_MS    20
#define ASK_MS	     100
#define GREET_MS     10000
#define PASS_TOLD_MS 20
#define SAMPLES_MAX  500000

const char *const role_names[ROLES] = {"source QEMU", "destination QEMU", "vmferry", "vmferry-dst"};

/* ---- /proc ---- */

void file_value(const char *path, const char *key, char *out, size_t room)
{
	FILE *f = fopen(path, "re");
	char line[1024], *at;

	snprintf(out, room, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		at = line + strspn(line, " ");
		if (!text_starts_with(at, key))
			continue;
		at += strlen(key);
		at += strspn(at, " \t:=\"");
		at[strcspn(at, "\"\n")] = '\0';
		snprintf(out, room, "%s", at);
		break;
	}
	if (f)
		fclose(f);
}

static double process_cpu_s(pid_t pid)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/stat", (int)pid);
	unsigned long user, kernel;
	char text[1024], *at;

	file_value(path, "", text, sizeof(text));
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
		return -1;
	return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static uint64_t process_rss_anon(pid_t pid)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/status", (int)pid);
	char text[64];

	file_value(path, "RssAnon:", text, sizeof(text));
	return strtoull(text, NULL, 10) * 1024;
}

/* Bytes that left the guest's host on the migration's link; 0: its QEMU is gone. */
static uint64_t wire_bytes(const struct watch *w)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/net/dev", (int)w->process[ROLE_SOURCE_QEMU].pid);
	AUTO_FREE char *key = xasprintf("%s:", w->b->sides[w->source_side].interface);
	unsigned long long sent;
	char text[512];

	file_value(path, key, text, sizeof(text));
	return sscanf(text, "%*u %*u %*u %*u %*u %*u %*u %*u %llu", &sent) == 1 ? sent : 0;
}

static double machine_busy_s(void)
{
	unsigned long long v[8];
	char text[512];

	file_value("/proc/stat", "cpu ", text, sizeof(text));
	if (sscanf(text, "%llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7) != 8)
		return 0;
	return (double)(v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- events ---- */

void watch_event(struct watch *w, uint64_t at_ns, const char *what)
{
	w->events = xrealloc(w->events, (w->event_count + 1) * sizeof(*w->events));
	w->events[w->event_count++] = (struct watch_event){at_ns, xstrdup(what)};
}

static void once(struct watch *w, uint64_t *to, uint64_t at_ns, const char *what)
{
	if (*to)
		return;
	*to = at_ns;
	watch_event(w, at_ns, what);
}

static void on_migration(struct watch *w, const char *status, uint64_t at)
{
	if (!status)
		return;
	if (!strcmp(status, "setup"))
		once(w, &w->seen.migrate_ns, at, "migrate");
	else if (!strcmp(status, "pre-switchover"))
		once(w, &w->seen.pre_switchover_ns, at, "pre-switchover");
	else if (!strcmp(status, "completed"))
		once(w, &w->seen.completed_ns, at, "completed");
	else if (!strcmp(status, "failed") || !strcmp(status, "cancelled"))
		w->failed = true;
}

/* Near the end QEMU may pass hundreds of times a second over nothing. */
static void on_pass(struct watch *w, json_int_t pass, uint64_t at)
{
	char text[32];

	w->now.round = pass;
	if (at < w->pass_told_ns + PASS_TOLD_MS * 1000000ULL)
		return;
	w->pass_told_ns = at;
	snprintf(text, sizeof(text), "pass %lld", (long long)pass);
	watch_event(w, at, text);
}

static void on_event(void *ctx, const char *name, json_t *data, uint64_t unused)
{
	struct watch_end *end = ctx;
	struct watch *w = end->watch;
	uint64_t at = end->is_target && w->clocks_differ ? realtime_ns() : qmp_event_realtime_ns(end->qmp);

	(void)unused;
	if (end->is_target) {
		if (!strcmp(name, "RESUME"))
			once(w, &w->seen.resume_ns, at, "resume");
	} else if (!strcmp(name, "STOP")) {
		once(w, &w->seen.stop_ns, at, "stop");
	} else if (!strcmp(name, "MIGRATION")) {
		on_migration(w, json_text(data, "status"), at);
	} else if (!strcmp(name, "MIGRATION_PASS")) {
		on_pass(w, json_integer_value(json_object_get(data, "pass")), at);
	} else if (!strcmp(name, "BLOCK_JOB_READY")) {
		w->jobs_ready++;
		watch_event(w, at, "disk ready");
	} else if (!strcmp(name, "BLOCK_JOB_COMPLETED")) {
		w->jobs_completed++;
		w->failed |= json_text(data, "error") != NULL;
	}
}

static const struct qmp_handlers handlers = {.event = on_event};

static int join(struct watch_end *end, int fd, const struct bench_guest *g, struct err *e)
{
	AUTO_FREE char *path = bench_guest_path(g, "mon");

	return qmp_open_fd(&end->qmp, end->watch->b->loop, fd, path, GREET_MS, &handlers, end, e);
}

int watch_open(struct watch_end *end, const struct bench_guest *g, struct err *e)
{
	AUTO_FREE char *path = bench_guest_path(g, "mon");
	struct bench *b = end->watch->b;
	struct side *s = &b->sides[g->side];
	uint64_t until_ns = now_ns() + GREET_MS * 1000000ULL;
	int fd, r;

	while ((r = s->ops->reach(s, path, &fd, e)) == -ENOENT) {
		r = bench_step(b, until_ns, 2, e);
		if (r)
			return err_prefix(e, "waiting for the monitor of a QEMU");
	}
	return r ?: join(end, fd, g, e);
}

pid_t peer_pid(int fd)
{
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) ? 0 : peer.pid;
}

void watch_meet(struct watch *w, struct bench_guest *target, const char *path)
{
	struct side *s = &w->b->sides[target->side];
	struct pollfd p = {.events = POLLIN};
	struct err e;

	if (w->target.qmp || (w->target.fd < 0 && s->ops->reach(s, path, &w->target.fd, &e)))
		return;
	p.fd = w->target.fd;
	if (poll(&p, 1, 0) <= 0)
		return;
	if (!s->there)
		w->process[ROLE_TARGET_QEMU].pid = target->pid = peer_pid(w->target.fd);
	join(&w->target, w->target.fd, target, &e);
	w->target.fd = -1;
}

/* ---- sampling ---- */

static void on_jobs(void *arg, json_t *ret, const struct err *e)
{
	struct watch *w = arg;
	int64_t left = 0;
	json_t *job;
	size_t i;

	if (e || !json_array_size(ret))
		return;
	json_array_foreach(ret, i, job)
		left += json_integer_value(json_object_get(job, "len")) - json_integer_value(json_object_get(job, "offset"));
	w->now.disk_left = left;
}

static void on_migrate_info(void *arg, json_t *ret, const struct err *e)
{
	struct watch *w = arg;
	json_t *ram = json_object_get(ret, "ram");

	w->asking = false;
	if (e || !ram)
		return;
	w->now.ram_left = json_integer_value(json_object_get(ram, "remaining"));
	w->now.dirty_bytes_per_s = json_integer_value(json_object_get(ram, "dirty-pages-rate")) * 4096;
	if (w->now.round < 0)
		w->now.round = json_integer_value(json_object_get(ram, "dirty-sync-count"));
}

static void ask(struct watch *w)
{
	struct qmp *q = w->source.qmp;

	if (w->asking || !q || !qmp_alive(q) || w->seen.completed_ns || now_ns() < w->asked_ns + ASK_MS * 1000000ULL)
		return;
	w->asked_ns = now_ns();
	if (w->seen.migrate_ns) {
		w->asking = true;
		qmp_send(q, "query-migrate", NULL, GREET_MS, on_migrate_info, w);
	}
	if (!w->process[ROLE_VMFERRY].pid)
		qmp_send(q, "query-block-jobs", NULL, GREET_MS, on_jobs, w);
}

static void sample_role(struct watch *w, enum role role)
{
	struct watch_process *p = &w->process[role];
	double cpu = p->pid ? process_cpu_s(p->pid) : -1;

	if (cpu < 0)
		return;
	/* a QEMU that runs the guest works for the guest from then on */
	if (!w->seen.resume_ns || role == ROLE_VMFERRY || role == ROLE_AGENT)
		p->cpu_s = cpu - p->cpu_base_s;
	p->rss_anon = MAX(p->rss_anon, process_rss_anon(p->pid));
}

void watch_sample(struct watch *w)
{
	uint64_t wire = wire_bytes(w);
	enum role role;

	for (role = 0; role < ROLES; role++)
		sample_role(w, role);
	if (!wire || w->sample_count == SAMPLES_MAX)
		return;
	w->now.at_ns = realtime_ns();
	w->now.wire_bytes = wire - w->wire_base;
	if (w->sample_count % 1024 == 0)
		w->samples = xrealloc(w->samples, (w->sample_count + 1024) * sizeof(*w->samples));
	w->samples[w->sample_count++] = w->now;
}

int watch_step(struct watch *w, uint64_t until_ns, struct err *e)
{
	uint64_t last = w->sample_count ? w->samples[w->sample_count - 1].at_ns : 0;
	int r = bench_step(w->b, until_ns, 5, e);

	if (realtime_ns() - last >= SAMPLE_MS * 1000000ULL)
		watch_sample(w);
	ask(w);
	return r;
}

void watch_begin(struct watch *w, struct bench *b, const struct bench_guest *g)
{
	*w = (struct watch){.b = b,
			    .began_ns = realtime_ns(),
			    .now = {.ram_left = -1, .disk_left = -1, .round = -1, .dirty_bytes_per_s = -1}};
	w->source.watch = w->target.watch = w;
	w->target.is_target = true;
	w->target.fd = -1;
	w->process[ROLE_SOURCE_QEMU] = (struct watch_process){.pid = g->pid, .cpu_base_s = process_cpu_s(g->pid)};
	w->busy_base_s = machine_busy_s();
	w->source_side = g->side;
	w->clocks_differ = b->sides[!g->side].there != NULL;
	w->wire_base = wire_bytes(w);
}

bool watch_heard_all(const struct watch *w)
{
	return w->seen.resume_ns && (w->seen.completed_ns || !w->source.qmp || !qmp_alive(w->source.qmp));
}

void watch_others(struct watch *w)
{
	double used = 0;
	enum role role;

	for (role = 0; role < ROLES; role++)
		used += w->process[role].cpu_s;
	w->others_cpu_s = MAX(machine_busy_s() - w->busy_base_s - used, 0.0);
}

void watch_close(struct watch *w)
{
	qmp_close(w->source.qmp);
	qmp_close(w->target.qmp);
	w->source.qmp = w->target.qmp = NULL;
	if (w->target.fd >= 0)
		close(w->target.fd);
	w->target.fd = -1;
}

void watch_fini(struct watch *w)
{
	for (size_t i = 0; i < w->event_count; i++)
		free(w->events[i].what);
	free(w->events);
	free(w->samples);
}
