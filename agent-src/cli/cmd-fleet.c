/* cmd-fleet.c: several guests at once: migrate of several, drain and plan. See fleet-command.h. */
#include "cmd.h"
#include "dest-connect.h"
#include "exit-code.h"
#include "fleet-command.h"
#include "host-settings.h"
#include "qemu-discover.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANY_AT_ONCE 8 /* moves at once, where the host sets no limit */

/* ---- options ---- */

static const char *const allow_words[] = {"quick", "warm", "cold", NULL};
static const char *const wish_words[] = {[PLACE_EVEN] = "even", [PLACE_FAST] = "fast", [PLACE_FULL] = "full", NULL};

#define MEMBER(name) offsetof(struct fleet_options, name)

static const struct command_option fleet_rows[] = {
	{"to", "HOST,...",
	 "the hosts to choose from; @NAME stands for those of a group (FILES in man vmferry). Each guest goes where most is left afterwards "
	 "of the scarcest resource: memory, processors, or room for its disks",
	 OPT_TEXT, .offset = MEMBER(to), .once = true, .heading = "For several guests, or hosts:"},
	{"check-all", NULL, "begin none unless all of them can go", OPT_FLAG, .offset = MEMBER(check_all), .once = true},
	{"keep", "VM,...", "leave these guests here (drain); may be repeated", OPT_LIST, .offset = MEMBER(keep), .once = true},
	{"with-off", NULL, "also move libvirt's guests that are shut down (drain; --how cold)", OPT_FLAG, .offset = MEMBER(with_off),
	 .once = true},
	{"off", "SCRIPT", "also move the guest of that script, or systemd unit, which is shut down (drain); may be repeated", OPT_LIST,
	 .offset = MEMBER(off), .once = true},
	{"allow", "KIND,...", "kinds of move for a guest that no host takes live: quick, warm, cold, in this order", OPT_BITS,
	 .offset = MEMBER(allow), .words = allow_words, .once = true},
	{"apart", "VM,VM,...", "these never go to the same host; may be repeated", OPT_LIST, .offset = MEMBER(apart), .once = true},
	{"together", "VM,VM,...", "these go to the same host; may be repeated", OPT_LIST, .offset = MEMBER(together), .once = true},
	{"prefer", "even|fast|full",
	 "even (default): the host with most left; fast: the move that takes least time; full: the fullest host of which a tenth stays free",
	 OPT_WORD, .offset = MEMBER(wish), .words = wish_words, .once = true},
	{"keep-memory", "SIZE", "memory that stays free at each host", OPT_SIZE, .offset = MEMBER(keep_memory), .once = true},
	{.name = NULL},
};

static const struct option_table fleet_tables[] = {{fleet_rows, offsetof(struct fleet_command, f)}, {NULL, 0}};

const struct option_table *fleet_move_tables(void)
{
	static struct option_table all[8];
	size_t i;

	for (i = 0; move_tables[i].rows && i + 2 < ARRAY_LEN(all); i++)
		all[i] = move_tables[i];
	all[i] = fleet_tables[0];
	return all;
}

/* A move of one guest does not get those options that are about several. */
static void keep_word(void *into, const struct command_option *row, const char *arg)
{
	struct fleet_command *c = into;
	AUTO_FREE char *at = row->kind == OPT_MOMENT ? xasprintf("@%lld", (long long)c->o.stop.at) : NULL;
	const char *value = at ?: arg;

	if (row->once)
		return;
	c->words = xrealloc(c->words, (c->word_count + 2) * sizeof(*c->words));
	c->words[c->word_count++] = value ? xasprintf("--%s=%s", row->name, value) : xasprintf("--%s", row->name);
	c->words[c->word_count] = NULL;
}

static bool is_fleet_option(const char *word)
{
	AUTO_FREE char *name = !strncmp(word, "--", 2) ? xstrndup(word + 2, strcspn(word + 2, "=")) : NULL;

	return name && option_find(fleet_tables, name);
}

bool fleet_is_meant(int argc, char **argv, const struct command_usage *usage)
{
	AUTO_FREE char **copy = xcalloc((size_t)argc + 1, sizeof(*copy));
	bool ignored, fleet = false;
	int i, first;

	memcpy(copy, argv, (size_t)argc * sizeof(*copy));
	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		fleet |= is_fleet_option(argv[i]);
	if (i < argc) /* a guest's command line is behind it */
		return false;
	first = command_look(usage, argc, copy, &ignored);
	return fleet || (first >= 0 && argc - first > 2);
}

