/* replica-conf.c: see replica-conf.h. */
#include "replica-conf.h"
#include "config-file.h"
#include "durable-file.h"
#include "exit-code.h"
#include "json-text.h"
#include "keep-points.h"
#include "onward.h"
#include "paths.h"
#include "points.h"
#include "points-note.h"
#include "primary-note.h"
#include "qemu-discover.h"
#include "util.h"
#include "words.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVERY_MIN 10
#define EVERY_MAX (24 * 3600)
#define FOR_MAX	  (7 * 24 * 3600)
#define TABLES	  8

int replica_say(const struct err *e)
{
	fprintf(stderr, "vmferry: %s\n", e->msg);
	return EXIT_REFUSED;
}

char *replica_parent_dir(const char *path)
{
	char *parent = xstrdup(path), *slash = strrchr(parent, '/');

	slash[slash == parent] = '\0';
	return parent;
}

/* ---- rows ---- */

static int check_keep(void *into, const char *arg, struct err *e)
{
	struct keep_rule k;

	(void)into;
	return keep_rule_parse(arg, &k, e) ? option_bad(e, arg, "N or N,hourly:H, with N from 1 and both up to 400") : 0;
}

static int check_absolute(void *into, const char *arg, struct err *e)
{
	(void)into;
	return *arg == '/' ? 0 : option_bad(e, arg, "an absolute path");
}

/* DISK=copy takes that back. */
static int take_left_out(void *into, const char *arg, struct err *e)
{
	struct option_list *l = &((struct replica_conf *)into)->o.disks.map;
	const char *value = option_pair_value(arg);
	size_t n = value ? (size_t)(value - arg) : 0;
	bool found = false;

	if (!value || value == arg + 1 || (strcmp(value, "empty") && strcmp(value, "copy")))
		return option_bad(e, arg, "DISK=empty, or DISK=copy");
	for (unsigned i = 0; i < l->count && !found; i++)
		if (!strncmp(l->at[i], arg, n)) {
			found = true;
			l->at[i] = l->at[l->count - 1];
			l->count--;
		}
	if (!found && strcmp(value, "empty"))
		return option_bad(e, arg, "the name by which the disk was left out (vmferry replica status shows it)");
	return strcmp(value, "empty") ? OPTION_TAKEN : 0;
}

static int check_yes_or_no(void *into, const char *arg, struct err *e)
{
	(void)into;
	return strcmp(arg, "yes") && strcmp(arg, "no") ? option_bad(e, arg, "yes or no") : 0;
}

/* Seconds; 0: it is no such time. */
static unsigned seconds_of(const char *arg)
{
	unsigned number = 0;
	char unit = 's';
	int n = 0;

	if (sscanf(arg, "%5u%n%c%n", &number, &n, &unit, &n) < 1 || arg[n] || !unit || !strchr("smh", unit) || *arg < '0' || *arg > '9')
		return 0;
	return number * (unit == 's' ? 1 : unit == 'm' ? 60 : 3600);
}

static int take_every(void *into, const char *arg, struct err *e)
{
	unsigned s = seconds_of(arg);

	if (s < EVERY_MIN || s > EVERY_MAX)
		return option_bad(e, arg, "a time from 10s to 24h: 30s, 5m, 1h");
	((struct replica_conf *)into)->every_s = s;
	return 0;
}

static int take_for(void *into, const char *arg, struct err *e)
{
	unsigned s = seconds_of(arg);

	if (!s || s > FOR_MAX)
		return option_bad(e, arg, "a time from 1s to 7 days: 90s, 30m, 2h");
	((struct replica_conf *)into)->once.for_s = s;
	return 0;
}

static int take_how(void *into, const char *arg, struct err *e)
{
	if (strcmp(arg, "live") && strcmp(arg, "warm"))
		return option_bad(e, arg, "live or warm");
	((struct replica_conf *)into)->shuts_down = !strcmp(arg, "warm");
	return 0;
}

#define MEMBER(name) offsetof(struct replica_conf, name)

