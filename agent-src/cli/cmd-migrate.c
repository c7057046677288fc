/* cmd-migrate.c: vmferry migrate and vmferry check. The options themselves: agent-src/parts/options.c. */
#include "again.h"
#include "cmd.h"
#include "defaults.h"
#include "dest-options.h"
#include "detach.h"
#include "fleet-command.h"
#include "guest-at-rest.h"
#include "guest-of-libvirt.h"
#include "log.h"
#include "move.h"
#include "output.h"
#include "paths.h"
#include "qemu-args.h"
#include "shell-quote.h"
#include "util.h"
#include "with-monitor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ONLY_DISKS_KEPT_S (7 * 24 * 3600)

static const char migrate_before[] =
	"usage: vmferry migrate VM... DEST [options]\n"
	"       vmferry migrate VM... --to DEST,... [options]\n"
	"       vmferry migrate DEST --how cold [options] -- qemu-system-x86_64 ...\n"
	"\n"
	"Moves a guest, with its memory and its disks, while it runs. VM is its name, its pid or its QMP socket. With --how cold the "
	"guest moves shut down, and VM is the script that starts it (NAME.sh) or its unit, or its command line stands behind --. A "
	"guest that runs can go cold, too, by its name or pid: its disks are copied ahead, it is shut down, and started there.\n"
	"DEST is\n"
	"  [USER@]HOST   another host, reached by SSH; it needs QEMU, and nothing of vmferry (USER@HOST:PORT, ssh://HOST:PORT, too)\n"
	"  HOST:PORT     a vmferry-dst that runs there already\n"
	"  local         this machine (needs --disk-dir, or --in-place)\n"
	"\n"
	"  vmferry migrate vm1 root@host-b                        disks keep their paths\n"
	"  vmferry migrate vm1 root@host-b --disk-dir /srv/vm/%n  each guest in a directory of its own\n"
	"  vmferry migrate vm1 local --in-place                   another QEMU of this machine: after an upgrade, say\n"
	"  vmferry migrate vm1 vm2 vm3 root@host-b                several, some at a time (vmferry drain: all)\n"
	"  vmferry migrate vm1.sh root@host-b --how cold          a guest that is shut down\n"
	"  vmferry migrate 4711 root@host-b --how cold            one that runs, with a monitor or without\n"
	"\n";

static const char migrate_after[] =
	"\n"
	"Options can be written down once for a host, in ~/.config/vmferry/config: see FILES in man vmferry.\n"
	"\n"
	"The guest stays here unless the destination has everything and has promised so; whatever fails before that rolls back. "
	"Ctrl-C asks once, then rolls back. The process that talks to the destination is confined by seccomp, unless VMFERRY_SANDBOX=off "
	"is in the environment; programs that it starts are not.\n"
	"\n"
	"The exit code says where the guest is:\n"
	"  0 it runs at the destination (--only-disks: here)\n"
	"  1 on the source; nothing of the move is left on either side     2 the command line is wrong\n"
	"  3 refused, nothing was touched                                  4 as 1, but something is left on either side (listed)\n"
	"  5 on the source, paused                                         6 undecided: vmferry recover\n"
	"  7 at the destination as far as is known: it does not answer\n"
	"  8 nowhere: its QEMU has ended during the move, or the guest shut down; its disks are whole at the source\n";

static const char check_before[] =
	"usage: vmferry check VM DEST [options]\n"
	"\n"
	"Says what `vmferry migrate VM DEST` would do with the same options, what would not work and why, and what it would cost "
	"(measured and sampled for about two seconds). Touches nothing. Exit code 0: nothing stands in the way; 3: something does.\n"
	"\n";

static const char check_after[] =
	"\n"
	"All other options are those of vmferry migrate. Events of --json are plan and estimate, and a result only if it is refused.\n"
	"\n"
	"examples:\n"
	"  vmferry check vm1 root@host-b\n"
	"  vmferry check vm1 root@host-b --disk-dir /srv/vm --script >move-vm1.sh\n";

/* A command that is being read. */
struct command {
	struct move_options o;	/* these two first and in this order: fleet_move_tables() are about them */
	struct fleet_options f; /* options of a command about several guests, which is not read here */
	json_t *move;		/* see again.h */
};