/* ---- what is asked for ---- */

static int add_rules(struct fleet_command *c, enum rule_kind kind, const struct option_list *list, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < list->count && !r; i++)
		r = rules_add(&c->rules, kind, list->at[i], e);
	return r;
}

static int read_rules(struct fleet_command *c, struct err *e)
{
	int r = rules_read(&c->rules, e);

	r = r ?: add_rules(c, RULE_APART, &c->f.apart, e) ?: add_rules(c, RULE_TOGETHER, &c->f.together, e);
	return r ?: rules_settle(&c->rules, e) ?: rules_hosts(&c->rules, c->f.to, &c->hosts, &c->host_count, e);
}

static void fini(struct fleet_command *c)
{
	for (size_t i = 0; i < c->word_count; i++)
		free(c->words[i]);
	for (size_t i = 0; i < c->host_count; i++)
		free(c->hosts[i]);
	for (size_t i = 0; i < c->guest_count; i++)
		free(c->guests[i]);
	for (size_t i = 0; i < c->gone_count; i++)
		free(c->gone[i].guest);
	for (size_t i = 0; i < c->settled.count; i++) {
		FREE_ALL(c->settled.list[i].guest, c->settled.list[i].dest, c->settled.list[i].instance);
	}
	FREE_ALL(c->settled.list, c->gone, c->words, c->hosts, c->guests, c->offs, c->program);
	rules_fini(&c->rules);
}

static int usage_error(const char *command, const char *why)
{
	fprintf(stderr, "%s: %s (--help tells more)\n", command, why);
	return EXIT_USAGE;
}

/* "A" twice would be moved by two commands at once. */
static const char *named_twice(const struct fleet_command *c)
{
	size_t i, k;

	for (i = 0; i < c->guest_count; i++)
		for (k = 0; k < i; k++)
			if (!strcmp(c->guests[i], c->guests[k]))
				return c->guests[i];
	return NULL;
}

static const char *find_clash(const struct fleet_command *c)
{
	const struct move_options *o = &c->o;

	if (o->in_place)
		return "--in-place is for one guest at a time";
	if (o->how == HOW_COLD && c->f.allow)
		return "--allow is for guests that would go live";
	return NULL;
}

/* The words that are no options: guests, and the destination unless --to has it. */
static int take_words(struct fleet_command *c, enum fleet_purpose purpose, const char *command, int n, char **words)
{
	const char *twice, *clash = find_clash(c);

	if (clash)
		return usage_error(command, clash);
	if (purpose != FLEET_MIGRATE && !c->f.to)
		return usage_error(command, "say where to: --to HOST,...");
	if (purpose == FLEET_DRAIN && n)
		return usage_error(command, "a drain is of all guests that run here; to move some of them: vmferry migrate VM ... HOST");
	if (!c->f.to && n >= 2)
		c->f.to = words[--n];
	if (purpose != FLEET_DRAIN && (c->f.with_off || c->f.off.count))
		return usage_error(command, "--with-off and --off are for a drain; a guest that is shut down is moved by --how cold");
	if (purpose != FLEET_DRAIN && (!n || !c->f.to))
		return usage_error(command, "say which guests and where to");
	for (int i = 0; i < n; i++)
		fleet_add_guest(c, words[i]);
	twice = named_twice(c);
	if (twice) {
		fprintf(stderr, "%s: %s is named twice\n", command, twice);
		return EXIT_USAGE;
	}
	return 0;
}

/* ---- running them ---- */

static bool is_bound_by_rule(const struct fleet_command *c, const char *guest)
{
	for (size_t i = 0; i < c->rules.count; i++)
		if (fleet_rule_binds(&c->rules.list[i]) && rule_names(&c->rules.list[i], guest))
			return true;
	return false;
}

