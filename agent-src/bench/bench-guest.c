/*
 * bench-guest.c: the guest of a bench: Debian's kernel with the witness in it, which changes its memory and disks, says each
 * millisecond that it lives, and can tell whether anything was lost.
 */
#include "bench.h"
#include "json-text.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BOOT_MS	  300000
#define VERIFY_MS 300000
#define CALM_MS	  10000 /* time for a guest to run again after a move that failed */
/* Memory that the witness leaves to the kernel and to itself. */
#define RESERVE_MIB(mem_mib) (160 + (mem_mib) / 12)
#define ARGS_MAX	     96
#define STILL_MAX_MIB	     2048u /* limit of a disk's contents that are verified */
#define CONTENT_FROM	     "/usr"

unsigned bench_guest_load_mib(unsigned mem_mib)
{
	return mem_mib - RESERVE_MIB(mem_mib);
}

unsigned bench_guest_cache_mib(const struct bench_plan *p, const struct workload *w, unsigned mem_mib)
{
	unsigned load = bench_guest_load_mib(mem_mib);
	unsigned held = p->disks && p->disk_data_mib > BENCH_WINDOWS_MIB ? p->disk_data_mib - BENCH_WINDOWS_MIB : 0;

	switch (w->cache) {
	case CACHE_HALF:
		return load / 2;
	case CACHE_ALL:
		return held;
	case CACHE_NONE:
		return 0;
	case CACHE_LIVING:
		break;
	}
	return p->content == CONTENT_LIVING ? MIN((unsigned)((uint64_t)load * p->cached_percent / 100), held) : 0;
}

unsigned bench_guest_heap_mib(const struct bench_plan *p, const struct workload *w, unsigned mem_mib)
{
	unsigned load = bench_guest_load_mib(mem_mib), cache = bench_guest_cache_mib(p, w, mem_mib);

	return load - (w->cache == CACHE_ALL ? MIN(cache, load / 2) : cache);
}

unsigned bench_guest_cached_percent(const struct bench_plan *p, const struct workload *w, unsigned mem_mib)
{
	unsigned load = bench_guest_load_mib(mem_mib);

	return (unsigned)(((uint64_t)(load - bench_guest_heap_mib(p, w, mem_mib)) * 100 + load / 2) / load);
}

char *bench_guest_path(const struct bench_guest *g, const char *what)
{
	return xasprintf("%s/bench.%s", g->folder, what);
}

char *bench_folder(struct bench *b, unsigned side, struct err *e)
{
	struct side *s = &b->sides[side];
	char *path = xasprintf("%s/%u", s->work, ++b->folders);

	if (!s->ops->folder(s, path, e))
		return path;
	free(path);
	return NULL;
}

/* ---- disks ---- */

static char *disk_path(const struct bench_guest *g, unsigned disk)
{
	return xasprintf("%s/disk%u.raw", g->folder, disk);
}

/* Data at the disk's beginning: the witness overwrites some of it in its windows. */
static int disk_fill(struct bench *b, struct content *c, const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	AUTO_FREE uint8_t *piece = xmalloc(MIB);

	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	for (uint64_t at = 0; at < b->plan.disk_data_mib * MIB; at += MIB) {
		if (bench_step(b, UINT64_MAX, 0, e))
			return -e->code;
		content_read(c, piece, MIB);
		if (pwrite(fd, piece, MIB, (off_t)at) != (ssize_t)MIB)
			return err_sys(e, errno, "cannot fill %s", path);
	}
	return fsync(fd) ? err_sys(e, errno, "cannot fill %s", path) : 0;
}

static int database_format(const char *path, struct err *e)
{
	char *argv[] = {"mke2fs", "-q", "-F", "-t", "ext4", (char *)path, NULL};
	struct process_output out;
	int r;

	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	r = process_run(argv, 60000, &out, e);
	if (r)
		return err_prefix(e, "making the database's file system (package e2fsprogs)");
	return out.status ? err_set(e, EIO, "mke2fs %s: %s", path, out.text) : 0;
}

/* The last one, where there is one. */
static bool is_database(const struct bench_guest *g, unsigned disk)
{
	return g->workload->database && disk + 1 == g->disk_count;
}

static int disks_fill(struct bench *b, const struct bench_guest *g, struct err *e)
{
	struct content *c = NULL;
	int r = content_open(&c, b->plan.content, CONTENT_FROM, e);

	for (unsigned i = 0; i < g->disk_count && !r; i++) {
		AUTO_FREE char *path = disk_path(g, i);

		r = is_database(g, i) ? database_format(path, e) : disk_fill(b, c, path, e);
	}
	content_close(c);
	return r;
}

