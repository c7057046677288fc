/* cmd-replica.c: vmferry replica: a guest's disks on another host, minutes old at most. Its subcommands, a row each. */
#include "cmd.h"
#include "dest-connect.h"
#include "json-text.h"
#include "log.h"
#include "move.h"
#include "nearest.h"
#include "object.h"
#include "onward.h"
#include "points.h"
#include "qemu-discover.h"
#include "qemu-names.h"
#include "replica-ask.h"
#include "replica-conf.h"
#include "replica-here.h"
#include "replica-note.h"
#include "replica-onward.h"
#include "replica-planned.h"
#include "replica-reverse.h"
#include "replica-run.h"
#include "replica-settle.h"
#include "replica-show.h"
#include "util.h"
#include "whereabouts.h"
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define QMP_MS 5000

/* ---- sync ---- */

static int say_gone(const char *guest)
{
	fprintf(stderr, "vmferry: guest %s has no replica any more that is made from here\n", guest);
	return EXIT_REFUSED;
}

static bool is_kept(const struct replica_conf *c, const char *guest)
{
	AUTO_FREE char *conf = replica_path(c->settings_dir, guest, "conf");

	return !access(conf, F_OK);
}

static int make_point(struct replica_conf *c, const char *guest)
{
	int code, turn = replica_take_turn(c->settings_dir, guest);

	if (!is_kept(c, guest)) /* while others had their turn */
		return close(turn), say_gone(guest);
	replica_settle_earlier(c, guest);
	if (c->goes_on) {
		code = replica_onward_begin(c, guest);
		if (code != REPLICA_GOES_ON)
			return close(turn), code;
	}
	log_init("src", c->o.dest.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 2);
	replica_conf_set_up(c, guest, HOW_REPLICA);
	c->sync.asks_start = replica_asks_plan(c, guest);
	c->sync.told = replica_told(c, guest);
	code = move_run(&c->o);
	if (c->goes_on)
		code = replica_onward_end(c, code);
	replica_note(c, guest, code);
	if (!code && !c->goes_on)
		replica_onward_forget(c->state_dir, guest);
	if (!code && c->initial)
		replica_conf_forget_initial(c, guest);
	close(turn);
	return code;
}

/* ---- add ---- */

static const char add_before[] =
	"usage: vmferry replica add VM DEST --disk-dir DIR [options]\n"
	"\n"
	"Begins a replica of a guest that runs here, at another host: its first point. DEST is as of vmferry migrate; the points are in "
	"DIR/VM.replica there. Each further one, by vmferry replica sync or run, has all disks as they are at one moment, and carries what "
	"was written since.\n"
	"\n"
	"Where this host has a guest's replica, and the guest is elsewhere, its points go on from here to DEST (an extended replica): the newest "
	"with each sync. The guest, and its host, are asked nothing.\n"
	"\n";

static char *new_pair(void)
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		abort();
	return xasprintf("%016llx", (unsigned long long)number);
}

/* A pid is another one when the guest is started again; its name stays. Malloc'ed. */
static char *name_of(const char *word)
{
	struct guest g;
	struct err ignored;
	char *name = guest_find(&g, word, &ignored) || !g.name ? NULL : xstrdup(g.name);

	guest_fini(&g);
	return name ?: xstrdup(word);
}

/* A copy that another has taken the place of is no guest to begin with. */
static int check_new(const struct replica_conf *c, const char *guest)
{
	AUTO_FREE char *conf = replica_path(c->settings_dir, guest, "conf"), *note = replica_path(c->settings_dir, guest, "json");
	json_t *state = replica_state_load(c->settings_dir, guest);
	bool replaced = json_is_true(json_object_get(state, "replaced"));

	json_decref(state);
	if (access(conf, F_OK) && !replaced)
		return 0;
	if (access(conf, F_OK))
		fprintf(stderr,
			"vmferry: guest %s was taken over at the host of its replica, and what lies here is the old copy. If that run was "
			"thrown away there (vmferry replica failover %s --cancel), remove %s\n",
			guest, guest, note);
	else
		fprintf(stderr, "vmferry: guest %s has a replica already (vmferry replica status %s)\n", guest, guest);
	return EXIT_REFUSED;
}