static const struct command_option rows[] = {
	{"every", "TIME", "how often a point is made by vmferry replica run: 10s to 24h (default 5m)", OPT_CALL, .take = take_every,
	 .heading = "Of the replica:"},
	{"keep", "N[,hourly:H]",
	 "points that stay there: the newest N, and of each of the last H hours in which there are any the newest (default 12,hourly:24)",
	 OPT_TEXT, .offset = MEMBER(keep), .take = check_keep},
	{"disk", "DISK=empty",
	 "a disk that the replica leaves out, as of swap or scratch: where the guest runs from a point it is there in the same size, with nothing in it; "
	 "DISK=copy (vmferry replica set) takes that back. DISK: its node, drive, device or file name",
	 OPT_LIST, .offset = MEMBER(o.disks.map), .take = take_left_out},
	{"spool", "DIR",
	 "where what is to be sent lies here until it is, as much as was written since the last point (default: beside each disk; of a block "
	 "device beside the first disk that is a file)",
	 OPT_TEXT, .offset = MEMBER(spool), .take = check_absolute},
	{"freeze", NULL,
	 "the guest's agent (qemu-ga) freezes its file systems for the moment of each point; where it cannot, the point is made without",
	 OPT_FLAG, .offset = MEMBER(freezes)},
	{"start-alone", "yes|no",
	 "may the guest be started here where its replica's host cannot be asked whether it was taken over there (vmferry may-start)? (default yes)",
	 OPT_TEXT, .offset = MEMBER(start_alone), .take = check_yes_or_no},
	{"initial", "FROM",
	 "a bundle of the guest (vmferry export) that was brought to the replica's host, by its absolute path there: a directory, or a file with its stream; the first point "
	 "does not carry what is the same in it, as is compared by hash",
	 OPT_TEXT, .offset = MEMBER(initial), .take = check_absolute},
	{"point", "POINT", "the point's number, or the newest until a time: 14:05, '2026-11-29 14:05' (default: the newest of all)",
	 OPT_TEXT, .offset = MEMBER(once.point), .once = true, .heading = "For a run from a point:"},
	{"peer-is-fenced", NULL,
	 "failover: you vouch that the guest no longer runs at its primary, and will not: it must never run twice; remove: you vouch that "
	 "the guest was not taken over at the replica's host",
	 OPT_FLAG, .offset = MEMBER(once.fenced), .once = true},
	{"further-is-fenced", NULL,
	 "failover, where the points go on to a further host: you vouch that the guest does not run there, and will not", OPT_FLAG,
	 .offset = MEMBER(once.further_fenced), .once = true},
	{"planned", NULL, "at the primary: a last point, then the guest goes there as it runs", OPT_FLAG, .offset = MEMBER(once.plans),
	 .once = true},
	{"how", "live|warm",
	 "with --planned: live (default): it goes as it runs; warm: it is shut down (ACPI power button), and boots there, with nothing lost",
	 OPT_CALL, .take = take_how, .once = true},
	{"shutdown-timeout", "S", "with --how warm: how many seconds it may take to shut down (default 60)", OPT_NUMBER,
	 .offset = MEMBER(o.warm.shutdown_timeout_s), .min = 1, .max = 86400, .unit = "seconds", .once = true},
	{"force", NULL, "with --how warm: stop a guest that has not shut down by then, as if the plug was pulled", OPT_FLAG,
	 .offset = MEMBER(o.warm.force), .once = true},
	{"install-unit", NULL, "with --planned: make and enable a systemd unit there, which starts the guest when that host boots",
	 OPT_FLAG, .offset = MEMBER(o.starter.install_unit), .once = true},
	{"cancel", NULL, "end the guest that runs here from a point, and throw away what it has written", OPT_FLAG,
	 .offset = MEMBER(once.cancels), .once = true},
	{"runs-at-primary", NULL,
	 "with --cancel: the guest certainly runs nowhere else than at its primary, and what it has written here may be lost: of one that came here by --planned, or "
	 "whose script is gone or names other disks",
	 OPT_FLAG, .offset = MEMBER(once.lives_there), .once = true},
	{"complete", NULL,
	 "give the guest that runs here from a point disks of its own, while it runs, and remove the points: it stays here", OPT_FLAG,
	 .offset = MEMBER(once.completes), .once = true},
	{"for", "TIME", "the trial ends by itself then: 90s, 30m, 2h; the command waits for that, and Ctrl-C ends it earlier", OPT_CALL,
	 .take = take_for, .once = true},
	{"end", NULL, "end the trial, and throw away what it has written", OPT_FLAG, .offset = MEMBER(once.ends), .once = true},
	{.name = NULL},
};

/* Options of settings alone. */
static const struct command_option kept_rows[] = {
	{"seconds", "S", "the same in seconds, as it is kept", OPT_NUMBER, .offset = MEMBER(every_s), .min = EVERY_MIN, .max = EVERY_MAX},
	{"to", "DEST", "the replica's host", OPT_TEXT, .offset = MEMBER(to)},
	{"pair", "HEX", "by which primary and replica know each other", OPT_TEXT, .offset = MEMBER(pair)},
	{"term", "N", "the primary's", OPT_NUMBER, .offset = MEMBER(term), .min = 1, .max = 1000000},
	{"paused", NULL, "vmferry replica run makes no points", OPT_FLAG, .offset = MEMBER(paused)},
	{.name = NULL},
};