_Static_assert(offsetof(struct command, f) == offsetof(struct fleet_command, f), "fleet_move_tables() are about both");

static void keep_option(void *into, const struct command_option *row, const char *arg)
{
	struct command *c = into;
	/* a move that is begun again says the moment so, if that has not come meanwhile */
	AUTO_FREE char *at = row->kind == OPT_MOMENT ? xasprintf("@%lld", (long long)c->o.stop.at) : NULL;

	again_option(c->move, row, at ?: arg);
}

static const char *const check_shown[] = {"script", "json", NULL};
static struct command_usage migrate_usage = {"vmferry migrate", migrate_before, migrate_after, .taken = keep_option};
static const struct command_usage check_usage = {"vmferry check", check_before, check_after,
						 move_tables,	  check_shown,	.taken = keep_option};

/* ---- do the options go together? ---- */

/* False if no guest of that name runs here, which the move says itself. Of one that is shut down that is not looked for. */
static bool may_be_here(const struct move_options *o)
{
	struct guest g = {.pid = 0};
	struct err ignored;
	int r = o->how == HOW_COLD ? 0 : guest_find(&g, o->vm, &ignored);

	guest_fini(&g);
	return r != -ENOENT;
}

/* NULL: they do. */
static const char *find_clash(const struct move_options *o)
{
	const struct disk_options *d = &o->disks;
	const bool runs_on = o->how == HOW_LIVE || o->how == HOW_QUICK;
	const struct {
		bool is_there;
		const char *what;
	} clashes[] = {
		{o->cold.start && o->how != HOW_COLD,
		 "--start is for a guest that is shut down (--how cold): one that runs goes on there by itself"},
		{o->cold.as == AS_LIBVIRT && o->how != HOW_COLD,
		 "--as libvirt is for a guest that is shut down (--how cold: of one that runs the disks go ahead, and it is shut down then): one "
		 "that runs on keeps the machine that it has"},
		{o->cold.as == AS_PLAIN && ((o->how != HOW_COLD && !runs_on) || o->in_place),
		 "--as plain is for a guest that goes to another host as it runs (--how live or quick), or shut down (--how cold)"},
		{o->cold.only_off && (o->how != HOW_COLD || o->cold.line), "--only-off is for a guest that is shut down (--how cold)"},
		{o->cold.as == AS_PLAIN && !o->cold.only_off && (o->cold.line || strchr(o->vm, '/') || guest_is_unit(o->vm)),
		 "--as plain is for a guest of libvirt's, which is called by its name: one that a script, a unit or a line starts is a plain "
		 "one already"},
		{o->warm.force && o->how != HOW_WARM, "--force is for a guest that is shut down for its move (--how warm)"},
		{o->warm.shutdown_timeout_s && o->how != HOW_WARM && o->how != HOW_COLD,
		 "--shutdown-timeout is for a guest that is shut down for its move (--how warm, --how cold)"},
		{o->machine && o->how != HOW_WARM && o->how != HOW_COLD,
		 "--machine is for a guest that boots there (--how warm, --how cold): one that runs on keeps the machine that it has"},
		{o->revert_within_s && o->how == HOW_COLD,
		 "--revert-within is for a guest that runs: one that is shut down (--how cold) is here as it was until its files are "
		 "deleted"},
		{o->how == HOW_REPLICA, "a point of a replica is made by vmferry replica sync"},
		{o->how == HOW_DISKS && (o->stop.hold || o->stop.at || o->revert_within_s || o->starter.install_unit),
		 "with --only-disks the guest stays here, and nothing is switched over: --hold, --at, --revert-within and --install-unit "
		 "are said when it is moved"},
		{d->keep.partial_s && !o->reconnect_ms,
		 "with --reconnect-timeout 0 the destination could not tell a cancelled move from one that was cut off: --keep-partial "
		 "needs 1 or more"},
		{o->stop.at && o->stop.hold, "--at says when a guest that runs is to stand still: --hold leaves that to `vmferry switch`"},
		{o->stop.at && o->how == HOW_COLD, "--at says when a guest that runs is to stand still: this one is shut down"},
		{o->in_place && !runs_on, "--in-place is for a guest that runs, and runs on with its memory (--how live or quick)"},
		{o->in_place && dest_kind(o->dest.where) != DEST_LOCAL,
		 "--in-place is for another QEMU of this machine: vmferry migrate VM local --in-place"},
		{o->in_place && (o->disk_dir || d->map.count || d->reuse.count || d->reuse_all || d->chain != CHAIN_COPY || d->accept ||
				 d->keep.partial_s || o->media != MEDIA_AUTO || o->starter.install_unit || o->revert_within_s),
		 "with --in-place disks, files and what starts the guest stay as they are: --disk-dir, --disk, --reuse, --chain, --drop, "
		 "--media, --keep-partial, --install-unit and --revert-within have no place there"},
		{dest_kind(o->dest.where) == DEST_LOCAL && !o->disk_dir && !o->in_place && may_be_here(o),
		 "the guest cannot move onto its own disks: say --disk-dir DIR for its new ones, or --in-place to have another QEMU go on "
		 "with those that it has"},
	};

	for (size_t i = 0; i < ARRAY_LEN(clashes); i++)
		if (clashes[i].is_there)
			return clashes[i].what;
	return NULL;
}

