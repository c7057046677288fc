/*
 * bench-ferry.c: a move by vmferry: an agent that stands at the destination for this one source, and `vmferry migrate --json`, whose
 * events are read as they come.
 */
#include "bench.h"
#include "codec.h"
#include "json-text.h"
#include "paths.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LISTEN_MS      20000
#define END_MS	       20000
#define ROLL_BACK_MS   10000
#define LINE_MAX_BYTES (1U << 20)
#define ARGS_MAX       48

struct ferry {
	struct bench *b;
	const struct tool *tool;
	struct bench_guest *source, *target;
	struct watch *w;
	struct there *there; /* host of the target; NULL: this machine, and the agent is ours */
	const char *folder;  /* here, of the move's files */
	pid_t pid, agent;
	int out, agent_out; /* their standard outputs, ours to read */
	bool copying;	    /* the destination's QEMU waits */
	char *text;	    /* part of a line that was read */
	size_t length;
	json_t *result;
	uint64_t until_ns;
};

/* ---- starting both ---- */

static int spawn(struct ferry *f, unsigned side, char *const *argv, const char *name, int *out, pid_t *pid, struct err *e)
{
	AUTO_FREE char *log = xasprintf("%s/%s", f->folder, name);
	struct side *s = &f->b->sides[side];
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC))
		return err_sys(e, errno, "cannot make a pipe");
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	r = (f->tool->libvirt ? libvirt_spawn : s->ops->spawn)(s, argv, ends[1], log, pid, e);
	close(ends[1]);
	if (r)
		close(ends[0]);
	else
		*out = ends[0];
	return r;
}

/* Reports the last words of an agent; its log is removed with the move's directory. */
static int said_last(struct ferry *f, const char *name, struct err *e)
{
	AUTO_FREE char *log = xasprintf("%s/%s", f->folder, name);

	return bench_said_last(&f->b->sides[0], log, e);
}

static int start_agent(struct ferry *f, const char *key, struct err *e)
{
	AUTO_FREE char *listen = xasprintf("%s:0", f->b->sides[f->target->side].address);
	AUTO_FREE char *state = xasprintf("%s/state-target", f->target->folder), *run = xasprintf("%s/run-target", f->target->folder);
	AUTO_FREE char *program = f->tool->from ? xasprintf("%s/vmferry-dst", f->tool->from) : xstrdup(f->b->agent);
	char *argv[] = {program,	 "--listen",	listen,
			"--once",	 "--state-dir", state,
			"--runtime-dir", run,		key ? "--psk-file" : "--plaintext",
			(char *)key,	 NULL};

	return spawn(f, f->target->side, argv, "vmferry-dst.log", &f->agent_out, &f->agent, e);
}

/* The address that the agent prints once it listens. */
static int wait_address(struct ferry *f, char **address, struct err *e)
{
	uint64_t until_ns = now_ns() + LISTEN_MS * 1000000ULL;
	const char *host = f->b->sides[f->target->side].address;
	char text[512], *at;
	size_t n = 0;
	ssize_t got;
	int r;

	for (;;) {
		got = read(f->agent_out, text + n, sizeof(text) - 1 - n);
		if (got == 0 || (got < 0 && errno != EAGAIN))
			return err_set(e, EIO, "vmferry-dst ended at once"), said_last(f, "vmferry-dst.log", e);
		n += got > 0 ? (size_t)got : 0;
		text[n] = '\0';
		at = strstr(text, host);
		if (at && strchr(at, '\n')) {
			at[strcspn(at, " \n")] = '\0';
			*address = xstrdup(at);
			return 0;
		}
		r = watch_step(f->w, until_ns, e);
		if (r)
			return r;
	}
}

/* Adds the options for reaching the host, as the user gave them. */
static void add_ssh(const struct dest_config *d, char **argv, size_t n)
{
	const struct {
		char *option;
		const char *value;
	} valued[] = {{"--identity", d->identity},
		      {"--port", d->ssh_port},
		      {"--via", d->via},
		      {"--data-ports", d->data_ports},
		      {"--listen-address", d->listen_address}};
	const struct {
		char *option;
		bool on;
	} plain[] = {{"--ssh=openssh", d->openssh}, {"--ssh-accept-new", d->ssh_accept_new}, {"--keep-agent", d->keep_agent}};

	for (size_t i = 0; i < ARRAY_LEN(valued); i++)
		if (valued[i].value)
			argv[n++] = valued[i].option, argv[n++] = (char *)valued[i].value;
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (plain[i].on)
			argv[n++] = plain[i].option;
}

