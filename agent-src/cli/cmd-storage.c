/* cmd-storage.c: vmferry storage: disks of a guest go to other images of this host. */
#include "storage.h"
#include "cmd.h"
#include "log.h"
#include "option-table.h"
#include "option-words.h"
#include "options.h"
#include "paths.h"
#include "qemu-args.h"
#include "util.h"
#include "words.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: vmferry storage VM --disk DISK=PATH... [options]\n"
	"       vmferry storage --disk DISK=PATH... [options] -- qemu-system-x86_64 ...\n"
	"\n"
	"Gives a guest other disks: the content of each --disk goes to another file or block device of this host, while the\n"
	"guest runs. VM is its name, pid or QMP socket. Of a guest that is shut down VM is the script that starts it (NAME.sh)\n"
	"or its unit; or its command line stands behind --: then each image is copied as the file that it is.\n"
	"\n"
	"QEMU copies the disks and switches to the new images, all of them or none. What starts the guest again, its script, is\n"
	"rewritten at the same moment: it names images that are whole and the newest, whenever the power fails.\n"
	"\n"
	"  --disk DISK=PATH     where that disk goes (DISK: its node, drive, device or file name); may be repeated. A file must not\n"
	"                       exist; a block device must be large enough and in nobody's use: it is overwritten\n"
	"  --format FORMAT      of the new images: raw or qcow2 (default: as each is). Backing files become part of the new image\n"
	"  --start-script FILE  the script that starts the guest (default: what its unit runs, or one beside its disks)\n"
	"  --old WHAT           what becomes of the old images: keep: they stay where they are; aside: they get another name, from\n"
	"                       which nothing starts the guest; remove (default: keep; aside where it is not known what starts\n"
	"                       the guest)\n"
	"  --drop WHAT,...      leave behind what cannot be copied: snapshots, bitmaps; data-file: bring the data into the image\n"
	"  --bwlimit RATE       bytes per second and disk, such as 100M\n"
	"  --dry-run            show the plan; touch nothing\n"
	"  --json[=fine]        events as NDJSON on standard output; the last line is the result. fine: progress ten times a second\n"
	"  --state-dir DIR, --runtime-dir DIR   journals and sockets (default /var/lib/vmferry, /run/vmferry)\n"
	"  -v, --verbose        say what is done\n"
	"\n"
	"Until all disks are copied Ctrl-C and vmferry cancel undo everything. vmferry recover settles what was cut off.\n"
	"\n"
	"Exit code: 0 the guest has its new disks; 1 it keeps its old ones, and nothing is left behind; 2 wrong usage; 3 refused,\n"
	"nothing was touched; 4 something is left, and is listed; 6 undecided: vmferry recover; 8 its QEMU has ended meanwhile.\n"
	"\n"
	"examples:\n"
	"  vmferry storage vm1 --disk vm1.raw=/fast/vm1.qcow2 --format qcow2\n"
	"  vmferry storage vm1 --disk vda=/dev/vg0/vm1 --format raw --old remove\n"
	"  vmferry storage /srv/vm1.sh --disk vm1.qcow2=/srv2/vm1.qcow2\n";

enum { OPT_DISK = 256, OPT_FORMAT, OPT_START_SCRIPT, OPT_OLD, OPT_DROP, OPT_BWLIMIT, OPT_DRY, OPT_JSON, OPT_STATE, OPT_RUNTIME, OPT_HELP };

static const struct option options[] = {
	{"disk", required_argument, NULL, OPT_DISK},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"start-script", required_argument, NULL, OPT_START_SCRIPT},
	{"old", required_argument, NULL, OPT_OLD},
	{"drop", required_argument, NULL, OPT_DROP},
	{"bwlimit", required_argument, NULL, OPT_BWLIMIT},
	{"dry-run", no_argument, NULL, OPT_DRY},
	{"json", optional_argument, NULL, OPT_JSON},
	{"state-dir", required_argument, NULL, OPT_STATE},
	{"runtime-dir", required_argument, NULL, OPT_RUNTIME},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static int bad(const char *option, const char *value, const char *want)
{
	fprintf(stderr, "vmferry storage: %s: '%s' is not %s\n", option, value, want);
	return EXIT_USAGE;
}

/* -1: it is none of them, which is said. */
static int one_of(const char *option, const char *value, const char *const *words)
{
	int i = word_index(words, value);

	if (i < 0) {
		AUTO_FREE char *want = words_or(words);

		bad(option, value, want);
	}
	return i;
}

