/* cmd-recover.c: vmferry recover and vmferry journal. */
#include "cmd.h"
#include "dest-options.h"
#include "journal.h"
#include "log.h"
#include "move.h"
#include "paths.h"
#include "util.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define DYING_MS 2000

static const char usage[] =
	"usage: vmferry recover [VM] [options]\n"
	"\n"
	"Settles moves whose agents died, from the journals of both sides: the guest ends up on exactly one of\n"
	"them, and what the move had created is removed. Without VM: every such move from this host.\n"
	"\n"
	"  --peer-is-fenced   the destination will never run the guest (it is destroyed, or switched off for good, or\n"
	"                     you know what became of its QEMU): take the guest back unless the destination answers\n"
	"                     and says that it runs there. If that is not true, the guest may run twice and its disks\n"
	"                     be ruined\n"
	"  --dest DEST        where the destination agent is now, if not where it was\n"
	"  --json             events as NDJSON on standard output\n"
	"  -v, --verbose      as for migrate\n"
	"\n"
	"How the destination was reached is in the journal; these options are for what has changed.\n"
	DEST_OPTIONS_HELP;

static const struct option options[] = {
	{"peer-is-fenced", no_argument, NULL, 'F'}, {"dest", required_argument, NULL, 'd'},
	{"json", no_argument, NULL, 'j'},	    {"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},	    DEST_OPTIONS,
	{NULL, 0, NULL, 0},
};

/* An agent that has just been killed holds its journal for a moment more. */
static int open_patiently(struct journal **j, const char *path, struct err *e)
{
	uint64_t until = now_ns() + DYING_MS * 1000000ULL;
	int r;

	while ((r = journal_open(j, path, e)) == -EBUSY && now_ns() < until)
		poll(NULL, 0, 10);
	return r;
}

/* Is this the journal of the guest that the user names (NULL: of any)? Then *begin is a reference to what it begins with.
 * A negative result: it cannot be said. */
static int is_wanted(const char *path, const char *vm, json_t **begin)
{
	struct journal *j;
	struct err e;
	const char *guest;
	const json_t *b;
	bool yes;
	int r;

	if (!strstr(path, "-src.journal"))
		return false;
	r = open_patiently(&j, path, &e);
	if (r) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return r == -ENOENT ? 0 : r;
	}
	b = journal_begin(j);
	guest = json_string_value(json_object_get(b, "guest"));
	yes = json_is_string(json_object_get(b, "dest")) && (!vm || (guest && !strcmp(guest, vm)) || strstr(path, vm));
	*begin = yes ? json_deep_copy(b) : NULL;
	journal_close(j);
	return yes;
}

int cmd_recover(int argc, char **argv)
{
	struct move_options o = {.max_downtime_ms = 300, .channels = 1, .ram_mode = "auto"};
	AUTO_FREE char *state = NULL;
	AUTO_FREE char *runtime = NULL;
	struct dest_config given = {.where = NULL}; /* what the command line says */
	const char *dest = NULL, *vm;
	bool fenced = false;
	char **paths;
	size_t n, i, found = 0;
	struct err e;
	int c, r, worst = 0;

	while ((c = getopt_long(argc, argv, "v" DEST_OPTIONS_SHORT, options, NULL)) != -1) {
		switch (c) {
		case 'F':
			fenced = true;
			break;
		case 'd':
			dest = optarg;
			break;
		case 'j':
			o.json = true;
			break;
		case 'v':
			o.verbose = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			if (!dest_is_option(c))
				return EXIT_USAGE;
			r = dest_option(&given, c, optarg);
			if (r)
				return r;
		}
	}
	if (argc - optind > 1) {
		fputs("vmferry recover: one guest, or none for all of them (--help tells more)\n", stderr);
		return EXIT_USAGE;
	}
	vm = argv[optind];
	log_init("src", o.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 2);
	r = state_dir_get(&state, NULL, &e);
	if (!r)
		r = runtime_dir_get(&runtime, NULL, &e);
	if (!r)
		r = journal_list(state, &paths, &n, &e);
	if (r) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_UNDECIDED;
	}
	o.state_dir = state;
	o.runtime_dir = runtime;
	o.vm = vm;
	for (i = 0; i < n; i++) {
		json_t *begin = NULL;

		r = is_wanted(paths[i], vm, &begin);
		if (r < 0)
			worst = MAX(worst, r == -EBUSY ? EXIT_REFUSED : EXIT_UNDECIDED);
		if (r <= 0)
			continue;
		found++;
		o.dest = given;
		o.dest.where = dest ? dest : json_string_value(json_object_get(begin, "dest"));
		o.dest.state_dir = state;
		o.dest.runtime_dir = runtime;
		o.dest.verbose = o.verbose;
		dest_options_load(&o.dest, json_object_get(begin, "reach"));
		r = move_recover(&o, paths[i], fenced);
		json_decref(begin);
		worst = MAX(worst, r);
	}
	journal_list_free(paths, n);
	if (!found && !worst)
		fprintf(stderr, "nothing to recover%s%s\n", vm ? " for " : "", vm ? vm : "");
	return worst;
}

int cmd_journal(int argc, char **argv)
{
	static const char text[] = "usage: vmferry journal [FILE]      prints a journal; without FILE, lists the unfinished ones\n";
	AUTO_FREE char *state = NULL;
	char **paths;
	size_t n, i;
	struct err e;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(text, stdout);
		return 0;
	}
	if (argc > 2) {
		fputs(text, stderr);
		return EXIT_USAGE;
	}
	if (argc == 2) {
		if (!journal_dump(argv[1], stdout, &e))
			return 0;
	} else if (!state_dir_get(&state, NULL, &e) && !journal_list(state, &paths, &n, &e)) {
		for (i = 0; i < n; i++)
			puts(paths[i]);
		journal_list_free(paths, n);
		return 0;
	}
	fprintf(stderr, "vmferry: %s\n", e.msg);
	return EXIT_SOURCE;
}
