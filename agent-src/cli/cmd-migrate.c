/* cmd-migrate.c: vmferry migrate. */
#include "again.h"
#include "cmd.h"
#include "defaults.h"
#include "codec.h"
#include "dest-options.h"
#include "detach.h"
#include "journal.h"
#include "log.h"
#include "migrate-help.h"
#include "moment.h"
#include "move.h"
#include "object.h"
#include "option-table.h"
#include "output.h"
#include "option-words.h"
#include "qemu-args.h"
#include "paths.h"
#include "process.h"
#include "shell-quote.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define SHUTDOWN_S	    60 /* unless it is said */
#define ONLY_DISKS_KEPT_S   (7 * 24 * 3600)
#define REVERT_WITHIN_S_MAX (7 * 24 * 3600)

enum {
	OPT_DISK_DIR = 256,
	OPT_DOWNTIME,
	OPT_RECONNECT,
	OPT_KEEP,
	OPT_ONLY_DISKS,
	OPT_REVERT,
	OPT_HOLD,
	OPT_AT,
	OPT_STALL,
	OPT_BWLIMIT,
	OPT_CHANNELS,
	OPT_CODEC,
	OPT_DEDUP,
	OPT_RECHECK,
	OPT_RAM,
	OPT_MULTIFD,
	OPT_DRY,
	OPT_DETACH,
	OPT_JSON,
	OPT_STATE,
	OPT_RUNTIME,
	OPT_MAP_NET,
	OPT_MEDIA,
	OPT_DISK,
	OPT_REUSE,
	OPT_CHAIN,
	OPT_DROP,
	OPT_INSTALL_UNIT,
	OPT_UNIT,
	OPT_STARTER,
	OPT_SCRIPT,
	OPT_HOW,
	OPT_START,
	OPT_SHUTDOWN,
	OPT_FORCE,
	OPT_IN_PLACE,
	OPT_QEMU,
	OPT_HELP
};