/* VM DEST, or DEST where the guest's command line stands behind --. name: malloc'ed, what that line calls it, or NULL. */
static int take_guest(int n, char **words, struct move_options *o, char **name, const char *command)
{
	if (n > 2 && o->plan.estimate) {
		fprintf(stderr, "%s takes one guest; for several: vmferry plan VM... --to [USER@]HOST\n", command);
		return EXIT_USAGE;
	}
	if (n != (o->cold.line ? 1 : 2)) {
		AUTO_FREE char *guest = n == 1 ? shell_quote_shown(words[0]) : xstrdup("VM");

		fprintf(stderr, "%s: %s: %s %s %s (--help tells more)\n", command, n == 1 ? "say where to" : "say which guest and where to",
			command, o->cold.line ? "" : guest, o->cold.line ? "DEST --how cold -- qemu-system-x86_64 ..." : "[USER@]HOST");
		return EXIT_USAGE;
	}
	*name = o->cold.line ? qemu_args_name(o->cold.line, o->cold.words) : NULL;
	o->vm = o->cold.line ? *name ?: o->cold.line[0] : words[0];
	o->dest.where = words[n - 1];
	return 0;
}

/* Takes the words after "--" as the guest's command line (--how cold), and returns the number of words before them. */
static int cut_line(int argc, char **argv, struct move_options *o)
{
	bool cold = false;
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		cold |= !strcmp(argv[i], "--how=cold") || (!strcmp(argv[i], "cold") && !strcmp(argv[i - 1], "--how"));
	if (i + 1 >= argc || !cold)
		return argc;
	o->cold.line = argv + i + 1;
	o->cold.words = (size_t)(argc - i - 1);
	argv[i] = NULL;
	return i;
}

static int check_utf8(int argc, char **argv, const char *command)
{
	int i;

	for (i = 1; i < argc && text_is_utf8(argv[i]); i++)
		;
	if (i == argc)
		return 0;
	fprintf(stderr, "%s: argument %d is not UTF-8 text, and could not be told to the other side\n", command, i);
	return EXIT_USAGE;
}

/* ---- running it ---- */

/* The last line of a check that found nothing in the way. */
static void say_that_it_can(const struct move_options *o)
{
	AUTO_FREE char *guest = text_shown(o->vm);
	AUTO_FREE char *where = text_shown(o->dest.where);
	AUTO_FREE char *line = xasprintf("%s can be moved to %s: nothing stands in the way\n", guest, where);

	output_put(1, OUTPUT_LAST, line, strlen(line));
}

/* --only-off: who runs under that name was started since, or is another guest. Whether the guest itself runs libvirt tells, however many strangers there are. */
static int refuse_running(const char *name, struct err *e)
{
	AUTO_FREE struct guest *list = NULL;
	size_t count, i;
	bool ignored, runs = false;
	int r = guest_list(&list, &count, &ignored, e);

	if (r)
		return r;
	for (i = 0; i < count; i++) {
		runs |= !strcmp(list[i].name, name);
		guest_fini(&list[i]);
	}
	return runs ? err_set(e, EBUSY, "a guest %s runs here: nothing is moved that is not shut down (--only-off)", name) : 0;
}

