/* cmd-history.c: vmferry history: what became of the moves of this host. */
#include "cmd.h"
#include "command-options.h"
#include "history.h"
#include "json-text.h"
#include "paths.h"
#include "util.h"

#include <stdio.h>

static const char before[] =
	"usage: vmferry history [--json] [VM]\n"
	"\n"
	"Shows how the last moves from this host ended, the newest last: those of all guests, or of VM (a name). Moves that were "
	"refused before anything was changed are not among them. vmferry report --last makes a page of the newest.\n"
	"\n";

struct history_command {
	bool json;
	const char *state_dir;
};

#define MEMBER(name) offsetof(struct history_command, name)

static const struct command_option rows[] = {
	{"json", NULL, "an object a line, with the plan and the result (docs/report.md)", OPT_FLAG, .offset = MEMBER(json)},
	{"state-dir", "DIR", "where the journals are", OPT_TEXT, .offset = MEMBER(state_dir)},
	{.name = NULL},
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
	static const struct option_table tables[] = {{rows, 0}, {NULL, 0}};
	static const struct command_usage usage = {"vmferry history", before, .tables = tables,
						   .words = "one guest, or none for all of them", .most = 1};
	struct history_command c = {.json = false};
	AUTO_FREE char *dir = NULL;
	const char *guest;
	json_t *all, *entry;
	struct err e;
	size_t i;
	int first, r = command_take(&usage, argc, argv, &c, &first);

	if (r)
		return MAX(r, 0);
	guest = argv[first];
	if (state_dir_get(&dir, c.state_dir, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_SOURCE;
	}
	all = history_read(dir, guest);
	if (!json_array_size(all) && !c.json)
		puts(guest ? "no move of that guest from this host has ended lately" : "no move from this host has ended lately");
	json_array_foreach(all, i, entry)
		print(entry, c.json);
	json_decref(all);
	return 0;
}