static int begin_replica(struct replica_conf *c, const char *guest)
{
	AUTO_FREE char *conf = replica_path(c->settings_dir, guest, "conf");
	const char *reuse_all = c->o.disks.reuse_all;
	const struct option_list reuse = c->o.disks.reuse;
	struct err e;
	int code;

	if (!c->o.disk_dir || *c->o.disk_dir != '/') {
		fprintf(stderr, "vmferry replica: say where its points go there, in full: --disk-dir DIR\n");
		return EXIT_USAGE;
	}
	c->o.disks.reuse = (struct option_list){.count = 0};
	c->o.disks.reuse_all = NULL;
	replica_forget(c->settings_dir, guest); /* record of an earlier pair */
	if (replica_conf_save(c, guest, &e))
		return replica_say(&e);
	c->o.disks.reuse = reuse; /* the first point alone uses older copies */
	c->o.disks.reuse_all = reuse_all;
	code = make_point(c, guest);
	if (code == EXIT_REFUSED && unlink(conf) && errno != ENOENT)
		fprintf(stderr, "vmferry: cannot remove %s: %s\n", conf, strerror(errno));
	if (code == EXIT_REFUSED)
		replica_forget(c->settings_dir, guest);
	else if (code)
		fprintf(stderr,
			"vmferry: the replica of guest %s has no point yet: vmferry replica sync %s tries again; vmferry replica remove %s, here and "
			"at %s, ends it\n",
			guest, guest, guest, c->to);
	if (code == EXIT_REFUSED && c->goes_on)
		onward_end(c->store, &e);
	return code;
}

/* Says what makes further points: nothing does by itself. */
static void say_what_goes_on(const struct replica_conf *c, const char *guest)
{
	fprintf(c->o.events.json ? stderr : stdout,
		"%s: further points are made, one every %u s, by vmferry replica run %s, or as a service: systemctl enable --now "
		"vmferry-replica@%s\n",
		guest, c->every_s, guest, guest);
}

static int add(struct replica_conf *c, int argc, char **argv)
{
	AUTO_FREE char *pair = new_pair(), *guest = name_of(argv[0]);
	int code;

	(void)argc;
	c->to = argv[1];
	c->pair = pair;
	code = replica_onward_choose(c, guest) ?: check_new(c, guest) ?: begin_replica(c, guest);
	if (!code && c->goes_on)
		fprintf(c->o.events.json ? stderr : stdout,
			"%s: its points go on to %s from here, the newest with each vmferry replica sync %s; vmferry-replica@%s.service does that every %u s\n",
			guest, c->to, guest, guest, c->every_s);
	else if (!code)
		say_what_goes_on(c, guest);
	if (!code && dest_kind(c->to) == DEST_STANDING)
		fprintf(stderr,
			"vmferry: %s is not reached by SSH, so vmferry may-start cannot ask it whether the guest was taken over there\n",
			c->to);
	c->pair = NULL;
	return code;
}

static int reverse(struct replica_conf *c, int argc, char **argv)
{
	int code;

	c->settings_dir = xstrdup(c->state_dir);
	code = check_new(c, argv[0]);

	(void)argc;
	c->to = argv[1];
	code = code ?: replica_reverse(c, argv[0]) ?: begin_replica(c, argv[0]);
	if (!code)
		say_what_goes_on(c, argv[0]);
	return code;
}

/* ---- those of a guest that has one ---- */

static int sync_guest(struct replica_conf *c, int argc, char **argv)
{
	struct err e;

	(void)argc;
	return replica_conf_load(c, argv[0], &e) ? replica_say(&e) : make_point(c, argv[0]);
}

static int verify(struct replica_conf *c, int argc, char **argv)
{
	struct err e;
	int r = replica_conf_load(c, argv[0], &e) ? replica_say(&e) : 0;

	(void)argc;
	c->sync.whole = true;
	return r ?: make_point(c, argv[0]);
}

