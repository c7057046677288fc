/* cmd-may-start.c: vmferry may-start: does this host have the newest copy of a guest? For whatever starts guests. */
#include "cmd.h"
#include "command-options.h"
#include "guest-at-rest.h"
#include "json-text.h"
#include "newest-copy.h"
#include "onward.h"
#include "paths.h"
#include "points.h"
#include "points-note.h"
#include "replica-whereabouts.h"
#include "replica-ask.h"
#include "replica-onward.h"
#include "replica-conf.h"
#include "runs-here.h"
#include "util.h"

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char before[] =
	"usage: vmferry may-start [options] VM\n"
	"\n"
	"Says whether the guest may be started here: exit 0: this host has its newest copy, and no process has it open; 3: another host "
	"has it, or vmferry cannot tell. Of other hosts it asks only the one to which the guest's replica is made from here.\n"
	"\n"
	"VM: what starts the guest (its script, its unit); or the name of a guest that vmferry has moved\n"
	"\n";

#define WAIT_MAX 3600 /* seconds */
#define AGAIN_MS 2000

struct may_start_command {
	bool json, fenced;
	unsigned wait_s;
	const char *state_dir;
};

#define MEMBER(name) offsetof(struct may_start_command, name)

static const struct command_option rows[] = {
	{"peer-is-fenced", NULL, "the guest certainly runs at no other host: then disks that both hosts see may be started from here",
	 OPT_FLAG, .offset = MEMBER(fenced)},
	{"wait", "SECONDS",
	 "while the host of the guest's replica cannot be asked it is asked again for so long, as a network comes up some time after a host (default 0)",
	 OPT_NUMBER, .offset = MEMBER(wait_s), .max = WAIT_MAX},
	{"json", NULL, "the answer as an object (docs/automation.md)", OPT_FLAG, .offset = MEMBER(json)},
	{"state-dir", "DIR", "where the journals are", OPT_TEXT, .offset = MEMBER(state_dir)},
	{.name = NULL},
};

static json_t *list_disks(const struct guest *g)
{
	json_t *out = json_array();

	for (size_t i = 0; i < g->disk_count; i++)
		if (!g->disks[i].read_only && g->disks[i].real_path)
			json_array_append_new(out, json_string(g->disks[i].real_path));
	return out;
}

/* "vm1", of /srv/vm/vm1.sh and vm1.service; malloc'ed. */
static char *name_in(const char *vm)
{
	AUTO_FREE char *copy = xstrdup(vm);
	char *name = xstrdup(basename(copy)), *dot = strrchr(name, '.');

	if (dot && dot > name && (!strcmp(dot, ".sh") || !strcmp(dot, ".service")))
		*dot = '\0';
	return name;
}

/* True if VM is neither a path nor a unit. */
static bool is_bare_name(const char *vm)
{
	return !strchr(vm, '/') && !guest_is_unit(vm) && access(vm, F_OK);
}

/* Answers by the guest's name if its starter cannot be read: starter or disks may be gone because the guest is, which says more than a
 * missing file. */
static int ask_by_name(const struct newest_question *q, const struct err *unread, struct newest_answer *a, struct err *e)
{
	int r = newest_copy_is_here(q, a, e);

	if (!r && unread) {
		free(a->known);
		a->known = NULL;
	}
	if (unread && (!r || r == -ENOENT))
		*e = *unread;
	return unread && !r ? -e->code : r;
}

/* Refuses a guest of which this host only has the replica: its primary is, or was, elsewhere. */
static int check_replica(const struct newest_question *q, const char *name, struct err *e)
{
	AUTO_FREE char *dir = NULL, *conf = replica_path(q->state_dir, name, "conf");
	struct points p = {.dir = NULL};
	struct err ignored;
	int r = points_look_up(q->state_dir, name, &dir, e);

	if (r)
		return r;
	if (newest_copy_is_not_moving(q, &ignored)) /* the next check has a message for this */
		return 0;
	if (dir && access(conf, F_OK) && !points_read(&p, dir, &ignored) && points_newest(&p) && !json_object_get(p.replica, "run") &&
	    replica_check_came(q->state_dir, name, &p, &ignored) != -EEXIST)
		r = onward_replaced(&p)
			    ? err_set(e, EBUSY,
				      "this host has its replica, in %s, and the guest was taken over at %s, to which its points went on",
				      dir, onward_to(&p))
			    : err_set(e, EBUSY, "this host has its replica, in %s, of %s: it can run here by vmferry replica failover %s",
				      dir, json_text(p.replica, "from") ?: "another host", name);
	points_close(&p);
	return r;
}

/* The replica's host could not be asked, whatever that means for the guest. */
static bool is_unanswered(int r, const char *alone)
{
	return r ? r == -EAGAIN : alone != NULL;
}

/* The further host is asked if the guest was taken over here, and its points went on from here. */
static int ask_further(const struct replica_conf *c, const char *name, char **alone, struct err *e)
{
	int r = replica_onward_may_run(c, name, e);

	if (r != -EAGAIN || strcmp(c->start_alone, "yes") != 0)
		return r;
	*alone = xstrdup(e->msg);
	return 0;
}

static int ask_once(const struct replica_conf *c, const char *name, char **alone, struct err *e)
{
	return c->to && !c->goes_on ? replica_check_not_taken(c, name, alone, e) : ask_further(c, name, alone, e);
}

static int ask_until(const struct replica_conf *c, const char *name, unsigned wait_s, char **alone, struct err *e)
{
	uint64_t until = now_ns() + wait_s * 1000000000ULL;
	int r = ask_once(c, name, alone, e);

	if (is_unanswered(r, *alone) && wait_s)
		fprintf(stderr, "vmferry: guest %s: %s cannot be asked yet, and is asked again for %u s\n", name, c->to ?: "a further host",
			wait_s);
	while (is_unanswered(r, *alone) && now_ns() < until) {
		poll(NULL, 0, AGAIN_MS);
		free(*alone);
		*alone = NULL;
		r = ask_once(c, name, alone, e);
	}
	return r;
}

