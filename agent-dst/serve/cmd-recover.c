/* cmd-recover.c: see cmd-recover.h. */
#include "cmd-recover.h"
#include "command-options.h"
#include "exit-code.h"
#include "journal.h"
#include "log.h"
#include "arriving-move.h"
#include "paths.h"
#include "util.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define ID_MIN 8 /* digits by which an attempt may be named */

static const char before[] =
	"usage: vmferry-dst recover [GUEST] [options]\n"
	"\n"
	"Settles, on the destination, what moves to this host have left, as far as that needs no source. Without GUEST: all of "
	"them. GUEST is a name as the source called it, or at least eight digits of the attempt (vmferry journal).\n"
	"\n"
	"What a source asked to be kept of a move that was cut off (vmferry migrate --keep-partial) stays until its time is over, and "
	"is listed.\n"
	"\n";

static const char after[] =
	"\n"
	"The exit code: 0 the guest runs here, or there was nothing to do; 1 it is not here, and nothing of the move is left; 4 it "
	"is not here, and what is left is listed; 6 it waits for its source, has ended, or cannot be settled.\n";

struct choice {
	const char *guest, *state, *runtime;
	bool fenced, verbose;
};

#define MEMBER(name) offsetof(struct choice, name)

static const struct command_option rows[] = {
	{"peer-is-fenced", NULL,
	 "the source is gone for good: destroyed, or switched off, and its copy of the guest will never run again. A guest that waits here, "
	 "complete, for the source's word is started; of one whose QEMU has ended while it waited the disks stay, with the script that boots "
	 "it from them. If that is not true, it may run twice. One GUEST must be named",
	 OPT_FLAG, .offset = MEMBER(fenced)},
	{"state-dir", "DIR", "journals (default /var/lib/vmferry, or ~/.local/state/vmferry)", OPT_TEXT, .offset = MEMBER(state)},
	{"runtime-dir", "DIR", "sockets of moves (default /run/vmferry, or $XDG_RUNTIME_DIR/vmferry)", OPT_TEXT, .offset = MEMBER(runtime)},
	{"verbose", NULL, "say what is done, on standard error", OPT_FLAG, .offset = MEMBER(verbose), .letter = 'v'},
	{.name = NULL},
};

/* -1: go on; else the exit code. */
static int read_options(struct choice *o, int argc, char **argv)
{
	static const struct option_table tables[] = {{rows, 0}, {NULL, 0}};
	static const struct command_usage usage =
		{"vmferry-dst recover", before, after, tables, .words = "one guest, or none for all of them", .most = 1};
	int first, r = command_take(&usage, argc, argv, o, &first);

	if (r)
		return MAX(r, 0);
	o->guest = argv[first];
	if (!o->fenced || o->guest)
		return -1;
	fputs("vmferry-dst recover: --peer-is-fenced is said of one guest: name it\n", stderr);
	return EXIT_USAGE;
}

/* True if the guest's name, or the beginning of the attempt's id, is the wanted one. */
static bool is_wanted(const char *path, const char *guest, const char *wanted)
{
	const char *slash = strrchr(path, '/');
	size_t n = wanted ? strlen(wanted) : 0;

	if (!wanted || (guest && !strcmp(guest, wanted)))
		return true;
	return slash && n >= ID_MIN && strspn(wanted, "0123456789abcdef") == n && !strncmp(slash + 1, wanted, n);
}

/* Guest of the move that this journal is of; malloc'ed, NULL if it cannot be read. */
static char *guest_of(const char *path)
{
	char id[2 * ATTEMPT_ID_LEN + 1], *name;
	json_t *begin;
	struct err e;

	if (journal_peek(path, id, &begin, &e)) {
		fprintf(stderr, "vmferry-dst: %s\n", e.msg);
		return NULL;
	}
	name = xstrdup(json_string_value(json_object_get(begin, "guest")) ?: "?");
	json_decref(begin);
	return name;
}

static int settle_one(const struct move_config *cfg, const char *path, const char *guest, bool fenced)
{
	struct err e;
	int r = move_settle(cfg, path, fenced, &e);

	if (r == 0)
		printf("guest %s runs here\n", guest);
	else if (r == 1)
		printf("guest %s is not here; what its move had left is removed\n", guest);
	else
		fprintf(stderr, "vmferry-dst: guest %s: %s\n", guest, e.msg);
	return r;
}

static size_t choose(char **paths, char **guests, size_t n, const char *wanted, bool *unreadable)
{
	size_t i, count = 0;

	for (i = 0; i < n; i++) {
		if (!journal_path_is(paths[i], false))
			continue;
		guests[i] = guest_of(paths[i]);
		*unreadable |= !guests[i];
		if (guests[i] && !is_wanted(paths[i], guests[i], wanted)) {
			free(guests[i]);
			guests[i] = NULL;
		}
		count += guests[i] != NULL;
	}
	return count;
}

static int recover(const struct move_config *cfg, const struct choice *o, struct err *e)
{
	bool unreadable = false;
	char **paths, **guests;
	size_t n, i, count;
	int worst, r = journal_list(cfg->state_dir, &paths, &n, e);

	if (r)
		return r;
	guests = xcalloc(n + 1, sizeof(*guests));
	count = choose(paths, guests, n, o->guest, &unreadable);
	worst = unreadable ? EXIT_UNDECIDED : EXIT_DESTINATION;
	if (!count)
		fprintf(stderr, "nothing to recover here%s%s\n", o->guest ? " for " : "", o->guest ? o->guest : "");
	if (count > 1 && o->fenced) {
		fprintf(stderr, "vmferry-dst recover: %s has more than one move here; name the attempt:\n", o->guest);
		for (i = 0; i < n; i++)
			if (guests[i])
				fprintf(stderr, "  %.16s  guest %s\n", strrchr(paths[i], '/') + 1, guests[i]);
		worst = EXIT_USAGE;
	}
	for (i = 0; i < n; i++) {
		r = guests[i] && (count == 1 || !o->fenced) ? settle_one(cfg, paths[i], guests[i], o->fenced) : 0;
		worst = MAX(worst, r);
		free(guests[i]);
	}
	free(guests);
	journal_list_free(paths, n);
	return worst;
}

int cmd_recover_here(int argc, char **argv)
{
	struct move_config cfg = {.listen_fd = -1};
	AUTO_FREE char *state_dir = NULL;
	AUTO_FREE char *runtime_dir = NULL;
	struct choice o = {.guest = NULL};
	struct err e;
	int r = read_options(&o, argc, argv);

	if (r >= 0)
		return r;
	log_init("dst", o.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 2);
	r = state_dir_get(&state_dir, o.state, &e) ?: runtime_dir_get(&runtime_dir, o.runtime, &e);
	cfg.state_dir = state_dir;
	cfg.runtime_dir = runtime_dir;
	r = r ?: recover(&cfg, &o, &e);
	if (r < 0) {
		fprintf(stderr, "vmferry-dst: %s\n", e.msg);
		return EXIT_UNDECIDED;
	}
	return r;
}