/* ---- settings ---- */

/* The settings may have been taken away since they were read: by the guest, or as that was taken over. */
static int save_again(struct replica_conf *c, const char *guest)
{
	struct err e;

	if (!is_kept(c, guest))
		return say_gone(guest);
	return replica_conf_save(c, guest, &e) ? replica_say(&e) : 0;
}

static int set_paused(struct replica_conf *c, const char *guest, bool paused)
{
	struct err e;

	c->said.usage = NULL; /* what is kept is written again */
	if (replica_conf_load(c, guest, &e))
		return replica_say(&e);
	c->paused = paused;
	if (save_again(c, guest))
		return EXIT_REFUSED;
	if (paused)
		printf("%s: vmferry replica run makes no more points of it, until vmferry replica resume %s\n", guest, guest);
	else
		printf("%s: vmferry replica run makes points of it again\n", guest);
	return 0;
}

static int pause_guest(struct replica_conf *c, int argc, char **argv)
{
	(void)argc;
	return set_paused(c, argv[0], true);
}

static int resume_guest(struct replica_conf *c, int argc, char **argv)
{
	(void)argc;
	return set_paused(c, argv[0], false);
}

static int check_kept(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (replica_option_is_once(argv[i]))
			return fprintf(stderr,
				       "vmferry replica set: %s is said to the command that it is for, and is nothing that is kept\n",
				       argv[i]),
			       EXIT_USAGE;
	return 0;
}

/* NAME=VALUE, as an option of add. */
static int set(struct replica_conf *c, int argc, char **argv)
{
	const struct command_usage usage = {"vmferry replica set", "", .tables = replica_tables(false)};
	AUTO_FREE char **words = xcalloc((size_t)argc + 1, sizeof(*words));
	struct err e;
	int i, first, r;

	c->said.usage = NULL;
	if (replica_conf_load(c, argv[0], &e))
		return replica_say(&e);
	words[0] = argv[0];
	for (i = 1; i < argc; i++)
		words[i] = xasprintf("--%s", argv[i]);
	r = check_kept(argc, argv) ?: command_take(&usage, argc, words, c, &first);
	if (!r && c->goes_on && replica_onward_misses(c)) {
		fprintf(stderr, "vmferry: points of guest %s go on from here as they are: %s is for where it runs\n", argv[0],
			replica_onward_misses(c));
		r = EXIT_USAGE;
	}
	r = r ? MAX(r, 0) : save_again(c, argv[0]);
	for (i = 1; i < argc; i++)
		free(words[i]);
	return r;
}

/* ---- remove ---- */

/* A guest that does not run has nothing of it. */
static int remove_bitmaps(const struct replica_conf *c, const char *guest, struct err *e)
{
	AUTO_FREE char *prefix = xasprintf("vmfr-%s-", c->pair);
	struct loop *l = NULL;
	struct qmp *q = NULL;
	struct guest g;
	int r = guest_find(&g, guest, e);

	if (r == -ENOENT)
		r = 0;
	else if (!r)
		r = loop_new(&l, 64, e) ?: guest_open_qmp(&g, &q, l, QMP_MS, NULL, NULL, e) ?: qemu_undo_bitmaps(q, prefix, e);
	if (q)
		qmp_close(q);
	if (l)
		loop_free(l);
	guest_fini(&g);
	return r;
}

/* Disks that lie here are the old copy still, once nothing is known of a replica any more. */
static int note_gone(const struct replica_conf *c, const char *guest, struct err *e)
{
	AUTO_FREE char *path = whereabouts_path(c->state_dir, guest);
	json_t *state = replica_state_load(c->state_dir, guest), *entry;
	int r = 0;

	if (json_is_true(json_object_get(state, "replaced"))) {
		entry = json_pack("{s:s,s:s,s:s,s:O*}", "guest", guest, "attempt", c->pair, "gone_to", c->to, "disks",
				  json_object_get(state, "disks"));
		r = entry ? whereabouts_add(path, entry, e) : err_set(e, EBADMSG, "what is known of guest %s is damaged", guest);
		json_decref(entry);
	}
	json_decref(state);
	return r ? err_prefix(e, "cannot note that guest %s was taken over at %s", guest, c->to) : 0;
}