static int start_move(struct ferry *f, char *address, const char *key, struct err *e)
{
	AUTO_FREE char *qmp = bench_guest_path(f->source, "qmp"), *limit = xasprintf("%.0f", f->b->plan.max_downtime_ms);
	AUTO_FREE char *state = xasprintf("%s/state-source", f->folder), *run = xasprintf("%s/run-source", f->folder);
	AUTO_FREE char *channels = xasprintf("%u", f->tool->channels), *token = xasprintf("%s/state-target/token", f->folder);
	AUTO_FREE char *program = f->tool->from ? xasprintf("%s/vmferry", f->tool->from) : xstrdup(f->b->vmferry);
	char *argv[ARGS_MAX] = {program,
				"migrate",
				f->tool->libvirt ? LIBVIRT_NAME : qmp,
				address,
				"--json=fine",
				"--max-downtime",
				limit,
				"--state-dir",
				state,
				"--runtime-dir",
				run};
	size_t n = 11;

	if (!f->tool->libvirt) { /* whatever unit we may run in ourselves is none of the guest's */
		argv[n++] = "--disk-dir", argv[n++] = f->target->folder;
		argv[n++] = "--unit", argv[n++] = "keep";
	}
	if (f->tool->channels)
		argv[n++] = "--channels", argv[n++] = channels;
	if (f->tool->codec)
		argv[n++] = "--codec", argv[n++] = (char *)f->tool->codec;
	if (f->tool->no_recheck)
		argv[n++] = "--recheck", argv[n++] = "off";
	if (f->there)
		add_ssh(&f->b->dest, argv, n);
	else if (key)
		argv[n++] = "--psk-file", argv[n++] = (char *)key;
	else
		argv[n++] = "--token-file", argv[n++] = token, argv[n++] = "--plaintext";
	return spawn(f, f->source->side, argv, "vmferry.log", &f->out, &f->pid, e);
}

/* ---- what it says ---- */

static void on_progress(struct ferry *f, const json_t *ev)
{
	const json_t *ram = json_object_get(ev, "ram_left"), *codec = json_object_get(ev, "codec");

	f->w->now.disk_left = json_integer_value(json_object_get(ev, "disk_left"));
	if (ram)
		f->w->now.ram_left = json_integer_value(ram);
	f->w->now.dirty_bytes_per_s = (int64_t)json_number_value(json_object_get(ev, "dirty_bps"));
	for (size_t i = 0; codec && codec_words[i]; i++)
		if (!strcmp(json_string_value(codec), codec_words[i]))
			f->w->now.codec = codec_words[i];
}

static void on_line(struct ferry *f, char *line)
{
	json_auto_t *ev = json_loads(line, 0, NULL);
	const char *kind = json_text(ev, "event");

	if (kind && !strcmp(kind, "progress")) {
		on_progress(f, ev);
		f->copying |= !strcmp(json_text(ev, "stage") ? json_text(ev, "stage") : "", "copy");
	} else if (kind && !strcmp(kind, "result")) {
		json_decref(f->result);
		f->result = json_incref(ev);
	}
}

static int read_events(struct ferry *f, struct err *e)
{
	char *end, *at;
	ssize_t got;

	f->text = xrealloc(f->text, f->length + 65536);
	got = read(f->out, f->text + f->length, 65535);
	if (got <= 0)
		return 0;
	f->length += (size_t)got;
	f->text[f->length] = '\0';
	for (at = f->text; (end = strchr(at, '\n')); at = end + 1) {
		*end = '\0';
		on_line(f, at);
	}
	f->length -= (size_t)(at - f->text);
	memmove(f->text, at, f->length + 1);
	return f->length > LINE_MAX_BYTES ? err_set(e, EPROTO, "vmferry printed a line that does not end") : 0;
}

/* The QEMU that was started for the guest. Until the guest is there vmferry-dst keeps its monitors where others do not look, and takes nobody
 * who was quicker; libvirt does not. */
static void meet_target(struct ferry *f)
{
	AUTO_FREE char *path = f->result || f->tool->libvirt ? bench_guest_path(f->target, "mon")
							     : xasprintf("%s/" HIDDEN_DIR_PREFIX "*/bench.mon", f->target->folder);

	if (f->copying)
		watch_meet(f->w, f->target, path);
}

