/*
 * bench-run.c: carries out a plan: in each cell one guest, moved to and fro by every tool, round by round, its witness asked after
 * each move. What has been measured is in the file at once; a run that was interrupted goes on behind it.
 */
#include "bench.h"
#include "bench-heartbeat.h"
#include "bench-runs.h"
#include "digest.h"
#include "json-text.h"
#include "room.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define HEARD_MS  20000 /* time for the guest to be heard */
#define BEFORE_MS 1100	/* time of listening before a move */
#define AFTER_MS  2100	/* time of listening after a move */

volatile sig_atomic_t bench_stop;

struct planned_cell {
	unsigned number;
	const char *link;
	unsigned mem_mib;
	const struct workload *workload;
};

struct progress {
	unsigned done, all; /* moves; of this sitting, but for those that were there before */
	uint64_t began_ns;
};

int bench_step(struct bench *b, uint64_t until_ns, unsigned max_wait_ms, struct err *e)
{
	if (bench_stop)
		return err_set(e, EINTR, "interrupted");
	if (now_ns() >= until_ns)
		return err_set(e, ETIMEDOUT, "it took too long");
	if (b->there && there_beat(b->there, e))
		return -e->code;
	return loop_step(b->loop, max_wait_ms, e);
}

static int pause_ms(struct bench *b, unsigned ms, struct err *e)
{
	uint64_t until_ns = now_ns() + ms * 1000000ULL;
	int r;

	while (!(r = bench_step(b, until_ns, 20, e)))
		;
	return r == -ETIMEDOUT ? 0 : r;
}

/* ---- the file ---- */

static bool is_text(const json_t *move, const char *key, const char *text)
{
	return !strcmp(json_text(move, key) ?: "", text);
}

static bool is_done(const struct bench *b, const struct planned_cell *c, unsigned round, const struct tool *t)
{
	const json_t *move;
	size_t i;

	json_array_foreach(json_object_get(b->run, "moves"), i, move)
		if (is_text(move, "link", c->link) && is_text(move, "workload", c->workload->name) && is_text(move, "tool", t->text) &&
		    json_integer_value(json_object_get(move, "mem_mib")) == c->mem_mib &&
		    json_integer_value(json_object_get(move, "round")) == round)
			return true;
	return false;
}

/* ---- telling ---- */

static void tell_move(const struct progress *p, const json_t *move)
{
	const json_t *down = json_object_get(move, "downtime_ms");
	const char *error = json_text(move, "error");
	double left_s = (double)(now_ns() - p->began_ns) / 1e9 / p->done * (p->all - p->done);
	char bytes[24];

	fprintf(stderr, "[%u/%u] %s, %lld MiB, %s: %s%s: ", p->done, p->all, json_text(move, "link"),
		(long long)json_integer_value(json_object_get(move, "mem_mib")), json_text(move, "workload"), json_text(move, "tool"),
		json_is_true(json_object_get(move, "warmup")) ? " (warm-up)" : "");
	if (error)
		fprintf(stderr, "%s: %s", json_text(move, "outcome"), error);
	else
		fprintf(stderr, "%.2f s, downtime %.0f ms seen by the guest's peers, %s",
			json_number_value(json_object_get(move, "total_ms")) / 1e3, json_number_value(json_object_get(down, "guest")),
			format_bytes(bytes, (uint64_t)json_integer_value(json_object_get(move, "bytes_wire"))));
	if (p->done < p->all)
		fprintf(stderr, "; about %.0f min left", ceil(left_s / 60));
	fputc('\n', stderr);
}

/* ---- one move ---- */

/*
 * Host memory is touched and given back: its first touch is several times slower than any tool where this machine is a virtual
 * one itself, and it would be charged to whoever comes first. Never all that there is: others may be about to need it. And what was
 * written to files goes to the disk.
 */
static void even_out(const struct bench *b, unsigned mem_mib)
{
	AUTO_CLOSE int fd = open(b->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t bytes = MIN(mem_mib * MIB, memory_available() / 2), at;
	uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory != MAP_FAILED) {
		madvise(memory, bytes, MADV_HUGEPAGE);
		for (at = 0; at < bytes; at += 4096)
			memory[at] = 1;
		munmap(memory, bytes);
	}
	syncfs(fd);
}

/* The time that a fixed piece of work takes in one thread: the speed of this machine just now. A virtual machine may be twice as fast a
 * minute later. */
static double yardstick_ms(void)
{
	const size_t bytes = 16 * MIB;
	AUTO_FREE uint8_t *from = xcalloc(2, bytes);
	static const struct digest_key key;
	struct hash128 sum = {0, 0};
	uint64_t since;

	memset(from, 1, 2 * bytes);
	since = now_ns();
	for (unsigned i = 0; i < 8; i++) {
		memcpy(from + (i + 1) % 2 * bytes, from + i % 2 * bytes, bytes);
		hash_add(&sum, hash_content(&key, from + i % 2 * bytes, bytes));
		from[i] = (uint8_t)sum.lo;
	}
	return (double)(now_ns() - since) / 1e6;
}