/* Points of it are made from here, so the host that has them may have the guest. */
static int ask_replica(const struct newest_question *q, const char *name, unsigned wait_s, char **alone, struct err *e)
{
	struct replica_conf c;
	int r;

	replica_conf_init(&c);
	c.o.dirs.state = q->state_dir;
	r = replica_conf_dirs(&c, e) ?: replica_conf_load(&c, name, e);
	r = q->fenced ? 0 : r && r != -ENOENT ? r : ask_until(&c, name, wait_s, alone, e);
	replica_conf_fini(&c);
	return r;
}

static int check_replaced(const struct newest_question *q, const char *name, struct err *e)
{
	AUTO_FREE char *path = replica_path(q->state_dir, name, "json"), *alone = NULL;
	json_t *state = replica_state_load(q->state_dir, name);
	struct err ignored;

	if (!state && !access(path, F_OK))
		return err_set(e, EBADMSG, "%s is damaged, which would say whether it was taken over at the host of its replica", path);
	json_decref(state);
	if (replica_is_replaced(q->state_dir, name))
		ask_replica(q, name, 0, &alone, &ignored);
	return replica_is_replaced(q->state_dir, name)
		       ? err_set(e, EBUSY,
				 "it was taken over at the host of its replica, and what lies here is the old copy. If that run was thrown away there "
				 "(vmferry replica failover %s --cancel), this host hears of it once it can ask that one; else remove %s",
				 name, path)
		       : 0;
}

/* Known from what starts the guest; malloc'ed, NULL: not known. */
struct starter {
	char *name, *uuid;
};

static int ask(struct newest_question *q, const char *vm, struct starter *s, struct newest_answer *a, struct err *e)
{
	AUTO_FREE char *script = NULL;
	struct err why;
	json_auto_t *disks = NULL;
	struct guest g;
	int r;

	if (is_bare_name(vm))
		return ask_by_name(q, NULL, a, e);
	r = guest_at_rest(&g, vm, NULL, 0, &script, &why);
	if (!r) {
		disks = list_disks(&g);
		q->disks = disks;
	}
	if (g.name)
		q->guest = s->name = xstrdup(g.name);
	if (g.line.argv && runs_here_uuid(g.line.argv, g.line.argc))
		s->uuid = xstrdup(runs_here_uuid(g.line.argv, g.line.argc));
	if (g.name && (check_replaced(q, g.name, e) || check_replica(q, g.name, e))) /* the script may have another name */
		r = -e->code;
	else
		r = r ? ask_by_name(q, &why, a, e) : newest_copy_is_here(q, a, e);
	guest_fini(&g);
	return r;
}

static json_t *answer_json(const char *guest, const struct newest_answer *a, const struct err *e)
{
	json_t *o = json_pack("{s:s,s:b,s:s,s:s*}", "guest", guest, "may_start", a->known != NULL, "reason", a->known ?: e->msg, "gone_to",
			      a->gone_to);

	if (a->gone_at)
		json_object_set_new(o, "gone_at", json_integer(a->gone_at));
	if (a->known && a->came_at)
		json_object_set_new(o, "came_at", json_integer(a->came_at));
	if (a->shared)
		json_object_set_new(o, "disks_shared", json_true());
	if (a->unsettled)
		json_object_set_new(o, "unsettled", json_true());
	return o;
}

static void tell(bool json, const char *guest, const struct newest_answer *a, const struct err *e)
{
	json_auto_t *answer = json ? answer_json(guest, a, e) : NULL;

	if (json)
		json_text_print(answer);
	else if (a->known)
		printf("%s may be started here: %s\n", guest, a->known);
	else
		fprintf(stderr, "vmferry: %s is not to be started here: %s\n", guest, e->msg);
}

int cmd_may_start(int argc, char **argv)
{
	static const struct option_table tables[] = {{rows, 0}, {NULL, 0}};
	static const struct command_usage usage = {"vmferry may-start",	 before,     .tables = tables,
						   .words = "one guest", .least = 1, .most = 1};
	struct may_start_command c = {.json = false};
	AUTO_FREE char *dir = NULL, *name = NULL, *alone = NULL;
	struct starter s = {.name = NULL};
	struct newest_answer a = {.known = NULL};
	struct newest_question q;
	struct err e;
	int first, r = command_take(&usage, argc, argv, &c, &first);

	if (r)
		return MAX(r, 0);
	name = name_in(argv[first]);
	r = state_dir_get(&dir, c.state_dir, &e);
	q = (struct newest_question){.state_dir = dir, .guest = name, .fenced = c.fenced};
	r = r ?: check_replaced(&q, name, &e) ?: check_replica(&q, name, &e);
	if (!r)
		ask(&q, argv[first], &s, &a, &e);
	if (a.known && ask_replica(&q, q.guest, c.wait_s, &alone, &e))
		newest_answer_fini(&a);
	if (a.known && replica_check_no_guest_runs(q.guest, &e)) /* it may have other disks now, as after it came back by its replica */
		newest_answer_fini(&a);
	if (a.known && runs_here_check(dir, q.guest, s.uuid, &e))
		newest_answer_fini(&a);
	if (a.known && alone)
		fprintf(stderr, "vmferry: guest %s: %s\n", name, alone);
	tell(c.json, name, &a, &e);
	r = a.known ? 0 : EXIT_REFUSED;
	newest_answer_fini(&a);
	free(s.name);
	free(s.uuid);
	return r;
}