/* Settings that cannot be read, as those of a newer vmferry: what they say besides is not needed to make no more points. */
static int remove_unread(const struct replica_conf *c, const char *conf, const char *guest, const struct err *why)
{
	if (replica_is_replaced(c->state_dir, guest) || unlink(conf)) /* where it was taken over to has to be noted */
		return replica_say(why);
	replica_forget(c->state_dir, guest);
	printf("%s: no more points are made of it from here. Its settings could not be read (%s), so dirty bitmaps vmfr-… may stay in its "
	       "QEMU, which they do not harm, and its points where they are\n",
	       guest, why->msg);
	return 0;
}

/* Afterwards nobody here asks any more whether it was taken over there. */
static int ask_once_more(const struct replica_conf *c, const char *guest, struct err *e)
{
	AUTO_FREE char *alone = NULL;
	int r = c->once.fenced || replica_is_replaced(c->state_dir, guest) ? 0 : replica_check_not_taken(c, guest, &alone, e);

	if (alone)
		fprintf(stderr, "vmferry: guest %s: %s\n", guest, alone);
	return r && !replica_is_replaced(c->state_dir, guest) ? err_prefix(e, "guest %s", guest) : 0;
}

static int remove_primary(struct replica_conf *c, const char *guest)
{
	AUTO_FREE char *conf = replica_path(c->state_dir, guest, "conf");
	struct err e;
	int r = replica_conf_load(c, guest, &e);

	if (r)
		return r == -ENOENT ? 0 : r == -EINVAL ? remove_unread(c, conf, guest, &e) : replica_say(&e);
	if (ask_once_more(c, guest, &e) || note_gone(c, guest, &e))
		return replica_say(&e);
	if (remove_bitmaps(c, guest, &e))
		fprintf(stderr, "vmferry: dirty bitmaps vmfr-%s-… stay in the guest's QEMU, which they do not harm: %s\n", c->pair, e.msg);
	if (unlink(conf) && errno != ENOENT) {
		fprintf(stderr, "vmferry: cannot remove %s: %s\n", conf, strerror(errno));
		return EXIT_LEFTOVERS;
	}
	replica_forget(c->state_dir, guest);
	printf("%s: no more points are made of it from here; those at %s stay until vmferry replica remove %s there\n", guest, c->to,
	       guest);
	return 0;
}

static int remove_store(struct replica_conf *c, const char *guest, const char *dir)
{
	AUTO_FREE char *run = xasprintf("%s/run", dir), *test = xasprintf("%s/test", dir);
	struct points p = {.dir = NULL};
	bool runs, stays = false;
	struct err e;
	int lock = -1, r = points_lock(dir, &lock, &e);

	r = r ?: points_read(&p, dir, &e);
	runs = !r && json_object_get(p.replica, "run");
	if (!r && points_are_vacant(&p)) {
		printf("%s: its points are gone already. %s/replica.json stays, by which its primary of before is refused\n", guest, dir);
		close(lock);
		points_close(&p);
		return 0;
	}
	if (!r && (json_object_get(p.replica, "test") || !access(test, F_OK)))
		r = err_set(&e, EBUSY, "a trial of guest %s runs from one of the points: vmferry replica test %s --end", guest, guest);
	if (!r && !runs && !access(run, F_OK))
		r = err_set(&e, EBUSY, "%s is there: a move of guest %s to here is not settled (vmferry recover at its primary)", run,
			    guest);
	r = r == -ENOENT || runs ? r : r ?: points_remove_all(&p, &stays, &e);
	r = r == -ENOENT ? 0 : r;
	if (lock >= 0)
		close(lock);
	points_close(&p);
	if (r || runs)
		return r ? replica_say(&e) : replica_remove_gone(c, guest);
	if (!stays)
		replica_forget_store(c->state_dir, guest);
	printf("%s: its points in %s are removed%s\n", guest, dir,
	       stays ? "; replica.json stays there, by which its primary of before is refused" : "");
	return 0;
}