static int take_disk(struct storage_options *o)
{
	const char *path = option_pair_value(optarg);

	if (!path || *path != '/')
		return bad("--disk", optarg, "DISK=PATH with an absolute path");
	if (o->disk_count == STORAGE_DISKS_MAX)
		return bad("--disk", optarg, "possible any more: there are too many");
	o->disks[o->disk_count++] = optarg;
	return 0;
}

/* "snapshots,bitmaps" */
static int take_drop(struct storage_options *o)
{
	AUTO_FREE char *copy = xstrdup(optarg);
	char *rest = copy, *word;
	int i;

	while ((word = strsep(&rest, ","))) {
		if ((i = one_of("--drop", word, drop_words)) < 0)
			return EXIT_USAGE;
		o->accept |= 1u << i; /* DISK_ACCEPT_*, in this order */
	}
	return 0;
}

/* 0, or the exit code. */
static int take(struct storage_options *o, int c, bool *verbose)
{
	static const char *const formats[] = {"raw", "qcow2", NULL}, *const olds[] = {"keep", "aside", "remove", NULL};
	int i;

	switch (c) {
	case OPT_DISK:
		return take_disk(o);
	case OPT_FORMAT:
		o->format = optarg;
		return one_of("--format", optarg, formats) < 0 ? EXIT_USAGE : 0;
	case OPT_START_SCRIPT:
		o->start_script = optarg;
		return 0;
	case OPT_OLD:
		i = one_of("--old", optarg, olds);
		o->old = (enum old_image)(i + 1);
		return i < 0 ? EXIT_USAGE : 0;
	case OPT_DROP:
		return take_drop(o);
	case OPT_BWLIMIT:
		return parse_rate(optarg, &o->bwlimit) || o->bwlimit > INT64_MAX
			       ? bad("--bwlimit", optarg, "a rate such as 100M (bytes per second) or 800mbit")
			       : 0;
	case OPT_DRY:
		o->dry_run = true;
		return 0;
	case OPT_JSON:
		if (optarg && strcmp(optarg, "fine"))
			return bad("--json", optarg, "fine, or nothing");
		o->life.json = true;
		o->life.json_fine = optarg != NULL;
		return 0;
	case OPT_STATE:
		o->life.state_dir = optarg;
		return 0;
	case OPT_RUNTIME:
		o->life.runtime_dir = optarg;
		return 0;
	case 'v':
		*verbose = true;
		return 0;
	default:
		fputs("try: vmferry storage --help\n", stderr);
		return EXIT_USAGE;
	}
}

/* What is behind "--" is QEMU's. How many words of argv are ours. */
static int split(struct storage_options *o, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		;
	if (i + 1 < argc) {
		o->line = argv + i + 1;
		o->words = (size_t)(argc - i - 1);
		argv[i] = NULL;
	}
	return i;
}

static int complain(const char *what)
{
	fprintf(stderr, "vmferry storage: %s (--help tells more)\n", what);
	return EXIT_USAGE;
}

static int check(struct storage_options *o, int n, char **words)
{
	if (n != (o->line ? 0 : 1))
		return complain("say which guest: vmferry storage VM --disk DISK=PATH");
	if (!o->disk_count)
		return complain("say which disk goes where: --disk DISK=PATH");
	o->vm = o->line ? o->line[0] : words[0];
	return 0;
}

int cmd_storage(int argc, char **argv)
{
	struct storage_options o = {.vm = NULL};
	AUTO_FREE char *state = NULL;
	AUTO_FREE char *runtime = NULL;
	bool verbose = false;
	int ours = split(&o, argc, argv), c, r;
	struct err e;

	while ((c = option_next(ours, argv, "v", options)) != -1) {
		if (c == OPT_HELP) {
			fputs(usage, stdout);
			return 0;
		}
		r = take(&o, c, &verbose);
		if (r)
			return r;
	}
	r = check(&o, ours - optind, argv + optind);
	if (r)
		return r;
	log_init("src", verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 2);
	r = state_dir_get(&state, o.life.state_dir, &e);
	if (!r)
		r = runtime_dir_get(&runtime, o.life.runtime_dir, &e);
	if (r) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_REFUSED;
	}
	o.life.state_dir = state;
	o.life.runtime_dir = runtime;
	return storage_run(&o);
}