int bench_guest_disks(struct bench *b, struct bench_guest *g, struct err *e)
{
	struct side *s = &b->sides[g->side];
	int r = 0;

	for (unsigned i = 0; i < g->disk_count && !r; i++) {
		AUTO_FREE char *path = disk_path(g, i);

		r = s->ops->image(s, path, b->plan.disk_mib * MIB, &g->direct, e);
	}
	return r;
}

uint64_t bench_guest_disk_allocated(struct bench *b, const struct bench_guest *g)
{
	struct side *s = &b->sides[g->side];
	uint64_t bytes = 0;

	for (unsigned i = 0; i < g->disk_count; i++) {
		AUTO_FREE char *path = disk_path(g, i);

		bytes += s->ops->allocated(s, path);
	}
	return bytes;
}

/* ---- its QEMU ---- */

struct words {
	char *v[ARGS_MAX];
	size_t n;
};

static void add(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct words *w, const char *fmt, ...)
{
	va_list args;
	int r;

	if (w->n + 1 >= ARGS_MAX)
		return;
	va_start(args, fmt);
	r = vasprintf(&w->v[w->n], fmt, args);
	va_end(args);
	if (r < 0)
		abort();
	w->v[++w->n] = NULL;
}

/* malloc'ed. A connection does not survive a move from one user network to another: there is no probe of it. */
static char *kernel_line(const struct bench *b, const struct bench_guest *g)
{
	static const char *const contents[] =
		{[CONTENT_LIVING] = " witness.content=living", [CONTENT_NOISE] = "", [CONTENT_ZEROS] = " witness.content=zeros"};
	unsigned cache_mib = bench_guest_cache_mib(&b->plan, g->workload, g->mem_mib), port = collector_port(b->collector), i;
	unsigned ram_mib = bench_guest_heap_mib(&b->plan, g->workload, g->mem_mib);
	AUTO_FREE char *load = xstrdup(g->workload->witness), *line = NULL, *net = NULL;
	char *rest = load, *word, *longer, disks[64] = "";
	size_t at;

	line = xasprintf("console=ttyS0 quiet mitigations=off nokaslr no_timer_check%s", contents[plan_really(&b->plan)]);
	net = b->host ? xasprintf("witness.net=10.0.2.15/24 witness.gw=10.0.2.2 witness.hb_udp=%s:%u", b->opt.collector, port)
		      : xasprintf("witness.net=" BENCH_GUEST_IP "/24 witness.hb_udp=" BENCH_COLLECTOR_IP
				  ":%u witness.tcp=" BENCH_COLLECTOR_IP ":%u",
				  port, port);
	while ((word = strsep(&rest, " "))) {
		longer = xasprintf("%s witness.%s", line, word);
		free(line);
		line = longer;
	}
	for (i = 0, at = 0; i < g->disk_count; i++)
		if (!is_database(g, i))
			at += (size_t)snprintf(disks + at, sizeof(disks) - at, "%svd%c", i ? "," : "", 'a' + (int)i);
	if (g->workload->database)
		snprintf(disks + at, sizeof(disks) - at, " witness.db=vd%c", 'a' + (int)g->disk_count - 1);
	return xasprintf(
		"%s witness.ram_mb=%u witness.disks=%s witness.disk_mb=%d witness.still_mb=%u witness.cache_mb=%u witness.hb_ms=1000 %s",
		line, ram_mib, disks, BENCH_WINDOWS_MIB, MIN(b->plan.disk_data_mib, STILL_MAX_MIB), cache_mib, net);
}

static int guest_launch(struct bench *b, struct bench_guest *g, bool incoming, struct err *e)
{
	AUTO_FREE char *log = bench_guest_path(g, "log"), *line = kernel_line(b, g);
	const char *direct = g->direct ? "on" : "off";
	struct side *s = &b->sides[g->side];
	struct words w = {0};
	int r;

	add(&w, "%s", s->qemu);
	add(&w, "-qmp"), add(&w, "unix:%s/bench.qmp,server=on,wait=off", g->folder);
	add(&w, "-qmp"), add(&w, "unix:%s/bench.mon,server=on,wait=off", g->folder);
	add(&w, "-accel"), add(&w, "%s", b->opt.accel);
	add(&w, "-machine"), add(&w, "q35");
	if (!strcmp(b->opt.accel, "kvm"))
		add(&w, "-cpu"), add(&w, "host,migratable=on");
	add(&w, "-m"), add(&w, "%u", g->mem_mib);
	add(&w, "-display"), add(&w, "none");
	add(&w, "-nodefaults"), add(&w, "-no-user-config");
	add(&w, "-name"), add(&w, "bench");
	add(&w, "-serial"), add(&w, "file:%s/bench.console", g->folder);
	add(&w, "-serial"), add(&w, "unix:%s/bench.orders,server=on,wait=off", g->folder);
	add(&w, "-netdev"), add(&w, b->host ? "user,id=n0" : "tap,id=n0,ifname=tap0,script=no,downscript=no");
	add(&w, "-device"), add(&w, "virtio-net-pci,netdev=n0,mac=52:54:00:78:00:32");
	for (unsigned i = 0; i < g->disk_count; i++) {
		add(&w, "-blockdev");
		add(&w,
		    "driver=raw,node-name=d%u,discard=unmap,detect-zeroes=unmap,cache.direct=%s,file.driver=file,"
		    "file.filename=%s/disk%u.raw,file.discard=unmap,file.cache.direct=%s",
		    i, direct, g->folder, i, direct);
		add(&w, "-device"), add(&w, "virtio-blk-pci,drive=d%u,id=d%u-dev", i, i);
	}
	add(&w, "-kernel"), add(&w, "%s/vmlinuz", s->guest_dir);
	add(&w, "-initrd"), add(&w, "%s/initrd.img", s->guest_dir);
	add(&w, "-append"), add(&w, "%s", line);
	if (incoming)
		add(&w, "-incoming"), add(&w, "defer");
	r = s->ops->spawn(s, w.v, -1, log, &g->pid, e);
	while (w.n)
		free(w.v[--w.n]);
	return r;
}