static bool is_libvirts(const char *name)
{
	AUTO_FREE char *word = guest_libvirts_word(name);

	return *word;
}

/* A guest that runs goes cold, too, named as one that runs: nothing that starts a guest has that name. 0: there is none such; 1; -errno: it is not
 * known which, or it is another's. */
static int find_running(const struct move_options *o, struct guest *g, struct err *e)
{
	struct stat st;
	int r;

	*g = (struct guest){.pid = 0};
	if (o->cold.only_off)
		return refuse_running(o->vm, e);
	if (o->how != HOW_COLD || o->cold.line || strchr(o->vm, '/') || !stat(o->vm, &st) || guest_is_unit(o->vm))
		return 0;
	r = guest_find(g, o->vm, e);
	if (r == -E2BIG && is_libvirts(o->vm)) /* which tells whether it runs, however many strangers call themselves QEMU */
		r = -ENOENT;
	return r == -ENOENT ? 0 : !r || r == -ENXIO ? 1 : r;
}

static int move_by_kind(struct move_options *o)
{
	struct guest running;
	struct err e;
	int code, found = find_running(o, &running, &e);

	if (found < 0)
		fprintf(stderr, "vmferry: %s\n", e.msg);
	code = found < 0 ? EXIT_REFUSED : found ? head_start_run(o, &running) : move_run(o);
	guest_fini(&running);
	return code;
}

/* A guest that is shut down has none, and one that is going to be is asked by it only if the user wants that. */
static bool needs_monitor(const struct move_options *o)
{
	return !o->cold.line && (o->how != HOW_COLD || o->attach);
}

/* The move runs while the guest's name, which may lie in its command line, is still in memory. */
static int move_or_check(struct move_options *o)
{
	const struct lent_need need = {o->dirs.state, o->dirs.runtime, o->attach};
	struct lent_monitor monitor = {.path = NULL};
	int code = monitor_begin(&monitor, needs_monitor(o) ? o->vm : NULL, &need);

	code = code ?: move_by_kind(o);
	monitor_end(&monitor);
	if (!code && o->plan.estimate && !o->events.json && !o->plan.as_script)
		say_that_it_can(o);
	return code;
}

/* Takes the command, and puts what was not said in its place. 0; COMMAND_HELPED; or the exit code. */
static int read_command(int argc, char **argv, struct command *c, const struct command_usage *usage, char **name)
{
	struct move_options *o = &c->o;
	const char *clash;
	struct err e;
	int first, r = check_utf8(argc, argv, usage->name);

	if (r)
		return r;
	argc = cut_line(argc, argv, o);
	r = command_take(usage, argc, argv, c, &first) ?: take_guest(argc - first, argv + first, o, name, usage->name);
	if (r)
		return r;
	if (o->how == HOW_DISKS && !o->disks.keep.partial_s)
		o->disks.keep.partial_s = ONLY_DISKS_KEPT_S;
	clash = find_clash(o);
	if (!clash && !o->dest.openssh && fleet_is_guest_as_host(o->dest.where, &e))
		clash = e.msg;
	if (clash) {
		fprintf(stderr, "%s: %s\n", usage->name, clash);
		return EXIT_USAGE;
	}
	if (o->in_place)
		o->media = MEDIA_PATH;
	o->disks.keep.move = c->move = again_end(c->move, o->vm, o->dest.where);
	if (o->cold.line) /* a command line may have secrets in it */
		o->disks.keep.move = NULL;
	move_options_fill_in(o);
	return dest_options_check(&o->dest);
}