static int remove_guest(struct replica_conf *c, int argc, char **argv)
{
	AUTO_FREE char *dir = replica_store(c->state_dir, argv[0]), *conf = replica_path(c->state_dir, argv[0], "conf");
	bool is_primary = !access(conf, F_OK);
	int r = 0;

	(void)argc;
	if (!is_primary && replica_onward_has(c->state_dir, argv[0]))
		return replica_onward_remove(c, argv[0]);
	if (!is_primary && !dir) {
		fprintf(stderr, "vmferry: this host has no replica of guest %s, nor is it the primary of one\n", argv[0]);
		return EXIT_REFUSED;
	}
	if (is_primary)
		r = remove_primary(c, argv[0]);
	return r || !dir ? r : remove_store(c, argv[0], dir);
}

/* ---- a run from a point ---- */

static int test_guest(struct replica_conf *c, int argc, char **argv)
{
	(void)argc;
	return c->once.ends ? replica_test_end(c, argv[0]) : c->once.for_s ? replica_trial(c, argv[0]) : replica_test(c, argv[0]);
}

/* Checks options that exclude each other, before either is done: what one run has written would be thrown away. */
static int check_failover(const struct replica_conf *c)
{
	const char *why = c->once.plans + c->once.cancels + c->once.completes > 1 ? "say one of --planned, --cancel and --complete"
			  : c->once.point && (c->once.plans || c->once.cancels || c->once.completes)
				  ? "--point is for a run that begins: not with --planned, --cancel or --complete"
			  : (c->shuts_down || c->o.warm.shutdown_timeout_s || c->o.warm.force) && !c->once.plans
				  ? "--how, --shutdown-timeout and --force are for --planned"
			  : (c->o.warm.shutdown_timeout_s || c->o.warm.force) && !c->shuts_down
				  ? "--shutdown-timeout and --force are for a guest that is shut down for it (--planned --how warm)"
			  : c->o.starter.install_unit && !c->once.plans
				  ? "--install-unit is for --planned; a guest that is taken over is started again by its script"
				  : NULL;

	if (why)
		fprintf(stderr, "vmferry replica failover: %s\n", why);
	return why ? EXIT_USAGE : 0;
}

static int fail_over(struct replica_conf *c, int argc, char **argv)
{
	(void)argc;
	if (check_failover(c))
		return EXIT_USAGE;
	if (c->once.plans)
		return replica_planned(c, argv[0]);
	if (!c->once.cancels && !c->once.completes && replica_onward_check_not_taken(c, argv[0]))
		return EXIT_REFUSED;
	return c->once.cancels	   ? replica_failover_cancel(c, argv[0])
	       : c->once.completes ? replica_failover_complete(c, argv[0])
				   : replica_failover(c, argv[0]);
}

/* ---- subcommands ---- */

static const char *const about_shown[] = {"json", "state-dir", NULL}, *const sync_shown[] = {"verbose", "json", "state-dir", NULL},
			 *const set_shown[] = {"state-dir", NULL}, *const remove_shown[] = {"peer-is-fenced", "state-dir", NULL},
			 *const test_shown[] = {"point", "map-net", "for", "end", "state-dir", NULL},
			 *const failover_shown[] = {"planned",
						    "how",
						    "shutdown-timeout",
						    "force",
						    "max-downtime",
						    "install-unit",
						    "point",
						    "peer-is-fenced",
						    "further-is-fenced",
						    "map-net",
						    "cancel",
						    "runs-at-primary",
						    "complete",
						    "verbose",
						    "json",
						    "state-dir",
						    NULL};

static const char *const add_shown[] =
	{"every",	"keep",	      "spool",	   "freeze",   "start-alone",	    "disk",	  "initial", "disk-dir",   "bwlimit",
	 "reuse",	"attach",     "codec",	   "channels", "reconnect-timeout", "qemu",	  "verbose", "json",	   "state-dir",
	 "runtime-dir", "identity",   "port",	   "ssh",      "ssh-accept-new",    "keep-agent", "via",     "data-ports", "listen-address",
	 "psk-file",	"token-file", "plaintext", "map-net",  "max-downtime",	    NULL};