/* Options of a move that a point has, too, beside all that say how its destination is reached. */
static const char *const of_move[] = {"disk-dir",  "bwlimit",		"reuse",   "attach",	   "codec",
				      "channels",  "reconnect-timeout", "qemu",	   "verbose",	   "json",
				      "state-dir", "runtime-dir",	"map-net", "max-downtime", NULL};

static bool is_of_point(const char *name)
{
	return word_index(of_move, name) >= 0;
}

/* Options that mean something else than in a move. */
static const char *help_of_point(const struct command_option *o)
{
	if (!strcmp(o->name, "disk-dir"))
		return "where its points go at the replica's host: into DIR/VM.replica";
	if (!strcmp(o->name, "map-net"))
		return "what a NIC (id or MAC) is attached to: bridge:BRIDGE, tap:NAME[,script=…], user, none or as-is; without this option a "
		       "trial has no network; may be repeated";
	if (!strcmp(o->name, "reconnect-timeout"))
		return "for so many seconds connections that break are made again (default 15)";
	return o->help;
}

static const struct command_option *move_rows(void)
{
	static struct command_option chosen[ARRAY_LEN(of_move)];
	const struct command_option *o;
	size_t n = 0;

	for (o = move_tables[0].rows; o->name && n + 1 < ARRAY_LEN(chosen); o++)
		if (is_of_point(o->name)) {
			chosen[n] = *o;
			chosen[n].help = help_of_point(o);
			n++;
		}
	chosen[n] = (struct command_option){.name = NULL};
	return chosen;
}

const struct option_table *replica_tables(bool of_settings)
{
	static struct option_table offered[TABLES], kept[TABLES];
	struct option_table *t = of_settings ? kept : offered;
	size_t i, n = 0;

	t[n++] = (struct option_table){rows, 0};
	t[n++] = (struct option_table){move_rows(), 0};
	for (i = 1; move_tables[i].rows && n + 2 < TABLES; i++)
		t[n++] = move_tables[i];
	if (of_settings)
		t[n++] = (struct option_table){kept_rows, 0};
	t[n] = (struct option_table){NULL, 0};
	return t;
}

bool replica_option_is_once(const char *word)
{
	const struct command_option *o;
	size_t n = strcspn(word, "=");

	for (o = rows; o->name && (strncmp(o->name, word, n) || o->name[n]); o++)
		;
	return o->once;
}

/* ---- a guest's ---- */

void replica_conf_init(struct replica_conf *c)
{
	*c = (struct replica_conf){.o = {.stop.max_downtime_ms = 300, .reconnect_ms = 15000, .carry = {.multifd = -1}},
				   .keep = "12,hourly:24",
				   .start_alone = "yes",
				   .every_s = 300,
				   .term = 1};
}

void replica_conf_pass_on(const struct replica_conf *c)
{
	setenv("VMFERRY_STATE_DIR", c->state_dir, 1);
	setenv("VMFERRY_RUNTIME_DIR", c->runtime_dir, 1);
}

void replica_conf_fini(struct replica_conf *c)
{
	defaults_fini(&c->words);
	json_decref(c->sync.outcome.disks);
	json_decref(c->sync.outcome.would_start);
	json_decref(c->sync.outcome.warnings);
	json_decref(c->sync.outcome.event);
	json_decref(c->sync.told);
	FREE_ALL(c->state_dir, c->runtime_dir, c->store, c->settings_dir);
}

int replica_conf_dirs(struct replica_conf *c, struct err *e)
{
	free(c->state_dir);
	free(c->runtime_dir);
	c->state_dir = c->runtime_dir = NULL;
	return state_dir_get(&c->state_dir, c->o.dirs.state, e) ?: runtime_dir_get(&c->runtime_dir, c->o.dirs.runtime, e);
}

static void complain(struct replica_conf *c, const char *word)
{
	fprintf(stderr, "vmferry: the settings of a replica have '%s', which is no option\n", word);
	(void)c;
}

static void settings_are_in(struct replica_conf *c, char *dir /* taken */)
{
	free(c->settings_dir);
	c->settings_dir = dir;
}

