/*
 * libvirt-steps-tool.c: the steps of a migration by the agents' own client of libvirt, one connection, a line each from its input. It
 * answers each with `ok`, and what there is to say, or with `error` and the errno's number; at the input's end the connection is closed.
 *
 *   begin NAME URI COOKIE XML      prepare NAME URI COOKIE XML      (COOKIE, XML: files)
 *   finish NAME [cancel]           confirm NAME [cancel]
 *   resume NAME
 *   watch NAME                     qmp NAME JSON                    event NAME [WORD]   (waits for one whose data has WORD)
 */
#include "libvirt-job.h"
#include "libvirt-monitor.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PATIENCE_MS = 60000, EVENTS_MAX = 256 };
#define FLAGS (LV_MIGRATE_LIVE | LV_MIGRATE_UNDEFINE_SOURCE | LV_MIGRATE_CHANGE_PROTECTION | LV_MIGRATE_PAUSED)

static struct loop *loop;
static struct lv *lv;
static struct err err;
static struct {
	char *name, *data;
} events[EVENTS_MAX];
static unsigned event_count;
static struct {
	bool done;
	char *text;
	struct err e;
} answer;

static void on_event(void *ctx, const char *name, const char *data, uint64_t realtime_ns)
{
	(void)ctx, (void)realtime_ns;
	if (event_count == EVENTS_MAX)
		abort();
	events[event_count].name = xstrdup(name);
	events[event_count++].data = xstrdup(data ? data : "");
}

static void on_answer(void *arg, const char *reply, const struct err *e)
{
	(void)arg;
	answer.text = reply ? xstrdup(reply) : NULL;
	answer.e = e ? *e : (struct err){0};
	answer.done = true;
}

static int step_until(bool (*done)(char **a), char **a)
{
	uint64_t until = now_ns() + PATIENCE_MS * 1000000ULL;

	while (!done(a)) {
		if (now_ns() > until)
			return err_set(&err, ETIMEDOUT, "waited for nothing");
		if (loop_step(loop, 100, &err) < 0)
			return -err.code;
	}
	return 0;
}

static bool is_answered(char **a)
{
	(void)a;
	return answer.done;
}

static bool has_happened(char **a)
{
	unsigned i;

	for (i = 0; i < event_count; i++)
		if (!strcmp(events[i].name, a[0]) && strstr(events[i].data, a[1] ? a[1] : ""))
			return true;
	return false;
}

static int write_file(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "we");

	if (!f || fwrite(p, 1, n, f) != n || fclose(f))
		return err_sys(&err, errno, "%s", path);
	return 0;
}

static int read_file(const char *path, struct lv_cookie *c)
{
	FILE *f = fopen(path, "re");

	*c = (struct lv_cookie){xcalloc(1, MIB + 1), 0};
	if (!f)
		return err_sys(&err, errno, "%s", path);
	c->n = fread(c->data, 1, MIB, f);
	fclose(f);
	return 0;
}

static int do_begin(const struct lv_domain *d, char **a)
{
	const struct lv_params p = {.migrate_uri = a[0]};
	struct lv_cookie cookie;
	char *xml;
	int r = lv_begin(lv, d, &p, FLAGS, &cookie, &xml, &err);

	if (r < 0)
		return r;
	r = write_file(a[1], cookie.data, cookie.n);
	if (!r)
		r = write_file(a[2], xml, strlen(xml));
	lv_cookie_fini(&cookie);
	free(xml);
	return r;
}

static int do_prepare(const char *name, char **a)
{
	struct lv_cookie cookie = {0}, xml = {0};
	struct lv_params p = {.migrate_uri = a[0], .destination_name = name};
	int r = read_file(a[1], &cookie);

	if (!r)
		r = read_file(a[2], &xml);
	p.destination_xml = (char *)xml.data;
	if (!r)
		r = lv_prepare(lv, &p, &cookie, FLAGS, &err);
	lv_cookie_fini(&cookie);
	lv_cookie_fini(&xml);
	return r;
}

static int do_finish(const char *name, bool cancel)
{
	struct lv_domain d;
	int r = lv_finish(lv, &(struct lv_params){.destination_name = name}, NULL, FLAGS, cancel, &d, &err);

	if (!r && !cancel)
		lv_domain_fini(&d);
	return r;
}

static int do_qmp(const struct lv_domain *d, const char *json)
{
	int r;

	answer.done = false;
	r = lv_monitor(lv, d, json, PATIENCE_MS, on_answer, NULL, &err);
	if (!r)
		r = step_until(is_answered, NULL);
	if (!r && answer.e.code) {
		err = answer.e;
		r = -err.code;
	}
	return r;
}

static int with_guest(const char *verb, const struct lv_domain *d, char **a)
{
	if (!strcmp(verb, "begin") && a[0] && a[1] && a[2])
		return do_begin(d, a);
	if (!strcmp(verb, "confirm"))
		return lv_confirm(lv, d, FLAGS, a[0], &err);
	if (!strcmp(verb, "resume"))
		return lv_resume(lv, d, &err);
	if (!strcmp(verb, "watch"))
		return lv_watch(lv, d, &err);
	if (!strcmp(verb, "qmp") && a[0])
		return do_qmp(d, a[0]);
	return err_set(&err, EINVAL, "%s is no step", verb);
}

/* a[0]: the verb, a[1]: the guest. */
static int step(char **a)
{
	struct lv_domain d;
	int r;

	if (!strcmp(a[0], "event") && a[1])
		return step_until(has_happened, a + 1);
	if (!strcmp(a[0], "prepare") && a[1] && a[2] && a[3] && a[4])
		return do_prepare(a[1], a + 2);
	if (!strcmp(a[0], "finish") && a[1])
		return do_finish(a[1], a[2]);
	r = lv_lookup(lv, a[1] ? a[1] : "", &d, &err);
	if (r < 0)
		return r;
	r = with_guest(a[0], &d, a + 2);
	lv_domain_fini(&d);
	return r;
}

static void take_line(char *line)
{
	bool is_qmp = !strncmp(line, "qmp ", 4);
	char *a[8] = {NULL}, *at = NULL;
	size_t n = 0;
	int r;

	for (line = strtok_r(line, " \n", &at); line && n < 6; line = strtok_r(NULL, is_qmp && n == 2 ? "\n" : " \n", &at))
		a[n++] = line;
	r = n ? step(a) : 0;
	if (r < 0)
		printf("error %d %s\n", err.code, err.msg);
	else
		printf("ok %s\n", is_qmp ? answer.text : "");
	fflush(stdout);
}

int main(void)
{
	static const struct lv_handlers handlers = {.event = on_event};
	static char line[65536];

	if (loop_new(&loop, 64, &err) < 0 || lv_open(&lv, PATIENCE_MS, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	lv_set_deadline(lv, PATIENCE_MS);
	lv_attach(lv, loop, &handlers, NULL);
	while (fgets(line, sizeof(line), stdin))
		take_line(line);
	return 0; /* no message, as of an agent that is killed */
}