/* The best host first; where a rule binds the guest to others, only that one, as the others were placed by it. */
static void set_ways(struct fleet_task *t, const struct fleet_command *cmd, const struct fleet_choice *c, size_t guest)
{
	const struct off_guest *off = fleet_off(cmd, cmd->guests[guest]);
	size_t n = cmd->host_count, i;

	t->is_off = off;
	t->only_off = off && off->is_libvirts;
	t->ways = xcalloc(n + 1, sizeof(*t->ways));
	for (i = 0; i < n && c->ranks[guest * n + i] < n && !(i && is_bound_by_rule(cmd, c->guests[guest].name)); i++) {
		size_t host = c->ranks[guest * n + i];

		t->ways[t->way_count++] = (struct fleet_way){cmd->hosts[host], c->offers[guest * n + host].how};
	}
	if (t->way_count)
		return;
	AUTO_FREE char *why = fleet_why_nowhere(c, guest);

	t->ways[t->way_count++] = (struct fleet_way){cmd->hosts[0], NULL};
	t->state = FLEET_ENDED;
	t->code = EXIT_REFUSED;
	t->result = json_pack("{s:s,s:s,s:s}", "outcome", "refused", "where", "source", "reason", why);
}

static void add_gone(struct fleet_task *t, const struct gone_guest *gone)
{
	t->guest = xstrdup(gone->guest);
	t->ways = xcalloc(1, sizeof(*t->ways));
	t->ways[t->way_count++] = (struct fleet_way){gone->dest, NULL};
	t->found_done = true;
	t->state = FLEET_ENDED;
}

/* choice: NULL: there is one host, which every guest itself asks. */
static void set_tasks(struct fleet *f, const struct fleet_command *cmd, const struct fleet_choice *choice)
{
	f->count = cmd->guest_count;
	f->tasks = xcalloc(f->count + cmd->gone_count + 1, sizeof(*f->tasks));
	for (size_t i = 0; i < f->count; i++) {
		struct fleet_task *t = &f->tasks[i];

		t->guest = xstrdup(cmd->guests[i]);
		if (choice) {
			set_ways(t, cmd, choice, i);
			continue;
		}
		t->ways = xcalloc(1, sizeof(*t->ways));
		t->ways[t->way_count++] = (struct fleet_way){cmd->hosts[0], NULL};
	}
	for (size_t i = 0; i < cmd->gone_count; i++)
		add_gone(&f->tasks[f->count++], &cmd->gone[i]);
}

static unsigned moves_at_once(void)
{
	struct host_settings settings;
	struct err e;

	if (host_settings_read(&settings, &e))
		return ANY_AT_ONCE;
	host_settings_fini(&settings);
	return settings.out ?: ANY_AT_ONCE;
}

/* DEST for this host, for moves back from the other one. Malloc'ed; NULL: there is none to write down. */
static char *way_back(const struct fleet_command *cmd)
{
	char host[256];

	if (cmd->o.how == HOW_DISKS || gethostname(host, sizeof(host)))
		return NULL;
	host[sizeof(host) - 1] = '\0';
	return xasprintf("%s%s", geteuid() ? "" : "root@", host);
}

/* The terminal may go: what is under way and what waits goes on. Whom the user waits for ends here. */
static void go_to_background(const struct fleet_command *cmd)
{
	static bool is_there;
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid;

	if (!cmd->o.dest.background || is_there)
		return;
	is_there = true;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return;
	if (pid) {
		fprintf(stderr, "%zu guests go on in the background: vmferry jobs\n", cmd->guest_count);
		_exit(0);
	}
	setsid();
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
}

/* Guests that are there now, or may be, as far as a later round has to know. */
static void keep_settled(struct fleet_command *cmd, const struct fleet *f, const struct fleet_choice *choice)
{
	for (size_t i = 0; choice && i < cmd->guest_count && cmd->o.how != HOW_DISKS; i++) {
		const struct fleet_task *t = &f->tasks[i];

		if (t->tries && (t->code == EXIT_DESTINATION || t->code == EXIT_PEER_LOST || t->code == EXIT_UNDECIDED))
			fleet_add_settled(&cmd->settled, choice->guests[i].name, fleet_way_of(t)->dest, NULL);
	}
}

static int move_all(struct fleet_command *cmd, const struct fleet_choice *choice)
{
	struct fleet_board board;
	struct fleet f = {.program = cmd->program,
			  .command = "migrate",
			  .options = cmd->words,
			  .at_once = moves_at_once(),
			  .changed = board_changed,
			  .tick = board_tick,
			  .ctx = &board};
	AUTO_FREE char *back = way_back(cmd);
	int code;

	go_to_background(cmd);
	board_init(&board, cmd->o.events.json);
	set_tasks(&f, cmd, choice);
	fleet_run(&f);
	board_summary(&board, &f, back);
	keep_settled(cmd, &f, choice);
	code = fleet_exit_code(&f);
	fleet_fini(&f);
	return code;
}