void replica_conf_goes_on(struct replica_conf *c)
{
	c->goes_on = true;
	settings_are_in(c, xasprintf("%s/onward", c->state_dir));
}

void replica_conf_choose_settings(struct replica_conf *c, const char *guest)
{
	AUTO_FREE char *dir = xasprintf("%s/onward", c->state_dir);
	AUTO_FREE char *primary = replica_path(c->state_dir, guest, "conf"), *onward = replica_path(dir, guest, "conf");

	if (access(primary, F_OK) && !access(onward, F_OK))
		replica_conf_goes_on(c);
	else
		settings_are_in(c, xstrdup(c->state_dir));
}

/* Makes each option what it is by default, so that none counts twice. */
static void forget_options(struct replica_conf *c)
{
	struct replica_conf fresh;

	replica_conf_init(&fresh);
	fresh.said = c->said;
	fresh.state_dir = c->state_dir;
	fresh.runtime_dir = c->runtime_dir;
	fresh.settings_dir = c->settings_dir;
	fresh.goes_on = c->goes_on;
	*c = fresh;
}

static bool take_said(struct replica_conf *c)
{
	int first;

	return !c->said.usage || !command_take(c->said.usage, c->said.argc, c->said.argv, c, &first);
}

int replica_conf_load(struct replica_conf *c, const char *guest, struct err *e)
{
	AUTO_FREE char *path = NULL, *text = NULL;
	const struct command_usage usage = {"vmferry replica", "", .tables = replica_tables(true)};
	AUTO_FREE char **argv = NULL;
	int r, first = 0;

	replica_conf_choose_settings(c, guest);
	path = replica_path(c->settings_dir, guest, "conf");
	r = config_file_read(path, &text, e);

	if (!r && !text)
		return err_set(e, ENOENT, "guest %s has no replica that is made from here (vmferry replica add)", guest);
	if (!r)
		forget_options(c);
	r = r ?: defaults_parse(&c->words, text, path, "", replica_tables(true), e);
	if (r)
		return r;
	argv = xcalloc((size_t)c->words.count + 2, sizeof(*argv));
	argv[0] = (char *)"replica";
	memcpy(argv + 1, c->words.words, (size_t)c->words.count * sizeof(*argv));
	if (command_take(&usage, c->words.count + 1, argv, c, &first) || first != c->words.count + 1) {
		complain(c, first < c->words.count + 1 && first > 0 ? argv[first] : "?");
		return err_set(e, EINVAL, "%s cannot be understood", path);
	}
	if (!c->to || !c->pair || strlen(c->pair) != REPLICA_PAIR_LEN)
		return err_set(e, EINVAL, "%s does not say where the replica is", path);
	if (!take_said(c)) /* the name is another's, with the settings of a disk, say */
		return err_set(e, EINVAL, "the command's options cannot be had together with those of %s", path);
	return 0;
}

static FILE *saving; /* options_print() hands nothing on */

static void put_line(const char *name, const char *value)
{
	if (!strcmp(name, "every")) /* is kept in seconds */
		return;
	fprintf(saving, value ? "%s %s\n" : "%s\n", name, value);
}

int replica_conf_save(const struct replica_conf *c, const char *guest, struct err *e)
{
	AUTO_FREE char *path = replica_path(c->settings_dir, guest, "conf"), *dir = xasprintf("%s/replica", c->settings_dir), *text = NULL;
	size_t n = 0;

	if ((mkdir(c->settings_dir, 0700) && errno != EEXIST) || (mkdir(dir, 0700) && errno != EEXIST))
		return err_sys(e, errno, "cannot make %s", dir);
	saving = open_memstream(&text, &n);
	if (!saving)
		abort();
	fprintf(saving, "# the replica of guest %s: vmferry replica set changes this\n", guest);
	options_print(replica_tables(true), c, put_line);
	fclose(saving);
	saving = NULL;
	return replace_file(path, text, n, e);
}

void replica_conf_set_up(struct replica_conf *c, const char *guest, enum how how)
{
	if (c->pair != c->sync.pair)
		memcpy(c->sync.pair, c->pair, sizeof(c->sync.pair));
	c->sync.term = c->term;
	c->sync.store = how == HOW_REPLICA ? c->store : NULL;
	c->sync.keep = c->keep;
	c->sync.spool = c->spool;
	c->sync.initial = how == HOW_REPLICA ? c->initial : NULL;
	if (how != HOW_REPLICA) { /* a guest that runs on needs what is in them */
		c->left_out = c->o.disks.map;
		c->o.disks.map.count = 0;
		c->sync.left_out = &c->left_out;
	}
	c->sync.freezes = c->freezes;
	c->o.vm = guest;
	c->o.how = how;
	c->o.dest.where = c->to;
	c->o.disks.chain = CHAIN_FLATTEN;
	c->o.replica = &c->sync;
	c->o.dirs.state = c->o.dest.state_dir = c->state_dir;
	c->o.dirs.runtime = c->o.dest.runtime_dir = c->runtime_dir;
	if (how == HOW_REPLICA)
		c->o.disks.accept = DISK_ACCEPT_BITMAPS;
	move_options_fill_in(&c->o);
}