/* ---- its life ---- */

int bench_said_last(struct side *s, const char *log, struct err *e)
{
	AUTO_FREE char *msg = xstrdup(e->msg);
	char text[600];

	s->ops->tail(s, log, text, sizeof(text));
	return *text ? err_set(e, e->code, "%s; it said: %s", msg, text) : -e->code;
}

int bench_guest_why(struct bench *b, const struct bench_guest *g, struct err *e)
{
	AUTO_FREE char *log = bench_guest_path(g, "log");

	return bench_said_last(&b->sides[g->side], log, e);
}

static int wait_ready(struct bench *b, const struct bench_guest *g, struct err *e)
{
	AUTO_FREE char *console = bench_guest_path(g, "console");
	struct side *s = &b->sides[g->side];
	uint64_t until_ns = now_ns() + BOOT_MS * 1000000ULL;
	char text[2048];
	int r, status;

	for (;;) {
		s->ops->tail(s, console, text, sizeof(text));
		if (strstr(text, "witness ready"))
			return 0;
		if (strstr(text, "witness failed"))
			return err_set(e, EIO, "the guest does not come up: %s", strstr(text, "witness failed"));
		if (waitpid(g->pid, &status, WNOHANG) == g->pid) {
			err_set(e, EIO, "%s ended with status %d", s->qemu,
				WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
			return bench_guest_why(b, g, e);
		}
		r = bench_step(b, until_ns, 20, e);
		if (r == -ETIMEDOUT)
			return err_set(e, ETIMEDOUT, "the guest is not ready after %d s; its console ends with: %s", BOOT_MS / 1000, text);
		if (r)
			return r;
	}
}

static int tell_token(struct bench *b, const struct bench_guest *g, struct err *e);

int bench_guest_boot(struct bench *b, struct bench_guest *g, const struct workload *w, unsigned mem_mib, bool libvirt, struct err *e)
{
	AUTO_FREE char *line = NULL;
	int r;

	*g = (struct bench_guest){.mem_mib = mem_mib, .workload = w, .disk_count = b->plan.disks + w->database, .libvirt = libvirt};
	g->folder = bench_folder(b, 0, e);
	if (!g->folder)
		return -e->code;
	r = bench_guest_disks(b, g, e) ?: disks_fill(b, g, e);
	line = kernel_line(b, g);
	r = r ?: libvirt ? libvirt_create(b, g, line, e) : guest_launch(b, g, false, e);
	return r ?: wait_ready(b, g, e) ?: tell_token(b, g, e);
}

int bench_guest_prepare_target(struct bench *b, const struct bench_guest *g, struct bench_guest *target, struct err *e)
{
	*target = *g;
	target->pid = 0;
	target->side = !g->side;
	target->folder = bench_folder(b, target->side, e);
	if (!target->folder)
		return -e->code;
	return bench_guest_disks(b, target, e) ?: guest_launch(b, target, true, e);
}

static int running(struct bench *b, struct bench_guest *g, struct qmp *q, struct err *e)
{
	uint64_t until_ns = now_ns() + CALM_MS * 1000000ULL;
	const char *status;
	bool runs = false;
	json_t *info;
	int r = 0;

	if (!g->pid || waitpid(g->pid, NULL, WNOHANG) == g->pid) {
		g->pid = 0;
		return err_set(e, EIO, "its QEMU ended");
	}
	while (!r && !runs && q && qmp_alive(q)) {
		r = qmp_call(q, "query-status", NULL, &info, e);
		status = r ? NULL : json_text(info, "status");
		runs = status && !strcmp(status, "running");
		if (!r && !runs && bench_step(b, until_ns, 20, e))
			r = err_set(e, EIO, "it stands still, %s", status ? status : "?");
		if (status)
			json_decref(info);
	}
	return r;
}

int bench_guest_unharmed(struct bench *b, struct bench_guest *g, struct qmp *q, struct err *e)
{
	json_auto_t *verdict = NULL;

	return running(b, g, q, e) ?: bench_guest_verify(b, g, &verdict, e);
}

void bench_guest_end(struct bench *b, struct bench_guest *g)
{
	struct side *s = &b->sides[g->side];

	if (g->libvirt)
		libvirt_destroy(b, g);
	if (g->pid || g->folder)
		s->ops->remove(s, g->pid, g->folder);
	free(g->folder);
	*g = (struct bench_guest){0};
}

/* ---- the witness ---- */

/* Reads lines that begin with the tag until `ok` or `err`; the last complete one that begins with word is kept in line. */
static int read_answer(struct bench *b, int fd, const char *tag, const char *word, char *line, size_t room, struct err *e)
{
	uint64_t until_ns = now_ns() + VERIFY_MS * 1000000ULL;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char text[4096];
	size_t n = 0;
	char *end, *at;
	int r;

	line[0] = '\0';
	for (;;) {
		r = bench_step(b, until_ns, 5, e);
		if (r)
			return r == -ETIMEDOUT ? err_set(e, EIO, "the witness did not answer within %d s", VERIFY_MS / 1000) : r;
		if (poll(&p, 1, 0) <= 0)
			continue;
		ssize_t got = read(fd, text + n, sizeof(text) - 1 - n);

		if (got <= 0)
			return err_set(e, EIO, "the witness's line was closed");
		n += (size_t)got;
		text[n] = '\0';
		for (at = text; (end = strchr(at, '\n')); at = end + 1) {
			*end = '\0';
			if (!text_starts_with(at, tag) || at[strlen(tag)] != ' ')
				continue;
			at += strlen(tag) + 1;
			if (text_starts_with(at, word))
				snprintf(line, room, "%s", at);
			if (!strcmp(at, "ok"))
				return 0;
			if (!strncmp(at, "err", 3))
				return err_set(e, EIO, "the witness says: %s", at);
		}
		n -= (size_t)(at - text);
		memmove(text, at, n);
		if (n == sizeof(text) - 1)
			n = 0;
	}
}

/* Has the witness do something; line: as read_answer(). */
static int order(struct bench *b, const struct bench_guest *g, const char *what, const char *word, char *line, size_t room, struct err *e)
{
	AUTO_FREE char *tag = xasprintf("@bench%u", ++b->orders), *text = xasprintf("\n%s %s\n", tag, what);
	AUTO_FREE char *path = bench_guest_path(g, "orders");
	struct side *s = &b->sides[g->side];
	AUTO_CLOSE int fd = -1;

	if (s->ops->reach(s, path, &fd, e))
		return err_prefix(e, "speaking with the witness");
	if (write(fd, text, strlen(text)) < 0)
		return err_sys(e, EIO, "cannot speak with the witness");
	return read_answer(b, fd, tag, word, line, room, e);
}

/* Tells the guest the token by which we know it among all that send to the collector. Its command line does not have it, as everybody on
 * either host can read that. */
static int tell_token(struct bench *b, const struct bench_guest *g, struct err *e)
{
	AUTO_FREE char *what = xasprintf("token %s", collector_token(b->collector));
	char line[64];

	return order(b, g, what, "ok", line, sizeof(line), e)
		       ? err_prefix(e, "giving the guest a token for its heartbeat (is it of another build?)")
		       : 0;
}

static json_int_t count(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

int bench_guest_verify(struct bench *b, const struct bench_guest *g, json_t **verdict, struct err *e)
{
	json_int_t pages, pages_wrong, blocks, blocks_wrong;
	char line[512];
	int r = order(b, g, "verify", "verify ", line, sizeof(line), e);

	if (r)
		return r;
	pages = count(line, "pages_checked="), pages_wrong = count(line, "pages_wrong=");
	blocks = count(line, "blocks_checked="), blocks_wrong = count(line, "blocks_wrong=");
	*verdict = json_pack("{s:I,s:I,s:I,s:I}", "pages_checked", pages, "pages_wrong", pages_wrong, "blocks_checked", blocks,
			     "blocks_wrong", blocks_wrong);
	if (pages > 0 && (blocks > 0 || !g->disk_count) && pages_wrong == 0 && blocks_wrong == 0)
		return 0;
	return err_set(e, EBADMSG, "the witness found damage: %s", line);
}
