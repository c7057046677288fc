/* cmd-history.c: vmferry history: what became of the moves of this host. */
#include "cmd.h"
#include "history.h"
#include "json-text.h"
#include "option-table.h"
#include "paths.h"
#include "util.h"

#include <getopt.h>
#include <stdio.h>

static const char usage[] =
	"usage: vmferry history [--json] [VM]\n"
	"\n"
	"Shows how the last moves from this host ended, the newest last: those of all guests, or of VM (a name). Moves that were\n"
	"refused before anything was changed are not among them. vmferry report --last makes a page of the newest.\n"
	"\n"
	"  --json              an object a line, with the plan and the result (docs/report.md)\n"
	"  --state-dir DIR     where the journals are\n";

enum { OPT_STATE = 256 };

static const struct option options[] = {
	{"json", no_argument, NULL, 'j'},
	{"state-dir", required_argument, NULL, OPT_STATE},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static void print(const json_t *entry, bool json)
{
	AUTO_FREE char *line = json ? NULL : history_line(entry);

	if (json)
		json_text_print(entry);
	else
		puts(line);
}

int cmd_history(int argc, char **argv)
{
	AUTO_FREE char *dir = NULL;
	const char *override = NULL, *guest;
	bool json = false;
	json_t *all, *entry;
	struct err e;
	size_t i;
	int c;

	while ((c = option_next(argc, argv, "", options)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (c == '?')
			return EXIT_USAGE;
		json |= c == 'j';
		override = c == OPT_STATE ? optarg : override;
	}
	if (argc - optind > 1) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	guest = argv[optind];
	if (state_dir_get(&dir, override, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_SOURCE;
	}
	all = history_read(dir, guest);
	if (!json_array_size(all) && !json)
		puts(guest ? "no move of that guest from this host has ended lately" : "no move from this host has ended lately");
	json_array_foreach(all, i, entry)
		print(entry, json);
	json_decref(all);
	return 0;
}