static int wait_heard(struct bench *b, struct err *e)
{
	uint64_t until_ns = now_ns() + HEARD_MS * 1000000ULL;
	int r = 0;

	collector_clear(b->collector);
	while (!r && collector_heard(b->collector) < 100)
		r = bench_step(b, until_ns, 10, e);
	return r == -ETIMEDOUT ? err_set(e, EIO, "the guest is not heard: no heartbeat within %d s", HEARD_MS / 1000) : r;
}

/* True if after a move the same guest still counts, and its connection carries something, if it did before. */
static bool goes_on(struct bench *b, const struct watch *w)
{
	AUTO_FREE struct beat *beats = NULL;
	size_t count = collector_beats(b->collector, &beats);
	struct probe p;

	collector_probe(b->collector, &p);
	return beats_go_on(beats, count, w->seen.resume_ns) && (!p.connection_first || p.record_ns > w->seen.resume_ns);
}

static int wait_going_on(struct bench *b, const struct watch *w, struct err *e)
{
	uint64_t until_ns = now_ns() + HEARD_MS * 1000000ULL;
	int r = 0;

	while (!r && !goes_on(b, w))
		r = bench_step(b, until_ns, 50, e);
	return r == -ETIMEDOUT
		       ? err_set(e, EBADMSG, "after the move the guest's heartbeat or its TCP connection does not go on within %d s",
				 HEARD_MS / 1000)
		       : r;
}

/* The tool says that the guest did not move: is it as it was, then? */
static int left_unharmed(struct bench *b, struct bench_guest *g, struct outcome *o, struct watch *w, struct err *e)
{
	struct err why = *e, harm;

	bench_guest_end(b, &o->target);
	if (!bench_guest_unharmed(b, g, w->source.qmp, &harm))
		return 0;
	return err_set(e, EBADMSG, "%s; and of the guest at the source: %s", why.msg, harm.msg);
}

/* Moves and judges; the guest is gone afterwards unless all went well. An error: nothing is to be kept. */
static int move_once(struct bench *b, const struct planned_cell *c, const struct tool *t, struct bench_guest *g, json_t *move,
		     struct err *e)
{
	struct outcome o = {0};
	struct watch w;
	json_t *verdict = NULL;
	uint64_t quiet_ns;
	int moved = wait_heard(b, e), harmed = 0;

	collector_clear(b->collector);
	moved = moved ?: pause_ms(b, BEFORE_MS, e);
	if (moved)
		return moved;
	quiet_ns = realtime_ns();
	json_object_set_new(move, "yardstick_ms", json_real(yardstick_ms()));
	/* the last moment is the right one: a virtual machine may give memory that is free for seconds back to its host */
	even_out(b, c->mem_mib);
	watch_begin(&w, b, g);
	w.quiet_ns = quiet_ns;
	json_object_set_new(move, "began_at", json_real((double)w.began_ns / 1e9));
	moved = (t->kind == TOOL_VMFERRY ? move_vmferry : t->kind == TOOL_VIRSH ? move_virsh : move_native)(b, t, g, &w, &o, e);
	watch_others(&w);
	if (moved && !bench_stop)
		harmed = left_unharmed(b, g, &o, &w, e);
	else if (!moved)
		harmed = wait_going_on(b, &w, e);
	if (!moved && !harmed && !(harmed = pause_ms(b, AFTER_MS, e)))
		harmed = result_fill(move, &w, &o, link_bytes_per_s(c->link, b->plan.loss_percent > 0), e);
	watch_close(&w);
	bench_guest_end(b, g);
	*g = o.target;
	if (!moved && !harmed)
		harmed = bench_guest_verify(b, g, &verdict, e);
	if (verdict)
		json_object_set_new(move, "verified", verdict);
	json_object_set_new(move, "outcome", json_string(harmed ? "damaged" : moved ? "failed" : "ok"));
	if (moved || harmed) {
		json_object_set_new(move, "error", json_string(e->msg));
		bench_guest_end(b, g);
	}
	if (b->sides[g->side].there) /* nothing of vmferry is there to bring it back */
		bench_guest_end(b, g);
	json_decref(o.breakdown);
	json_decref(o.stages);
	watch_fini(&w);
	if (bench_stop)
		return err_set(e, EINTR, "interrupted");
	return b->there ? there_beat(b->there, e) : 0;
}

/* ---- cells ---- */