static const struct subcommand {
	const char *name, *before;
	const char *const *shown;
	const char *words;
	int least, most;
	int (*run)(struct replica_conf *c, int argc, char **argv);
	const char *help;
} subcommands[] = {
	{"add", add_before, add_shown, "a guest, and where its replica is to be", 2, 2, add, "begin a replica of a guest: its first point"},
	{"sync", "usage: vmferry replica sync VM\n\nMakes a point now; returns when it is on stable storage there.\n\n", sync_shown,
	 "a guest", 1, 1, sync_guest, "make a point now"},
	{"run",
	 "usage: vmferry replica run VM\n\nMakes a point each time that --every of add says, until it is told to end (SIGTERM): for a service, as "
	 "docs/vmferry-replica@.service is. Why no point can be made is told once, and when points are made again; the longer it fails the less often it is tried. It ends, too, when the replica is removed.\n\n",
	 set_shown, "a guest", 1, 1, replica_run, "make a point every so often, until told to end"},
	{"verify",
	 "usage: vmferry replica verify VM\n\nMakes a point of which everything was compared by hash with what is there, whatever QEMU's "
	 "bitmaps say.\n\n",
	 sync_shown, "a guest", 1, 1, verify, "make one, comparing everything"},
	{"list", "usage: vmferry replica list\n\nShows guests with a replica elsewhere, and replicas here.\n\n", about_shown, "no guest", 0,
	 0, replica_show, "show guests with a replica elsewhere, and replicas here"},
	{"status", "usage: vmferry replica status VM\n\nShows a guest's replica, at either host.\n\n", about_shown, "a guest", 1, 1,
	 replica_show, "show a guest's, with its points"},
	{"history",
	 "usage: vmferry replica history VM\n\nShows what became of the last attempts to make a point of a guest, at its primary: when, how long it took, what was "
	 "written, what went over the network, and why it failed.\n\n",
	 about_shown, "a guest", 1, 1, replica_show_history, "show what became of its last points, at its primary"},
	{"ask",
	 "usage: vmferry replica ask VM [--json]\n\nAsks the replica's host whether the guest was taken over there, or at a further one where its points go on to. "
	 "Exit code 0: it was not.\n\n",
	 about_shown, "a guest", 1, 1, replica_onward_ask, "ask its host whether the guest was taken over"},
	{"pause", "usage: vmferry replica pause VM\n\nvmferry replica run makes no more points of it.\n\n", set_shown, "a guest", 1, 1,
	 pause_guest, "no more points by vmferry replica run"},
	{"resume", "usage: vmferry replica resume VM\n\nvmferry replica run makes points of it again.\n\n", set_shown, "a guest", 1, 1,
	 resume_guest, "points again"},
	{"set", "usage: vmferry replica set VM NAME=VALUE...\n\nChanges options of vmferry replica add: every=30s keep=4 bwlimit=10M.\n\n",
	 set_shown, "a guest, and NAME=VALUE of options of add", 2, 64, set, "change its options: every=30s keep=4"},
	{"test",
	 "usage: vmferry replica test VM [--point POINT] [--map-net NIC=WHAT] [--for TIME]\n       vmferry replica test VM --end\n\nAt the replica's host: runs "
	 "VM-test from a point, on overlays that are thrown away at the end, with no network unless --map-net says one. The guest and its replica go "
	 "on; points are not dropped meanwhile.\n\n",
	 test_shown, "a guest", 1, 1, test_guest, "run a trial from a point, beside the guest"},
	{"failover",
	 "usage: vmferry replica failover VM --planned [--how warm]\n       vmferry replica failover VM --peer-is-fenced [--point P]\n       vmferry replica failover "
	 "VM --cancel|--complete\n\nAt the primary, with --planned: a point is made, and the guest goes to its replica as it runs, with its memory and what "
	 "it has written since; with --how warm, for a guest that cannot go as it runs, it is shut down, and boots there. Nothing is lost.\n\nAt the replica's host: runs the guest from a point, in place of its primary, which is refused from then on. "
	 "What was written there after the point is lost to this run.\n\n",
	 failover_shown, "a guest", 1, 1, fail_over, "the guest goes to its replica, or runs there as its primary is lost"},
	{"reverse",
	 "usage: vmferry replica reverse VM DEST [options of add]\n\nWhere a guest was taken over: its replica is at its old primary, DEST, from now on. It gets disks of its own here first, if it has "
	 "none (failover --complete). What its old disks there have does not travel; they stay as they are, and may go afterwards.\n\n",
	 add_shown, "a guest, and its old primary", 2, 2, reverse,
	 "have the replica of a guest that was taken over here at its old primary"},
	{"remove",
	 "usage: vmferry replica remove VM [--peer-is-fenced]\n\nAt the primary: no more points are made of the guest, and its QEMU records nothing for them any "
	 "more. Whether it was taken over at the replica's host is asked once more; where it gets no answer: --peer-is-fenced, if the guest certainly was not. At the replica's host: its points are removed.\n\n",
	 remove_shown, "a guest", 1, 1, remove_guest, "end it, at either host"},
};