static int run(struct move_options *o, const char *command)
{
	AUTO_FREE char *state = NULL;
	AUTO_FREE char *runtime = NULL;
	const bool there = o->disk_dir && !strcmp(o->disk_dir, "auto"); /* the destination chooses it */
	AUTO_FREE char *disk_dir = there ? xstrdup(o->disk_dir) : again_path(o->disk_dir);
	/* the journal has them, for a recover that is started elsewhere */
	AUTO_FREE char *psk_file = again_path(o->dest.psk_file);
	AUTO_FREE char *token_file = again_path(o->dest.token_file);
	AUTO_FREE char *identity = again_path(o->dest.identity);
	struct err e;

	if (disk_dir && !text_is_utf8(disk_dir)) {
		fprintf(stderr, "%s: the name of the directory that we are in is not UTF-8 text: give --disk-dir in full\n", command);
		return EXIT_USAGE;
	}
	o->disk_dir = disk_dir;
	o->dest.psk_file = psk_file;
	o->dest.token_file = token_file;
	o->dest.identity = identity;
	log_init("src", o->dest.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 2);
	if (state_dir_get(&state, o->dirs.state, &e) || runtime_dir_get(&runtime, o->dirs.runtime, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_REFUSED;
	}
	o->dirs.state = o->dest.state_dir = state;
	o->dirs.runtime = o->dest.runtime_dir = runtime;
	again_with_kept(o, command);
	return o->dest.background && !o->plan.only ? detach_run(o, move_or_check) : move_or_check(o);
}

#define DEFAULTS .stop.max_downtime_ms = 300, .reconnect_ms = 60000, .carry = {.multifd = -1}

/* A check estimates what the move would cost. */
static int run_command(int argc, char **argv, bool estimate, const struct command_usage *usage)
{
	struct command c = {.o = {DEFAULTS, .plan.only = estimate, .plan.estimate = estimate}, .move = again_new()};
	AUTO_FREE char *name = NULL;
	int r = read_command(argc, argv, &c, usage, &name) ?: run(&c.o, usage->name);

	json_decref(c.move);
	return r == COMMAND_HELPED ? 0 : r;
}

/* The destination that is named, "" if none is or the options are wrong; and whether they ask for help alone. getopt_long(3) sorts the words, after which
 * an option that lacks its value would have the guest for one: so it gets a copy. */
static const char *find_destination(int argc, char **argv, const struct command_usage *usage, bool *asks_for_help)
{
	AUTO_FREE char **copy = xcalloc((size_t)argc + 1, sizeof(*copy));
	int first, ours = 1;

	memcpy(copy, argv, (size_t)argc * sizeof(*copy));
	while (ours < argc && strcmp(argv[ours], "--"))
		ours++;
	first = command_look(usage, ours, copy, asks_for_help);
	return first >= 0 && first < ours ? copy[ours - 1] : "";
}

/* The defaults (defaults.h) come before the command's own words, which so have the last say. */
static int run_with_defaults(int argc, char **argv, bool estimate, const struct command_usage *usage)
{
	bool asks_for_help;
	const char *dest = find_destination(argc, argv, usage, &asks_for_help);
	struct defaults d = {.words = NULL};
	AUTO_FREE char **all = NULL;
	struct err e;
	int i, code;

	if (!asks_for_help && defaults_read(&d, dest, usage->tables, &e)) {
		fprintf(stderr, "%s: %s\n", usage->name, e.msg);
		return EXIT_USAGE;
	}
	all = xcalloc((size_t)(argc + d.count) + 1, sizeof(*all));
	all[0] = argv[0];
	for (i = 0; i < d.count; i++)
		all[1 + i] = d.words[i];
	for (i = 1; i < argc; i++)
		all[d.count + i] = argv[i];
	code = run_command(argc + d.count, all, estimate, usage);
	defaults_fini(&d);
	return code;
}

int cmd_migrate(int argc, char **argv)
{
	migrate_usage.tables = fleet_move_tables();
	if (fleet_is_meant(argc, argv, &migrate_usage))
		return fleet_migrate(argc, argv);
	return run_with_defaults(argc, argv, false, &migrate_usage);
}

int migrate_again(int argc, char **argv)
{
	migrate_usage.tables = fleet_move_tables();
	return run_command(argc, argv, false, &migrate_usage);
}

int cmd_check(int argc, char **argv)
{
	return run_with_defaults(argc, argv, true, &check_usage);
}