/* Notes an agent's CPU time once it has ended; false: it still runs. */
static bool ended(struct ferry *f, pid_t *pid, enum role role)
{
	struct rusage use;
	int status;

	if (!*pid)
		return true;
	if (wait4(*pid, &status, WNOHANG, &use) != *pid)
		return false;
	*pid = 0;
	f->w->process[role].pid = 0;
	f->w->process[role].cpu_s =
		(double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
	return true;
}

static int follow(struct ferry *f, struct err *e)
{
	int r = 0;
	bool over;

	do {
		over = ended(f, &f->pid, ROLE_VMFERRY);
		r = watch_step(f->w, f->until_ns, e) ?: read_events(f, e);
		meet_target(f);
	} while (!r && !over);
	return r == -ETIMEDOUT ? err_set(e, ETIMEDOUT, "it did not end in time") : r;
}

/* ---- the end ---- */

static json_t *breakdown(const json_t *downtime)
{
	static const char *const parts[] = {"disk", "ram", "recheck", "device_state", "take_over", "journal", "start"};
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (json_object_get(downtime, parts[i])) /* only libvirt takes a guest over */
			json_array_append_new(list, json_pack("{s:s,s:f}", "name", parts[i], "ms",
							      json_number_value(json_object_get(downtime, parts[i]))));
	return list;
}

uint64_t ferry_carried(const json_t *result)
{
	const json_t *ram = json_object_get(result, "ram"), *d;
	uint64_t bytes = (uint64_t)json_integer_value(json_object_get(ram, "pages")) * 4096;
	size_t i;

	if (!bytes)
		return 0;
	bytes += (uint64_t)json_integer_value(json_object_get(ram, "seed_pages")) * 4096;
	json_array_foreach(json_object_get(result, "disks"), i, d)
		bytes += (uint64_t)json_integer_value(json_object_get(d, "bytes_read"));
	return bytes;
}

/* The QEMUs' last events may still be on their way. */
static int settle(struct ferry *f, struct outcome *o, struct err *e)
{
	const json_t *downtime = json_object_get(f->result, "downtime_ms");
	uint64_t until_ns = now_ns() + END_MS * 1000000ULL;
	const char *outcome = json_text(f->result, "outcome"), *reason = json_text(f->result, "reason");
	int r = 0;

	o->done_ns = realtime_ns();
	if (!outcome)
		return err_set(e, EIO, "vmferry ended without a result"), said_last(f, "vmferry.log", e);
	if (strcmp(outcome, "migrated"))
		return err_set(e, EIO, "vmferry: %s: %s", outcome, reason ? reason : "no reason given");
	watch_event(f->w, o->done_ns, "done");
	if (!f->tool->libvirt) /* libvirt's QEMU is known already, and has another pid in its namespace */
		f->target->pid = (pid_t)json_integer_value(json_object_get(f->result, "destination_pid"));
	while (!r && !(ended(f, &f->agent, ROLE_AGENT) && watch_heard_all(f->w))) {
		r = watch_step(f->w, until_ns, e);
		meet_target(f);
	}
	if (r)
		return err_prefix(e, f->there ? "waiting for word of the guest's QEMU" : "waiting for the end of vmferry-dst");
	f->w->seen.resume_ns = MIN(f->w->seen.resume_ns, o->done_ns); /* word of it from another host may come late */
	if (f->tool->libvirt || waitpid(f->source->pid, NULL, WNOHANG) == f->source->pid)
		f->source->pid = 0;
	o->own_ms = json_number_value(json_object_get(downtime, "total"));
	o->predicted_ms = json_number_value(json_object_get(downtime, "predicted"));
	o->breakdown = breakdown(downtime);
	o->stages = json_incref(json_object_get(f->result, "cpu_s"));
	o->carried_bytes = ferry_carried(f->result);
	return 0;
}

static void end_all(struct ferry *f)
{
	const pid_t pids[] = {f->pid, f->agent};
	uint64_t until_ns = now_ns() + ROLL_BACK_MS * 1000000ULL;

	if (f->pid)
		kill(f->pid, SIGTERM); /* rolls back; the agent there ends with it */
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		while (pids[i] && waitpid(pids[i], NULL, WNOHANG) == 0) {
			if (now_ns() > until_ns)
				kill(pids[i], SIGKILL);
			poll(NULL, 0, 10);
		}
	}
	if (f->out >= 0)
		close(f->out);
	if (f->agent_out >= 0)
		close(f->agent_out);
	free(f->text);
	json_decref(f->result);
}

int move_vmferry(struct bench *b, const struct tool *t, struct bench_guest *g, struct watch *w, struct outcome *o, struct err *e)
{
	struct ferry f = {.b = b,
			  .tool = t,
			  .source = g,
			  .target = &o->target,
			  .w = w,
			  .there = b->sides[!g->side].there,
			  .out = -1,
			  .agent_out = -1,
			  .until_ns = now_ns() + b->opt.timeout_s * 1000000000ULL};
	AUTO_FREE char *key = NULL, *address = NULL, *run_source = NULL, *run_target = NULL;
	char text[KEY_TEXT_MAX];
	int r;

	o->target = *g;
	o->target.pid = 0;
	o->target.side = !g->side;
	o->target.folder = bench_folder(b, o->target.side, e);
	f.folder = f.there ? g->folder : o->target.folder;
	run_source = xasprintf("%s/run-source", f.folder);
	run_target = xasprintf("%s/run-target", f.folder);
	r = !o->target.folder					 ? -e->code
	    : mkdir(run_source, 0700) || mkdir(run_target, 0700) ? err_sys(e, errno, "cannot make %s or %s", run_source, run_target)
								 : 0;
	if (!r && t->tls && !f.there) {
		key = xasprintf("%s/key", f.folder);
		r = key_make("bench", text, e) ?: b->sides[g->side].ops->file(&b->sides[g->side], key, text, e);
	}
	if (!r && t->libvirt)
		r = libvirt_show(&b->sides[o->target.side], &o->target, e);
	r = r ?: watch_open(&w->source, g, e);
	if (!f.there) {
		r = r ?: start_agent(&f, key, e);
		w->process[ROLE_AGENT].pid = f.agent;
		r = r ?: wait_address(&f, &address, e);
	}
	r = r ?: start_move(&f, f.there ? (char *)b->host : address, key, e);
	w->process[ROLE_VMFERRY].pid = f.pid;
	r = r ?: follow(&f, e) ?: settle(&f, o, e);
	end_all(&f);
	return r;
}