static char *intro(void)
{
	char *text;
	size_t n, i;
	FILE *f = open_memstream(&text, &n);

	fputs("usage: vmferry replica SUBCOMMAND ...\n"
	      "\n"
	      "A guest's disks on another host, minutes old at most, at several moments to choose from. The guest runs here all the time, and "
	      "nothing that fails there or on the way fails a write of it.\n"
	      "\n",
	      f);
	for (i = 0; i < ARRAY_LEN(subcommands); i++)
		fprintf(f, "  %-8s  %s\n", subcommands[i].name, subcommands[i].help);
	fputs("\nvmferry replica SUBCOMMAND --help tells more; docs/replica.md has examples. Options of all of them:\n\n", f);
	if (fclose(f))
		abort();
	return text;
}

static int run(const struct subcommand *s, int argc, char **argv)
{
	AUTO_FREE char *name = xasprintf("vmferry replica %s", s->name);
	const struct command_usage usage = {name,
					    s->before,
					    .tables = replica_tables(false),
					    .shown = s->shown,
					    .takes_shown = true,
					    .words = s->words,
					    .least = s->least,
					    .most = s->most};
	struct replica_conf c;
	struct err e;
	int first, r;

	replica_conf_init(&c);
	r = command_take(&usage, argc, argv, &c, &first);
	if (r)
		return MAX(r, 0);
	c.said = (struct replica_said){&usage, argc, argv};
	r = replica_conf_dirs(&c, &e) ? replica_say(&e) : s->run(&c, argc - first, argv + first);
	replica_conf_fini(&c);
	return r;
}

static int say_no_such(const char *typed)
{
	const char *names[ARRAY_LEN(subcommands)];

	for (size_t i = 0; i < ARRAY_LEN(subcommands); i++)
		names[i] = subcommands[i].name;
	fprintf(stderr, "vmferry replica: there is no '%s'; vmferry replica --help lists what there is\n", typed);
	nearest_propose("vmferry replica ", typed, names, ARRAY_LEN(subcommands));
	return EXIT_USAGE;
}

int cmd_replica(int argc, char **argv)
{
	AUTO_FREE char *before = intro();
	const struct command_usage usage = {"vmferry replica", before, .tables = replica_tables(false)};
	const struct subcommand *asked;
	struct replica_conf c;
	int first;

	if (argc < 2) {
		fputs(before, stderr);
		return EXIT_USAGE;
	}
	asked = ROW_OF(subcommands, name, argv[1]);
	if (asked)
		return run(asked, argc - 1, argv + 1);
	if (*argv[1] != '-')
		return say_no_such(argv[1]);
	replica_conf_init(&c);
	return command_take(&usage, argc, argv, &c, &first) == COMMAND_HELPED ? 0 : EXIT_USAGE;
}
