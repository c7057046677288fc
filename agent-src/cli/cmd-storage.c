/* cmd-storage.c: vmferry storage: disks of a guest go to other images of this host. */
#include "storage.h"
#include "cmd.h"
#include "command-options.h"
#include "log.h"
#include "options.h"
#include "paths.h"
#include "util.h"
#include "with-monitor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The options of storage, and --verbose. */
struct storage_command {
	struct storage_options o;
	bool verbose;
};

static const char before[] =
	"usage: vmferry storage VM --disk DISK=PATH... [options]\n"
	"       vmferry storage --disk DISK=PATH... [options] -- qemu-system-x86_64 ...\n"
	"\n"
	"Gives a guest other disks: the content of each --disk goes to another file or block device of this host, while the "
	"guest runs. VM is its name, pid or QMP socket. Of a guest that is shut down VM is the script that starts it (NAME.sh) "
	"or its unit; or its command line stands behind --: then each image is copied as the file that it is "
	"(of a part of a file, or of a block device: the disk alone).\n"
	"\n"
	"QEMU copies the disks and switches to the new images, all of them or none. What starts the guest again, its script, is "
	"rewritten at the same moment: it names images that are whole and the newest, whenever the power fails.\n"
	"\n";

static const char after[] =
	"\n"
	"Until all disks are copied Ctrl-C and vmferry cancel undo everything. vmferry recover settles what was cut off.\n"
	"\n"
	"Exit code: 0 the guest has its new disks; 1 it keeps its old ones, and nothing is left behind; 2 wrong usage; 3 refused, "
	"nothing was touched; 4 something is left, and is listed; 6 undecided: vmferry recover; 8 its QEMU has ended meanwhile.\n"
	"\n"
	"examples:\n"
	"  vmferry storage vm1 --disk vm1.raw=/fast/vm1.qcow2 --format qcow2\n"
	"  vmferry storage vm1 --disk vda=/dev/vg0/vm1 --format raw --old remove\n"
	"  vmferry storage /srv/vm1.sh --disk vm1.qcow2=/srv2/vm1.qcow2\n";

static int take_disk(void *into, const char *arg, struct err *e)
{
	struct storage_options *o = &((struct storage_command *)into)->o;
	const char *path = option_pair_value(arg);

	if (!path || *path != '/')
		return option_bad(e, arg, "DISK=PATH with an absolute path");
	if (o->disk_count == STORAGE_DISKS_MAX)
		return err_set(e, EINVAL, "at most %u disks", STORAGE_DISKS_MAX);
	o->disks[o->disk_count++] = arg;
	return 0;
}

#define MEMBER(name) offsetof(struct storage_command, name)

static const char *const formats[] = {"raw", "qcow2", NULL}, *const olds[] = {"keep", "aside", "remove", NULL},
			 *const fine[] = {"fine", NULL};

static const struct command_option rows[] = {
	{"disk", "DISK=PATH",
	 "where that disk goes (DISK: its node, drive, device or file name); may be repeated. A file must not exist; a block device must "
	 "be large enough and not in use: it is overwritten",
	 OPT_CALL, .take = take_disk},
	{"format", "FORMAT", "format of the new images: raw or qcow2 (default: as each is). Backing files become part of the new image",
	 OPT_WORD_TEXT, .offset = MEMBER(o.format), .words = formats},
	{"start-script", "FILE", "the script that starts the guest (default: what its unit runs, or one beside its disks)", OPT_TEXT,
	 .offset = MEMBER(o.start_script)},
	{"old", "WHAT",
	 "fate of the old images: keep: they stay where they are; aside: they get another name, from which nothing starts the "
	 "guest; remove (default: keep; aside where it is not known what starts the guest)",
	 OPT_WORD, .offset = MEMBER(o.old), .words = olds, .base = OLD_KEEP},
	{"drop", "WHAT,...", "leave behind what cannot be copied: snapshots, bitmaps; data-file: bring the data into the image", OPT_BITS,
	 .offset = MEMBER(o.accept), .words = drop_words},
	{"bwlimit", "RATE", "bytes per second and disk, such as 100M", OPT_RATE, .offset = MEMBER(o.bwlimit)},
	{"dry-run", NULL, "show the plan; touch nothing", OPT_FLAG, .offset = MEMBER(o.dry_run)},
	{"json", "[=fine]", "events as NDJSON on standard output; the last line is the result. fine: progress ten times a second", OPT_FLAG,
	 .offset = MEMBER(o.life.json), .also = MEMBER(o.life.json_fine), .words = fine},
	{"state-dir", "DIR", "where journals are (default /var/lib/vmferry)", OPT_TEXT, .offset = MEMBER(o.life.state_dir)},
	{"runtime-dir", "DIR", "where sockets are (default /run/vmferry)", OPT_TEXT, .offset = MEMBER(o.life.runtime_dir)},
	{"verbose", NULL, "say what is done", OPT_FLAG, .offset = MEMBER(verbose), .letter = 'v'},
	{.name = NULL},
};

static int complain(const char *what)
{
	fprintf(stderr, "vmferry storage: %s (--help tells more)\n", what);
	return EXIT_USAGE;
}

static int change(struct storage_options *o)
{
	const struct lent_need need = {.state_dir = o->life.state_dir, .runtime_dir = o->life.runtime_dir};
	struct lent_monitor monitor = {.path = NULL};
	int code = monitor_begin(&monitor, o->line ? NULL : o->vm, &need);

	code = code ?: storage_run(o);
	monitor_end(&monitor);
	return code;
}

int cmd_storage(int argc, char **argv)
{
	static const struct option_table tables[] = {{rows, 0}, {NULL, 0}};
	static const struct command_usage usage = {"vmferry storage", before, after, .tables = tables};
	struct storage_command c = {.verbose = false};
	struct storage_options *o = &c.o;
	AUTO_FREE char *state = NULL;
	AUTO_FREE char *runtime = NULL;
	char **line;
	int ours = command_words_before(argc, argv, &line, &o->words), first, r;
	struct err e;

	argv[ours] = NULL;
	o->line = o->words ? line : NULL;
	r = command_take(&usage, ours, argv, &c, &first);
	if (r)
		return MAX(r, 0);
	if (ours - first != (o->line ? 0 : 1))
		return complain("say which guest: vmferry storage VM --disk DISK=PATH");
	if (!o->disk_count)
		return complain("say which disk goes where: --disk DISK=PATH");
	o->vm = o->line ? o->line[0] : argv[first];
	log_init("src", c.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 2);
	if (state_dir_get(&state, o->life.state_dir, &e) || runtime_dir_get(&runtime, o->life.runtime_dir, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_REFUSED;
	}
	o->life.state_dir = state;
	o->life.runtime_dir = runtime;
	return change(o);
}