static json_t *move_begin(const struct bench *b, const struct planned_cell *c, unsigned round, const struct tool *t)
{
	json_t *move = json_pack("{s:i,s:i,s:b,s:s,s:i,s:s,s:s}", "number", (int)json_array_size(json_object_get(b->run, "moves")) + 1,
				 "round", (int)round, "warmup", round == 0, "link", c->link, "mem_mib", (int)c->mem_mib, "workload",
				 c->workload->name, "tool", t->text);

	json_object_set_new(move, "cached_percent", json_integer(bench_guest_cached_percent(&b->plan, c->workload, c->mem_mib)));
	if (b->plan.delay_ms > 0)
		json_object_set_new(move, "delay_ms", json_real(b->plan.delay_ms));
	if (b->plan.loss_percent > 0)
		json_object_set_new(move, "loss_percent", json_real(b->plan.loss_percent));
	return move;
}

static int one(struct bench *b, const struct planned_cell *c, unsigned round, const struct tool *t, struct bench_guest *g,
	       struct progress *p, struct err *e)
{
	struct runs all;
	json_t *move;
	int r = 0;

	if (g->pid && g->libvirt != t->libvirt) /* neither could move what the other has started */
		bench_guest_end(b, g);
	if (!g->pid)
		r = bench_guest_boot(b, g, c->workload, c->mem_mib, t->libvirt, e);
	if (r)
		return err_prefix(e, "starting the guest");
	move = move_begin(b, c, round, t);
	r = move_once(b, c, t, g, move, e);
	if (r) {
		json_decref(move);
		return r;
	}
	p->done++;
	tell_move(p, move);
	json_array_append_new(json_object_get(b->run, "moves"), move);
	run_set_payload(json_object_get(b->run, "moves"), move);
	r = runs_init(&all, b->run, e);
	if (r)
		return r;
	json_object_set_new(b->run, "statistics", runs_statistics(&all));
	runs_fini(&all);
	return bench_save(b, e);
}

/* A disk that holds less than is to be in memory. */
static void tell_cached(const struct bench *b, const struct planned_cell *c)
{
	unsigned wanted = b->plan.cached_percent, found = bench_guest_cached_percent(&b->plan, c->workload, c->mem_mib);

	if (c->workload->cache == CACHE_LIVING && b->plan.content == CONTENT_LIVING && b->plan.disks && found + 1 < wanted)
		fprintf(stderr, "%u MiB, %s: %u %% of its memory is page cache, not %u %%: its disk has no more data (--disk-data)\n",
			c->mem_mib, c->workload->name, found, wanted);
}

static int run_cell(struct bench *b, const struct planned_cell *c, struct progress *p, struct err *e)
{
	unsigned order[BENCH_LIST_MAX], round, i;
	struct bench_guest g = {0};
	int r = b->host ? 0 : lab_shape(b, c->link, e);

	for (round = 0; round <= b->plan.repeat && !r; round++) {
		plan_order(&b->plan, c->number, round, order);
		for (i = 0; i < b->plan.tool_count && !r; i++) {
			const struct tool *t = &b->plan.tools[order[i]];

			if (!is_done(b, c, round, t))
				r = one(b, c, round, t, &g, p, e);
		}
	}
	bench_guest_end(b, &g);
	return r;
}

typedef int (*cell_fn)(struct bench *b, const struct planned_cell *c, struct progress *p, struct err *e);

static int each_cell(struct bench *b, cell_fn fn, struct progress *p, struct err *e)
{
	struct planned_cell c = {0};
	unsigned link, mem, work;
	int r = 0;

	for (link = 0; link < b->plan.link_count; link++)
		for (mem = 0; mem < b->plan.mem_count; mem++)
			for (work = 0; work < b->plan.workload_count && !r; work++, c.number++) {
				c.link = b->plan.links[link];
				c.mem_mib = b->plan.mem_mib[mem];
				c.workload = &b->plan.workloads[work];
				r = fn(b, &c, p, e);
			}
	return r;
}

static int count_cell(struct bench *b, const struct planned_cell *c, struct progress *p, struct err *e)
{
	unsigned round, i, before = p->all;

	(void)e;
	for (round = 0; round <= b->plan.repeat; round++)
		for (i = 0; i < b->plan.tool_count; i++)
			p->all += !is_done(b, c, round, &b->plan.tools[i]);
	if (p->all > before)
		tell_cached(b, c);
	return 0;
}

int bench_run(struct bench *b, struct err *e)
{
	struct progress p = {.began_ns = now_ns()};
	int r = each_cell(b, count_cell, &p, e);

	if (!r && p.all)
		fprintf(stderr, "%u moves, results in %s\n", p.all, b->opt.out);
	r = r ? r : bench_save(b, e); /* an error in writing is better known now */
	r = r ?: each_cell(b, run_cell, &p, e);
	if (r)
		return r;
	json_object_set_new(b->run, "ended_at", json_real((double)realtime_ns() / 1e9));
	return bench_save(b, e);
}