int replica_conf_take_store(struct replica_conf *c, const char *guest, struct err *e)
{
	struct points p = {.dir = NULL};
	const char *pair;
	int r;

	free(c->store);
	c->store = replica_store(c->state_dir, guest);
	if (!c->store)
		return err_set(e, ENOENT, "this host has no points of guest %s that could go on from here", guest);
	r = points_read(&p, c->store, e);
	pair = json_text(p.replica, "pair");
	if (!r && (!pair || strlen(pair) != REPLICA_PAIR_LEN))
		r = err_set(e, EBADMSG, "%s/replica.json is damaged: it has no pair", c->store);
	r = r ?: onward_check(&p, c->pair, e);
	if (!r) {
		c->term = (unsigned)json_integer_value(json_object_get(p.replica, "term"));
		memcpy(c->sync.pair, pair, sizeof(c->sync.pair));
		c->pair = c->sync.pair;
	}
	points_close(&p);
	return r;
}

/* ---- what became of it ---- */

json_t *replica_state_load(const char *dir, const char *guest)
{
	AUTO_FREE char *path = replica_path(dir, guest, "json");
	json_error_t why;

	return json_load_file(path, 0, &why);
}

bool replica_is_replaced(const char *dir, const char *guest)
{
	json_auto_t *state = replica_state_load(dir, guest);

	return json_is_true(json_object_get(state, "replaced"));
}

int replica_state_save(const char *dir, const char *guest, const json_t *state, struct err *e)
{
	AUTO_FREE char *path = replica_path(dir, guest, "json"), *text = json_text_dump(state, JSON_INDENT(1));

	return text ? replace_file(path, text, strlen(text), e) : err_set(e, EINVAL, "%s cannot be written: not text", path);
}

json_t *replica_names(const char *dir)
{
	AUTO_FREE char *path = xasprintf("%s/replica", dir);
	DIR *d = opendir(path);
	json_t *out = json_array();
	struct dirent *de;

	while (d && (de = readdir(d))) {
		size_t n = strlen(de->d_name);

		if (n > 5 && !strcmp(de->d_name + n - 5, ".conf"))
			json_array_append_new(out, json_stringn(de->d_name, n - 5));
	}
	if (d)
		closedir(d);
	return out;
}

/* ---- the replica's host ---- */

static char *store_note(const char *state_dir, const char *guest)
{
	AUTO_FREE char *dir = xasprintf("%s/replicas", state_dir), *name = points_dir(dir, guest);

	return xasprintf("%s.json", name);
}

char *replica_store(const char *state_dir, const char *guest)
{
	return points_noted(state_dir, guest);
}

json_t *replica_stores(const char *state_dir)
{
	AUTO_FREE char *dir = xasprintf("%s/replicas", state_dir);
	DIR *d = opendir(dir);
	json_t *out = json_object();
	struct dirent *de;

	while (d && (de = readdir(d))) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, de->d_name), *guest = points_note_guest(de->d_name);
		json_error_t why;
		json_t *o = guest ? json_load_file(path, 0, &why) : NULL;

		if (json_text(o, "guest") && json_text(o, "dir"))
			json_object_set(out, json_text(o, "guest"), json_object_get(o, "dir"));
		json_decref(o);
	}
	if (d)
		closedir(d);
	return out;
}

void replica_forget_store(const char *state_dir, const char *guest)
{
	AUTO_FREE char *path = store_note(state_dir, guest);

	unlink(path);
}

void replica_conf_forget_initial(const struct replica_conf *c, const char *guest)
{
	struct replica_conf now;
	struct err e;

	replica_conf_init(&now);
	now.state_dir = xstrdup(c->state_dir);
	if (!replica_conf_load(&now, guest, &e) && now.initial) {
		now.initial = NULL;
		if (replica_conf_save(&now, guest, &e))
			fprintf(stderr, "vmferry: %s\n", e.msg);
	}
	replica_conf_fini(&now);
}
