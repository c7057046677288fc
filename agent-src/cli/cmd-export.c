/* cmd-export.c: vmferry export: a guest as a bundle, which vmferry import makes a guest again. */
#include "cmd.h"
#include "command-options.h"
#include "export.h"
#include "log.h"
#include "util.h"
#include "with-monitor.h"

#include <stdio.h>
#include <string.h>

static const char before[] =
	"usage: vmferry export VM DIR|- [options]\n"
	"       vmferry export DIR|- [options] -- QEMU [OPTION OF QEMU...]\n"
	"\n"
	"Makes a bundle of a guest: its disks (qcow2), the other files that it reads, its command line, a manifest with a "
	"SHA-256 of each file, and a README that says how it is started by hand. vmferry import makes it a guest again. "
	"VM is a guest that runs or is paused: its name, its pid, or its QMP socket; or one that is shut down: the script or "
	"the unit that starts it, or its command line behind --. DIR is new or empty; - is a stream on standard output, as in "
	"`vmferry export VM - | ssh HOST vmferry import - --disk-dir /srv/vm`.\n"
	"\n"
	"Of a guest that runs all disks are of one moment; it runs on, but a write of its waits while what it is to replace "
	"is saved, so a slow DIR slows its writes. If its command line has a port org.qemu.guest_agent.0 on a unix socket, "
	"its file systems are frozen for that moment, by its agent. Without --with-memory it will start as after a power "
	"failure.\n"
	"\n";

static const char after[] =
	"\n"
	"vmferry status and vmferry cancel tell how far it is, and stop it; vmferry recover removes what one that was killed left.\n"
	"\n"
	"Exit code: 0 the bundle is whole; 1 it failed, and nothing is left behind; 2 wrong usage; 3 refused, nothing was "
	"touched; 4 what is left behind is listed, and the bundle is whole only if `exported` is said; 5 it failed, and the "
	"guest, which --with-memory stops for a moment, may stand still. Otherwise it is as before.\n"
	"\n"
	"examples:\n"
	"  vmferry export vm1 /backup/vm1-2026-11-22 --compress\n"
	"  vmferry export /srv/vm/vm2.sh - | ssh host-b vmferry import - --disk-dir /srv/vm\n";

#define MEMBER(name) offsetof(struct export_options, name)

static const char *const freezes[] = {"auto", "require", "off", NULL}, /* enum export_freeze */
	*const fine[] = {"fine", NULL};

static const struct command_option rows[] = {
	{"compress", NULL, "the disks (zstd, if qemu-img can, which QEMU reads since 5.1)", OPT_FLAG, .offset = MEMBER(compress)},
	{"bwlimit", "RATE", "bytes a second, of each disk (10M)", OPT_RATE, .offset = MEMBER(rate), .min = 1},
	{"freeze", "WHEN", "auto (default): if its agent does it; require: fail otherwise; off", OPT_WORD, .offset = MEMBER(freeze),
	 .words = freezes},
	{"no-media", NULL, "leave out what is in its CD-ROM and floppy drives", OPT_FLAG, .offset = MEMBER(no_media)},
	{"json", "[=fine]", "events as NDJSON on standard output; the last line is the result (not of a stream)", OPT_FLAG,
	 .offset = MEMBER(life.json), .also = MEMBER(life.json_fine), .words = fine},
	{"spool", "DIR", "where a stream is made before it is sent (default: $TMPDIR, or /var/tmp)", OPT_TEXT, .offset = MEMBER(spool)},
	{"with-memory", NULL,
	 "export the guest's memory, too, so that it can go on where it was: written while the guest runs, which stands for a moment at "
	 "the end (QEMU 10.0 or later)",
	 OPT_FLAG, .offset = MEMBER(memory)},
	{.name = NULL},
};

/* NULL: nothing is wrong. */
static const char *find_clash(const struct export_options *o)
{
	return o->memory && o->freeze == FREEZE_REQUIRE
		       ? "--freeze require is not for --with-memory: what is in memory would be frozen, too"
	       : !*o->dir				? "DIR is empty: name a directory, or - for a stream"
	       : o->life.json && o->life.stdout_is_data ? "--json is not possible with a stream, which has standard output for itself"
							: NULL;
}

static int export(const struct export_options *o)
{
	const struct lent_need need = {.state_dir = o->life.state_dir, .runtime_dir = o->life.runtime_dir};
	struct lent_monitor monitor = {.path = NULL};
	int code = monitor_begin(&monitor, o->vm, &need);

	code = code ?: export_run(o);
	monitor_end(&monitor);
	return code;
}

int cmd_export(int argc, char **argv)
{
	static const struct option_table tables[] = {{rows, 0}, {NULL, 0}};
	static const struct command_usage usage = {"vmferry export", before, after, .tables = tables};
	struct export_options o = {.vm = NULL};
	AUTO_FREE char *state = NULL;
	AUTO_FREE char *runtime = NULL;
	const char *clash;
	char **line;
	int ours = command_words_before(argc, argv, &line, &o.argc), first, r;
	AUTO_FREE char **words = xcalloc((size_t)ours + 1, sizeof(*words));

	memcpy(words, argv, (size_t)ours * sizeof(*words));
	o.argv = o.argc ? line : NULL;
	log_init("vmferry", LOG_LEVEL_ERROR, 2);
	r = command_take(&usage, ours, words, &o, &first);
	if (r)
		return MAX(r, 0);
	if (ours - first != (o.argv ? 1 : 2)) {
		fputs("vmferry: export needs a guest, and a directory or -; vmferry export --help tells more\n", stderr);
		return EXIT_USAGE;
	}
	o.vm = o.argv ? NULL : words[first];
	o.dir = words[ours - 1];
	o.life.stdout_is_data = !strcmp(o.dir, "-");
	clash = find_clash(&o);
	if (clash) {
		fprintf(stderr, "vmferry export: %s\n", clash);
		return EXIT_USAGE;
	}
	life_places(&o.life, &state, &runtime);
	return export(&o);
}