/* Guests that no host takes are counted, and told of one by one if that is wanted. */
static size_t count_without_place(const struct fleet_command *cmd, const struct fleet_choice *c, bool says)
{
	size_t g, n = 0;

	for (g = 0; g < cmd->guest_count; g++)
		if (c->ranks[g * cmd->host_count] >= cmd->host_count) {
			AUTO_FREE char *why = fleet_why_nowhere(c, g);
			AUTO_FREE char *shown = text_shown(why);

			n++;
			if (says)
				fprintf(stderr, "%s: %s\n", cmd->guests[g], shown);
		}
	return n;
}

/* --check-all: the summary has all of them, and why. */
static int refuse_all(const struct fleet_command *cmd, const struct fleet_choice *choice)
{
	struct fleet_board board;
	struct fleet f = {.command = "migrate"};

	board_init(&board, cmd->o.events.json);
	set_tasks(&f, cmd, choice);
	if (cmd->o.events.json)
		board_summary(&board, &f, NULL);
	fleet_fini(&f);
	return EXIT_REFUSED;
}

static int choose_and_go(struct fleet_command *cmd, enum fleet_purpose purpose)
{
	struct fleet_choice c;
	struct err e;
	size_t without;
	int code;

	if (fleet_choose(&c, cmd, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		fleet_choice_fini(&c);
		return EXIT_REFUSED;
	}
	without = count_without_place(cmd, &c, cmd->f.check_all && purpose != FLEET_PLAN);
	fleet_print_choice(&c, cmd);
	fflush(stdout); /* the summary comes before the output of those under way, also in a log */
	if (purpose == FLEET_PLAN || cmd->o.plan.only) {
		code = without ? EXIT_REFUSED : 0;
	} else if (cmd->f.check_all && without) {
		fprintf(stderr, "vmferry: %zu of %zu guests cannot go, so none was begun (--check-all)\n", without, cmd->guest_count);
		code = refuse_all(cmd, &c);
	} else {
		code = move_all(cmd, &c);
		if (!fleet_all_have_offers(&c) && !cmd->f.allow && cmd->o.how == HOW_LIVE && !cmd->o.events.json)
			fputs("where a device of the guest's, or the processor there, stands in the way: --allow quick,warm takes another kind of "
			      "move\n",
			      stderr);
	}
	fleet_choice_fini(&c);
	return code;
}

/* A single host is asked by each move itself, unless a rule could keep a guest from it. */
static bool needs_choice(const struct fleet_command *c, enum fleet_purpose purpose)
{
	bool is_bound = false;

	for (size_t i = 0; i < c->rules.count; i++)
		is_bound |= fleet_rule_binds(&c->rules.list[i]);
	return is_bound || purpose != FLEET_MIGRATE || c->host_count > 1 || c->f.check_all || c->f.allow || c->o.plan.only;
}

static int prepare(struct fleet_command *c, enum fleet_purpose purpose, struct err *e)
{
	char own[4096];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	int r = read_rules(c, e);

	if (n <= 0)
		return err_sys(e, errno, "cannot find out which program this is");
	c->program = xstrndup(own, (size_t)n);
	r = r ?: fleet_find_settled(c, e);
	if (!r && purpose == FLEET_MIGRATE)
		fleet_set_aside_gone(c);
	return r;
}

static int go(struct fleet_command *c, enum fleet_purpose purpose)
{
	return c->guest_count && needs_choice(c, purpose) ? choose_and_go(c, purpose) : move_all(c, NULL);
}

#define ROUNDS_MAX 8

/* A drain may take hours, in which guests are started here, or arrive: so it looks again. */
static int drain(struct fleet_command *c)
{
	int code = EXIT_DESTINATION;
	bool off_unknown = false;
	struct err e;
	size_t from;

	for (unsigned round = 0;; round++) {
		struct fleet_command part;

		from = c->guest_count;
		c->incomplete = false;
		if (!round && (c->f.with_off || c->f.off.count))
			off_unknown = !fleet_find_off(c);
		if (fleet_find_running(c, &e)) {
			fprintf(stderr, "vmferry: %s\n", e.msg);
			return fleet_worse(code, EXIT_REFUSED);
		}
		if (from && c->guest_count == from)
			break;
		if (round == ROUNDS_MAX) {
			fputs("guests were started here, or arrived, as often as it was looked: the same command again takes them\n",
			      stderr);
			c->incomplete = true;
			break;
		}
		if (c->guest_count == from)
			fputs("no guest runs here that would have to go\n", stderr);
		part = *c;
		part.guests += from;
		part.guest_count -= from;
		code = fleet_worse(code, go(&part, FLEET_DRAIN));
		c->settled = part.settled;
		if (!part.guest_count)
			break;
	}
	return c->incomplete || off_unknown ? fleet_worse(code, EXIT_REFUSED) : code;
}

/* EXIT_USAGE: an option names nobody, or a guest is where a host should be. */
static int check_names(const struct fleet_command *c, struct err *e)
{
	int r;

	for (size_t i = 0; i < c->host_count; i++)
		if (!c->o.dest.openssh && fleet_is_guest_as_host(c->hosts[i], e))
			return EXIT_USAGE;
	r = fleet_check_names(c, e);
	return r == -EINVAL ? EXIT_USAGE : r ? EXIT_REFUSED : 0;
}

static int run(struct fleet_command *c, enum fleet_purpose purpose)
{
	struct err e;
	int code = prepare(c, purpose, &e) ? EXIT_REFUSED : check_names(c, &e);

	if (code) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return code;
	}
	return purpose == FLEET_DRAIN ? drain(c) : go(c, purpose);
}

