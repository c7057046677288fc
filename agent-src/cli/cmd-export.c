/* cmd-export.c: vmferry export: a guest as a bundle, which vmferry import makes a guest again. */
#include "cmd.h"
#include "export.h"
#include "log.h"
#include "option-table.h"
#include "util.h"
#include "words.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: vmferry export VM DIR|- [options]\n"
	"       vmferry export DIR|- [options] -- QEMU [OPTION OF QEMU...]\n"
	"\n"
	"Makes a bundle of a guest: its disks (qcow2), the other files that it reads, its command line, a manifest with a\n"
	"SHA-256 of each file, and a README that says how it is started by hand. vmferry import makes it a guest again.\n"
	"VM is a guest that runs or is paused: its name, its pid, or its QMP socket; or one that is shut down: the script or\n"
	"the unit that starts it, or its command line behind --. DIR is new or empty; - is a stream on standard output, as in\n"
	"`vmferry export VM - | ssh HOST vmferry import - --disk-dir /srv/vm`.\n"
	"\n"
	"Of a guest that runs all disks are of one moment; it runs on, but a write of its waits while what it is to replace\n"
	"is saved, so a slow DIR slows its writes. If its command line has a port org.qemu.guest_agent.0 on a unix socket,\n"
	"its file systems are frozen for that moment, by its agent. Without --with-memory it will start as after a power\n"
	"failure.\n"
	"\n"
	"  --compress           the disks (zstd, if qemu-img can, which QEMU reads since 5.1)\n"
	"  --bwlimit RATE       bytes a second, of each disk (10M)\n"
	"  --freeze WHEN        auto (default): if its agent does it; require: fail otherwise; off\n"
	"  --no-media           leave out what is in its CD-ROM and floppy drives\n"
	"  --json[=fine]        events as NDJSON on standard output; the last line is the result (not of a stream)\n"
	"  --spool DIR          where a stream is made before it is sent (default: $TMPDIR, or /var/tmp)\n"
	"  --with-memory        what it has in memory, too, with which it can go on where it was: written down while it runs,\n"
	"                       it stands for a moment at the end (QEMU 10.0 or later)\n"
	"\n"
	"Exit code: 0 the bundle is whole; 1 it failed, and nothing is left behind; 2 wrong usage; 3 refused, nothing was\n"
	"touched; 4 what is left behind is listed, and the bundle is whole only if `exported` is said; 5 it failed, and the\n"
	"guest, which --with-memory stops for a moment, may stand still. Otherwise it is as before.\n"
	"\n"
	"examples:\n"
	"  vmferry export vm1 /backup/vm1-2026-11-22 --compress\n"
	"  vmferry export /srv/vm/vm2.sh - | ssh host-b vmferry import - --disk-dir /srv/vm\n";

enum { OPT_COMPRESS = 256, OPT_RATE, OPT_FREEZE, OPT_NO_MEDIA, OPT_SPOOL, OPT_MEMORY, OPT_JSON, OPT_HELP };

static const struct option options[] = {
	{"compress", no_argument, NULL, OPT_COMPRESS},
	{"bwlimit", required_argument, NULL, OPT_RATE},
	{"freeze", required_argument, NULL, OPT_FREEZE},
	{"no-media", no_argument, NULL, OPT_NO_MEDIA},
	{"spool", required_argument, NULL, OPT_SPOOL},
	{"with-memory", no_argument, NULL, OPT_MEMORY},
	{"json", optional_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static int bad(const char *option, const char *value, const char *want)
{
	fprintf(stderr, "vmferry export: %s: '%s' is not %s\n", option, value, want);
	return EXIT_USAGE;
}

/* 0, or the exit code. */
static int take(struct export_options *o, int c)
{
	static const char *const when[] = {"auto", "require", "off", NULL};
	int i;

	switch (c) {
	case OPT_COMPRESS:
		o->compress = true;
		return 0;
	case OPT_RATE:
		return parse_rate(optarg, &o->rate) || !o->rate || o->rate > INT64_MAX
			       ? bad("--bwlimit", optarg, "a rate such as 10M (bytes per second) or 80mbit")
			       : 0;
	case OPT_FREEZE:
		i = word_index(when, optarg);
		o->freeze = i > 0 ? (enum export_freeze)i : FREEZE_AUTO;
		return i < 0 ? bad("--freeze", optarg, "auto, require or off") : 0;
	case OPT_NO_MEDIA:
		o->no_media = true;
		return 0;
	case OPT_SPOOL:
		o->spool = optarg;
		return 0;
	case OPT_JSON:
		if (optarg && strcmp(optarg, "fine"))
			return bad("--json", optarg, "fine, or nothing");
		o->life.json = true;
		o->life.json_fine = optarg != NULL;
		return 0;
	case OPT_MEMORY:
		o->memory = true;
		return 0;
	default:
		return EXIT_USAGE;
	}
}

/* What is behind "--" is a command line. How many words of argv are ours. */
static int split(struct export_options *o, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		;
	if (i + 1 < argc) {
		o->argv = argv + i + 1;
		o->argc = (size_t)(argc - i - 1);
	}
	return i;
}

int cmd_export(int argc, char **argv)
{
	struct export_options o = {.vm = NULL};
	AUTO_FREE char *state = NULL;
	AUTO_FREE char *runtime = NULL;
	int ours = split(&o, argc, argv), c, r, want;
	AUTO_FREE char **words = xcalloc((size_t)ours + 1, sizeof(*words));

	memcpy(words, argv, (size_t)ours * sizeof(*words));
	log_init("vmferry", LOG_LEVEL_ERROR, 2);
	while ((c = option_next(ours, words, "", options)) != -1) {
		if (c == OPT_HELP) {
			fputs(usage, stdout);
			return 0;
		}
		r = take(&o, c);
		if (r)
			return r;
	}
	want = o.argv ? 1 : 2;
	if (ours - optind != want) {
		fputs("vmferry: export needs a guest, and a directory or -; vmferry export --help tells more\n", stderr);
		return EXIT_USAGE;
	}
	if (o.memory && o.freeze == FREEZE_REQUIRE)
		return bad("--freeze", "require", "for --with-memory: what is in memory would be frozen, too");
	o.vm = o.argv ? NULL : words[optind];
	o.dir = words[ours - 1];
	if (!*o.dir)
		return bad("DIR", o.dir, "the name of a directory");
	o.life.stdout_is_data = !strcmp(o.dir, "-");
	if (o.life.json && o.life.stdout_is_data)
		return bad("--json", "-", "possible with a stream, which has standard output for itself");
	life_places(&o.life, &state, &runtime);
	return export_run(&o);
}