static const struct option options[] = {
	{"start", no_argument, NULL, OPT_START},
	{"in-place", no_argument, NULL, OPT_IN_PLACE},
	{"qemu", required_argument, NULL, OPT_QEMU},
	{"shutdown-timeout", required_argument, NULL, OPT_SHUTDOWN},
	{"force", no_argument, NULL, OPT_FORCE},
	{"how", required_argument, NULL, OPT_HOW},
	{"disk-dir", required_argument, NULL, OPT_DISK_DIR},
	{"max-downtime", required_argument, NULL, OPT_DOWNTIME},
	{"reconnect-timeout", required_argument, NULL, OPT_RECONNECT},
	{"keep-partial", required_argument, NULL, OPT_KEEP},
	{"only-disks", no_argument, NULL, OPT_ONLY_DISKS},
	{"revert-within", required_argument, NULL, OPT_REVERT},
	{"hold", no_argument, NULL, OPT_HOLD},
	{"at", required_argument, NULL, OPT_AT},
	{"on-stall", required_argument, NULL, OPT_STALL},
	{"bwlimit", required_argument, NULL, OPT_BWLIMIT},
	{"channels", required_argument, NULL, OPT_CHANNELS},
	{"codec", required_argument, NULL, OPT_CODEC},
	{"dedup", required_argument, NULL, OPT_DEDUP},
	{"recheck", required_argument, NULL, OPT_RECHECK},
	{"ram-mode", required_argument, NULL, OPT_RAM},
	{"multifd", required_argument, NULL, OPT_MULTIFD},
	{"dry-run", no_argument, NULL, OPT_DRY},
	{"detach", no_argument, NULL, OPT_DETACH},
	{"json", optional_argument, NULL, OPT_JSON},
	{"state-dir", required_argument, NULL, OPT_STATE},
	{"map-net", required_argument, NULL, OPT_MAP_NET},
	{"media", required_argument, NULL, OPT_MEDIA},
	{"disk", required_argument, NULL, OPT_DISK},
	{"reuse", required_argument, NULL, OPT_REUSE},
	{"chain", required_argument, NULL, OPT_CHAIN},
	{"drop", required_argument, NULL, OPT_DROP},
	{"runtime-dir", required_argument, NULL, OPT_RUNTIME},
	{"verbose", no_argument, NULL, 'v'},
	{"script", no_argument, NULL, OPT_SCRIPT},
	{"install-unit", no_argument, NULL, OPT_INSTALL_UNIT},
	{"unit", required_argument, NULL, OPT_UNIT},
	{"starter-stopped", no_argument, NULL, OPT_STARTER},
	DEST_OPTIONS,
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static int bad(const char *option, const char *value, const char *want)
{
	fprintf(stderr, "vmferry migrate: %s: '%s' is not %s\n", option, value, want);
	return EXIT_USAGE;
}

/* One of the words: its index, or -1, and an error that has them all. */
static int take_word(const char *option, const char *value, const char *const *words)
{
	int i = word_index(words, value);

	if (i < 0) {
		AUTO_FREE char *want = words_or(words);

		bad(option, value, want);
	}
	return i;
}

static bool number(const char *s, long min, long max, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(s, &end, 10);
	return !errno && end != s && !*end && *out >= min && *out <= max;
}

/* "snapshots,bitmaps" */
static int take_drop(const char *list, unsigned *accept)
{
	AUTO_FREE char *copy = xstrdup(list);
	char *rest = copy, *word;
	int i;

	while ((word = strsep(&rest, ","))) {
		if ((i = take_word("--drop", word, drop_words)) < 0)
			return EXIT_USAGE;
		*accept |= 1u << i; /* DISK_ACCEPT_*, in this order */
	}
	return 0;
}

static const struct option_row rows[] = {
	{OPT_START, OPTION_FLAG, offsetof(struct move_options, cold.start)},
	{OPT_IN_PLACE, OPTION_FLAG, offsetof(struct move_options, in_place)},
	{OPT_FORCE, OPTION_FLAG, offsetof(struct move_options, warm.force)},
	{OPT_HOLD, OPTION_FLAG, offsetof(struct move_options, hold)},
	{OPT_INSTALL_UNIT, OPTION_FLAG, offsetof(struct move_options, install_unit)},
	{OPT_STARTER, OPTION_FLAG, offsetof(struct move_options, starter_stopped)},
	{OPT_DRY, OPTION_FLAG, offsetof(struct move_options, dry_run)},
	{'v', OPTION_FLAG, offsetof(struct move_options, dest.verbose)},
	{OPT_QEMU, OPTION_TEXT, offsetof(struct move_options, qemu)},
	{OPT_DISK_DIR, OPTION_TEXT, offsetof(struct move_options, disk_dir)},
	{OPT_STATE, OPTION_TEXT, offsetof(struct move_options, state_dir)},
	{OPT_RUNTIME, OPTION_TEXT, offsetof(struct move_options, runtime_dir)},
};

/* Options whose value is one of some words (option-words.h), by which an enum is indexed. */
static const struct word_option {
	int option;
	const char *name;
	const char *const *words;
} word_options[] = {
	{OPT_STALL, "--on-stall", on_stall_words}, {OPT_CODEC, "--codec", codec_words}, {OPT_UNIT, "--unit", unit_words},
	{OPT_CHAIN, "--chain", chain_words},	   {OPT_MEDIA, "--media", media_words}, {OPT_RAM, "--ram-mode", ram_mode_words},
	{OPT_DEDUP, "--dedup", dedup_words},	   {OPT_HOW, "--how", how_words},	{OPT_RECHECK, "--recheck", recheck_words},
};

static const struct number_option {
	int option;
	const char *name, *want;
	long min, max;
} number_options[] = {
	{OPT_DOWNTIME, "--max-downtime", "a number of milliseconds", 1, 3600000},
	{OPT_RECONNECT, "--reconnect-timeout", "a number of seconds, at most 86400", 0, 86400},
	{OPT_SHUTDOWN, "--shutdown-timeout", "a number of seconds", 1, 86400},
	{OPT_CHANNELS, "--channels", "a number from 1 to 15", 1, CHANNELS_MAX - 1},
	{OPT_MULTIFD, "--multifd", "a number from 0 to 14", 0, MULTIFD_MAX},
};

static void set_word(struct move_options *o, int c, int i)
{
	switch (c) {
	case OPT_HOW:
		o->how = (enum how)i;
		break;
	case OPT_STALL:
		o->on_stall = (enum on_stall)i;
		break;
	case OPT_CODEC:
		o->carry.codec = (enum codec_mode)i;
		break;
	case OPT_DEDUP:
		o->carry.no_dedup = i == 1;
		break;
	case OPT_RECHECK:
		o->carry.recheck = (enum recheck_wish)i;
		break;
	case OPT_UNIT:
		o->keep_unit = i == 1;
		break;
	case OPT_CHAIN:
		o->disks.chain = (enum chain)i;
		break;
	case OPT_MEDIA:
		o->media = (enum media)i;
		break;
	case OPT_RAM:
		o->carry.ram_mode = (enum ram_wish)i;
		break;
	}
}

static void set_number(struct move_options *o, int c, long n)
{
	if (c == OPT_DOWNTIME)
		o->max_downtime_ms = (unsigned)n;
	else if (c == OPT_RECONNECT)
		o->reconnect_ms = (unsigned)n * 1000;
	else if (c == OPT_SHUTDOWN)
		o->warm.shutdown_timeout_s = (unsigned)n;
	else if (c == OPT_CHANNELS)
		o->carry.channels = (unsigned)n;
	else
		o->carry.multifd = (int)n;
}

static int take_pair(struct move_options *o, int c)
{
	const char *value = strchr(optarg, '=');

	if (c == OPT_MAP_NET) {
		if (!value || o->map_net.count == PAIRS_MAX)
			return bad("--map-net", optarg, "NIC=bridge:BRIDGE, NIC=tap:NAME, NIC=user, NIC=none or NIC=as-is");
		o->map_net.at[o->map_net.count++] = optarg;
		return 0;
	}
	value = option_pair_value(optarg);
	if (!value || (*value != '/' && strcmp(value, "shared") && strcmp(value, "copy") && strcmp(value, "empty")))
		return bad("--disk", optarg, "DISK=PATH with an absolute path, DISK=shared, DISK=copy or DISK=empty");
	if (o->disks.map.count == PAIRS_MAX)
		return bad("--disk", optarg, "possible any more: there are too many");
	o->disks.map.at[o->disks.map.count++] = optarg;
	return 0;
}

/* "auto", "/a/file", "DISK=/a/file" or "DISK=auto"; a DISK may be a path, too */
static int take_reuse(struct disk_options *o)
{
	const char *value = option_pair_value(optarg);
	bool pair = value && (*value == '/' || !strcmp(value, "auto"));

	if (!pair && strcmp(optarg, "auto") && optarg[0] != '/')
		return bad("--reuse", optarg, "auto, FILE or DISK=FILE, with an absolute path of the destination");
	if (!pair && o->reuse_all && strcmp(o->reuse_all, optarg))
		return bad("--reuse", optarg, "possible beside another one: say DISK=FILE for each disk");
	if (pair && o->reuse.count == PAIRS_MAX)
		return bad("--reuse", optarg, "possible any more: there are too many");
	if (pair)
		o->reuse.at[o->reuse.count++] = optarg;
	else
		o->reuse_all = optarg;
	return 0;
}

/* Ten digits last until 2286. 0: it is no such number. */
static time_t since_1970(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n && n <= 10 && !text[n] ? (time_t)strtoll(text, NULL, 10) : 0;
}

/* What is in none of the tables. */
static int take_other(int c, struct move_options *o, bool *detach)
{
	switch (c) {
	case OPT_MAP_NET:
	case OPT_DISK:
		return take_pair(o, c);
	case OPT_REUSE:
		return take_reuse(&o->disks);
	case OPT_BWLIMIT:
		return parse_rate(optarg, &o->carry.bwlimit) ? bad("--bwlimit", optarg, "a rate such as 100M (bytes per second) or 800mbit")
							     : 0;
	case OPT_AT:
		/* by which a move that is begun again says when, if that has not come meanwhile */
		o->at = *optarg == '@' ? since_1970(optarg + 1) : moment_read(optarg, time(NULL));
		return o->at ? 0 : bad("--at", optarg, "a time to come (3:00, '2026-12-24 3:00:00', +90m)");
	case OPT_KEEP:
		o->disks.keep.none = !strcmp(optarg, "no");
		o->disks.keep.partial_s = o->disks.keep.none ? 0 : (unsigned)moment_span(optarg);
		if (o->disks.keep.none)
			return 0;
		return o->disks.keep.partial_s ? 0
					       : bad("--keep-partial", optarg, "a time such as 90m, 12h or 3d, of at most 366 days, or no");
	case OPT_REVERT:
		o->revert_within_s = (unsigned)moment_span(optarg);
		return o->revert_within_s && o->revert_within_s <= REVERT_WITHIN_S_MAX
			       ? 0
			       : bad("--revert-within", optarg, "a time such as 90s, 10m or 2h, of at most 7 days");
	case OPT_ONLY_DISKS:
		o->how = HOW_DISKS;
		return 0;
	case OPT_DROP:
		return take_drop(optarg, &o->disks.accept);
	case OPT_SCRIPT:
		o->script = o->dry_run = true;
		o->estimate = false;
		return 0;
	case OPT_JSON:
		if (optarg && strcmp(optarg, "fine"))
			return bad("--json", optarg, "fine, or nothing");
		o->json = true;
		o->json_fine = optarg != NULL;
		return 0;
	case OPT_DETACH:
		*detach = true;
		return 0;
	}
	if (dest_is_option(c))
		return dest_option(&o->dest, c, optarg);
	fputs("try: vmferry migrate --help\n", stderr);
	return EXIT_USAGE;
}

/* Those that are about this time, and not about the move. */
static bool is_of_the_move(int c)
{
	return c != OPT_DRY && c != OPT_SCRIPT && c != OPT_DETACH && c != OPT_JSON && c != 'v';
}

static int take_option(int c, struct move_options *o, bool *detach)
{
	size_t i;
	long n;
	int k;

	if (option_take(rows, ARRAY_LEN(rows), o, c, optarg))
		return 0;
	for (i = 0; i < ARRAY_LEN(word_options); i++)
		if (word_options[i].option == c) {
			k = take_word(word_options[i].name, optarg, word_options[i].words);
			if (k < 0)
				return EXIT_USAGE;
			set_word(o, c, k);
			return 0;
		}
	for (i = 0; i < ARRAY_LEN(number_options); i++)
		if (number_options[i].option == c) {
			if (!number(optarg, number_options[i].min, number_options[i].max, &n))
				return bad(number_options[i].name, optarg, number_options[i].want);
			set_number(o, c, n);
			return 0;
		}
	return take_other(c, o, detach);
}

static char *absolute(const char *path)
{
	char cwd[4096];

	if (!path || path[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return path ? xstrdup(path) : NULL;
	return xasprintf("%s/%s", cwd, path);
}

/* With another path than that which was meant a guest would get another QEMU, and nobody would notice. */
static int check_qemu(const char *qemu)
{
	return qemu && *qemu != '/' ? bad("--qemu", qemu, "an absolute path") : 0;
}

/* Nothing of the guest goes anywhere but its memory. */
static int check_in_place(struct move_options *o, const char *command)
{
	const struct disk_options *d = &o->disks;

	if (o->how != HOW_LIVE && o->how != HOW_QUICK) {
		fprintf(stderr, "vmferry %s: --in-place is for a guest that runs, and runs on with its memory (--how live or quick)\n",
			command);
		return EXIT_USAGE;
	}
	if (dest_kind(o->dest.where) != DEST_LOCAL) {
		fprintf(stderr, "vmferry %s: --in-place is for another QEMU of this machine: vmferry %s %s local --in-place\n", command,
			command, o->vm);
		return EXIT_USAGE;
	}
	if (o->disk_dir || d->map.count || d->reuse.count || d->reuse_all || d->chain != CHAIN_COPY || d->accept || d->keep.partial_s ||
	    o->media != MEDIA_AUTO || o->install_unit || o->revert_within_s) {
		fprintf(stderr,
			"vmferry %s: with --in-place disks, files and what starts the guest stay as they are: --disk-dir, --disk, --reuse, --chain, "
			"--drop, --media, --keep-partial, --install-unit and --revert-within have no place there\n",
			command);
		return EXIT_USAGE;
	}
	o->media = MEDIA_PATH;
	return 0;
}

/* VM DEST, or DEST where the guest's command line stands behind --. name: malloc'ed, what that line calls it, or NULL. */
static int take_guest(int n, char **words, struct move_options *o, char **name, const char *command)
{
	if (o->cold.start && o->how != HOW_COLD) {
		fprintf(stderr,
			"vmferry %s: --start is for a guest that is shut down (--how cold): one that runs goes on there by itself\n",
			command);
		return EXIT_USAGE;
	}
	if ((o->warm.force || o->warm.shutdown_timeout_s) && o->how != HOW_WARM) {
		fprintf(stderr, "vmferry %s: %s is for a guest that is shut down for its move (--how warm)\n", command,
			o->warm.force ? "--force" : "--shutdown-timeout");
		return EXIT_USAGE;
	}
	if (o->revert_within_s && o->how == HOW_COLD) {
		fprintf(stderr,
			"vmferry %s: --revert-within is for a guest that runs: one that is shut down (--how cold) is here as it was until its "
			"files are deleted\n",
			command);
		return EXIT_USAGE;
	}
	if (o->how == HOW_DISKS && (o->hold || o->at || o->revert_within_s || o->install_unit)) {
		fprintf(stderr,
			"vmferry %s: with --only-disks the guest stays here, and nothing is switched over: --hold, --at, --revert-within and "
			"--install-unit are said when it is moved\n",
			command);
		return EXIT_USAGE;
	}
	if (o->how == HOW_DISKS && !o->disks.keep.partial_s)
		o->disks.keep.partial_s = ONLY_DISKS_KEPT_S;
	if (o->disks.keep.partial_s && !o->reconnect_ms) {
		fprintf(stderr,
			"vmferry %s: with --reconnect-timeout 0 the destination could not tell a cancelled move from one that was cut off: "
			"--keep-partial needs 1 or more\n",
			command);
		return EXIT_USAGE;
	}
	if (o->at && (o->hold || o->how == HOW_COLD)) {
		fprintf(stderr, "vmferry %s: --at says when a guest that runs is to stand still: %s\n", command,
			o->hold ? "--hold leaves that to `vmferry switch`" : "this one is shut down");
		return EXIT_USAGE;
	}
	if (n != (o->cold.line ? 1 : 2)) {
		AUTO_FREE char *guest = n == 1 ? shell_quote_shown(words[0]) : xstrdup("VM");

		fprintf(stderr, "vmferry %s: %s: vmferry %s %s %s (--help tells more)\n", command,
			n == 1 ? "say where to" : "say which guest and where to", command, o->cold.line ? "" : guest,
			o->cold.line ? "DEST --how cold -- qemu-system-x86_64 ..." : "[USER@]HOST");
		return EXIT_USAGE;
	}
	*name = o->cold.line ? qemu_args_name(o->cold.line, o->cold.words) : NULL;
	o->vm = o->cold.line ? *name ?: o->cold.line[0] : words[0];
	o->dest.where = words[n - 1];
	return check_qemu(o->qemu) ?: o->in_place ? check_in_place(o, command) : 0;
}

/* Of argc words those before "--", if what is behind it is a guest's command line: with --how cold. */
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

/* The last line of a check that found nothing in the way. */
static void say_that_it_can(const struct move_options *o)
{
	AUTO_FREE char *guest = text_shown(o->vm);
	AUTO_FREE char *where = text_shown(o->dest.where);
	AUTO_FREE char *line = xasprintf("%s can be moved to %s: nothing stands in the way\n", guest, where);

	output_put(1, OUTPUT_LAST, line, strlen(line));
}

/* The move runs while the guest's name, which may lie in its command line, is still in memory. */
static int move_or_check(struct move_options *o)
{
	int code = move_run(o);

	if (!code && o->estimate && !o->json && !o->script)
		say_that_it_can(o);
	return code;
}

/* command: "migrate" or "check". */
static int run(int argc, char **argv, struct move_options *o, const char *command, const char *help)
{
	AUTO_FREE char *state = NULL;
	AUTO_FREE char *runtime = NULL;
	AUTO_FREE char *disk_dir = NULL;
	AUTO_FREE char *psk_file = NULL;
	AUTO_FREE char *token_file = NULL;
	AUTO_FREE char *identity = NULL;
	AUTO_FREE char *name = NULL;
	json_auto_t *move = again_new();
	bool detach = false;
	char at[32];
	struct err e;
	int c, r;

	for (c = 1; c < argc; c++) {
		if (text_is_utf8(argv[c]))
			continue;
		fprintf(stderr, "vmferry %s: argument %d is not UTF-8 text, and could not be told to the other side\n", command, c);
		return EXIT_USAGE;
	}
	argc = cut_line(argc, argv, o);
	while ((c = option_next(argc, argv, "v" DEST_OPTIONS_SHORT, options)) != -1) {
		if (c == OPT_HELP) {
			fputs(help, stdout);
			return 0;
		}
		r = take_option(c, o, &detach);
		if (r)
			return r;
		if (c == OPT_AT)
			snprintf(at, sizeof(at), "@%lld", (long long)o->at);
		if (is_of_the_move(c))
			again_option(move, options, c, c == OPT_AT ? at : optarg);
	}
	r = take_guest(argc - optind, argv + optind, o, &name, command);
	if (r)
		return r;
	o->disks.keep.move = move = again_end(move, o->vm, o->dest.where);
	if (o->cold.line) /* it may have secrets in it */
		o->disks.keep.move = NULL;
	r = dest_options_check(&o->dest);
	if (r)
		return r;
	if (dest_kind(o->dest.where) == DEST_LOCAL && !o->disk_dir && !o->in_place) {
		fprintf(stderr,
			"vmferry %s: the guest cannot move onto its own disks: say --disk-dir DIR for its new ones, or --in-place to have another "
			"QEMU go on with those that it has\n",
			command);
		return EXIT_USAGE;
	}
	o->disk_dir = disk_dir = absolute(o->disk_dir);
	if (disk_dir && !text_is_utf8(disk_dir)) {
		fprintf(stderr, "vmferry %s: the name of the directory that we are in is not UTF-8 text: give --disk-dir in full\n",
			command);
		return EXIT_USAGE;
	}
	/* the journal has them, for a recover that is started elsewhere */
	o->dest.psk_file = psk_file = absolute(o->dest.psk_file);
	o->dest.token_file = token_file = absolute(o->dest.token_file);
	o->dest.identity = identity = absolute(o->dest.identity);
	log_init("src", o->dest.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 2);
	r = state_dir_get(&state, o->state_dir, &e);
	if (!r)
		r = runtime_dir_get(&runtime, o->runtime_dir, &e);
	if (r) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_REFUSED;
	}
	if (!o->carry.channels)
		o->carry.channels = channels_for(own_processors());
	if (!o->warm.shutdown_timeout_s)
		o->warm.shutdown_timeout_s = SHUTDOWN_S;
	o->state_dir = o->dest.state_dir = state;
	o->runtime_dir = o->dest.runtime_dir = runtime;
	o->dest.background = detach;
	again_with_kept(o, command);
	return detach && !o->dry_run ? detach_run(o) : move_or_check(o);
}

#define DEFAULTS .max_downtime_ms = 300, .reconnect_ms = 60000, .carry = {.multifd = -1}

/* The destination that is named, "" if none is or the options are wrong; and whether they ask for help alone. getopt_long(3) sorts the words, after which
 * an option that lacks its value would have the guest for one: so it gets a copy. */
static const char *find_destination(int argc, char **argv, bool *asks_for_help)
{
	AUTO_FREE char **copy = xcalloc((size_t)argc + 1, sizeof(*copy));
	int c, ours = 1;
	bool good = true;

	*asks_for_help = false;
	memcpy(copy, argv, (size_t)argc * sizeof(*copy));
	while (ours < argc && strcmp(argv[ours], "--"))
		ours++;
	opterr = 0;
	while ((c = getopt_long(ours, copy, "v" DEST_OPTIONS_SHORT, options, NULL)) != -1) {
		good &= c != '?';
		*asks_for_help |= c == OPT_HELP;
	}
	opterr = 1;
	c = optind;
	optind = 0; /* getopt_long(3): from the beginning */
	return good && c < ours ? copy[ours - 1] : "";
}

/* The defaults (defaults.h) come before the command's own words, which so have the last say. */
static int run_with_defaults(int argc, char **argv, struct move_options *o, const char *command, const char *help)
{
	bool asks_for_help;
	const char *dest = find_destination(argc, argv, &asks_for_help);
	struct defaults d = {.words = NULL};
	char **all;
	struct err e;
	int i, code;

	if (!asks_for_help && defaults_read(&d, dest, options, &e)) {
		fprintf(stderr, "vmferry %s: %s\n", command, e.msg);
		return EXIT_USAGE;
	}
	all = xcalloc((size_t)(argc + d.count) + 1, sizeof(*all));
	all[0] = argv[0];
	for (i = 0; i < d.count; i++)
		all[1 + i] = d.words[i];
	for (i = 1; i < argc; i++)
		all[d.count + i] = argv[i];
	code = run(argc + d.count, all, o, command, help);
	free(all);
	defaults_fini(&d);
	return code;
}

int cmd_migrate(int argc, char **argv)
{
	struct move_options o = {DEFAULTS};

	return run_with_defaults(argc, argv, &o, "migrate", migrate_usage);
}

int migrate_again(int argc, char **argv)
{
	struct move_options o = {DEFAULTS};

	return run(argc, argv, &o, "migrate", migrate_usage);
}

int cmd_check(int argc, char **argv)
{
	struct move_options o = {DEFAULTS, .dry_run = true, .estimate = true};

	return run_with_defaults(argc, argv, &o, "check", check_usage);
}