static int run_command(int argc, char **argv, enum fleet_purpose purpose, struct command_usage *usage)
{
	struct fleet_command c = {.words = NULL};
	int first, r;

	usage->tables = fleet_move_tables();
	usage->taken = keep_word;
	r = command_take(usage, argc, argv, &c, &first);
	r = r ? MAX(r, 0) : take_words(&c, purpose, usage->name, argc - first, argv + first) ?: run(&c, purpose);
	fini(&c);
	return r;
}

/* ---- the commands ---- */

int fleet_migrate(int argc, char **argv)
{
	struct command_usage usage = {.name = "vmferry migrate", .before = ""};

	return run_command(argc, argv, FLEET_MIGRATE, &usage);
}

static const char *const drain_shown[] = {"to",	      "keep",	"with-off",    "off",	 "allow", "check-all", "apart",
					  "together", "prefer", "keep-memory", "detach", "json",  "script",    NULL};
static const char *const plan_shown[] = {"to", "allow", "check-all", "apart", "together", "prefer", "keep-memory", "json", "script", NULL};

int cmd_drain(int argc, char **argv)
{
	struct command_usage usage = {
		.name = "vmferry drain",
		.before =
			"usage: vmferry drain --to HOST[,HOST...] [options]\n"
			"\n"
			"Moves all guests that run here to other hosts, live, as many at a time as this host lets go (out in /etc/vmferry/host), the "
			"largest first. Every host is asked about every guest before the first one goes. A guest whose move fails with "
			"nothing left anywhere is tried at one more host. What cannot go stays, and is listed with the reason. At the end it looks "
			"again, as guests may have been started here meanwhile. The same command again takes the rest.\n"
			"\n"
			"  vmferry drain --to root@host-b,root@host-c --keep vm9\n"
			"  vmferry drain --to @rack2 --allow quick,warm --disk-dir /srv/vm/%n\n"
			"\n",
		.after = "\nAll other options are those of vmferry migrate, for each of the guests. The exit code is the worst of theirs. "
			 "Ctrl-C: no more begins; once more: those under way roll back.\n",
		.shown = drain_shown,
	};

	return run_command(argc, argv, FLEET_DRAIN, &usage);
}

int cmd_plan(int argc, char **argv)
{
	struct command_usage usage = {
		.name = "vmferry plan",
		.before =
			"usage: vmferry plan VM... --to HOST[,HOST...] [options]\n"
			"\n"
			"Says where each guest would go, how full that host would be, and what it costs; touches nothing. Hosts are rated by what "
			"would be shortest there afterwards. vmferry migrate with the same words goes by it.\n"
			"\n"
			"  vmferry plan vm1 vm2 --to root@host-b,root@host-c\n"
			"  vmferry plan vm1 vm2 --to @rack2 --script >moves.sh\n"
			"\n",
		.after = "\nAll other options are those of vmferry migrate. Exit code 0: each guest has a place; 3: one has none.\n",
		.shown = plan_shown,
	};

	return run_command(argc, argv, FLEET_PLAN, &usage);
}
