/* cmd-recover.c: vmferry recover and vmferry journal. */
#include "again.h"
#include "attach.h"
#include "cmd.h"
#include "control.h"
#include "dest-options.h"
#include "export.h"
#include "journal-kinds.h"
#include "journal.h"
#include "json-text.h"
#include "lent-monitor.h"
#include "log.h"
#include "paths.h"
#include "process.h"
#include "program.h"
#include "qemu-discover.h"
#include "recover-choice.h"
#include "shell-quote.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char before[] =
	"usage: vmferry recover [VM] [options]\n"
	"\n"
	"Settles moves whose agents died, from the journals of both sides: the guest ends up on exactly one of them, and what the "
	"move had created is removed. VM is the guest's name, its pid when it was moved, or the first 8 digits, or more, of the "
	"attempt that `vmferry journal` lists. Without VM: every such move from this host; one to this host is named. Of a VM that was being "
	"moved to this host: as `vmferry-dst recover VM`. Of one whose export or import was cut off: what that has made is removed, unless it "
	"is whole. Of one whose last move was rolled back, or whose disks were copied (migrate --only-disks): what the destination "
	"has kept of them is removed.\n"
	"\n";

static const char after[] = "\nHow the destination was reached is in the journal; these options are for what has changed.\n";

/* Options of the command line. */
struct asked {
	const char *vm; /* NULL: all */
	struct move_taken_up up;
	json_t *way; /* options that say how to reach the destination, as in again.h */
};

/* A move from this host that has not ended. */
struct attempt {
	const char *path; /* path of its journal */
	char id[2 * ATTEMPT_ID_LEN + 1];
	const struct journal_kind *kind;
	json_t *begin;
};

struct attempts {
	char **paths;
	size_t path_count;
	struct attempt *list;
	size_t n;
};

static const char *member(const struct attempt *a, const char *key)
{
	const char *s = json_string_value(json_object_get(a->begin, key));

	return s ? s : "?";
}

/* The pid of the attempt's QEMU; 0: it had none. */
static int pid_of(const struct attempt *a)
{
	const json_t *lent = json_object_get(a->begin, LENT_MEMBER);

	return (int)json_integer_value(json_object_get(lent ?: a->begin, "pid"));
}

/* Description for the user: "vm1 (pid 17) -> root@host-b, attempt 0123…". The caller frees it. */
static char *attempt_text(const struct attempt *a)
{
	int pid = pid_of(a);
	AUTO_FREE char *of = pid ? xasprintf("pid %d", pid) : xstrdup("shut down");
	char *s = xasprintf("%s (%s) -> %s, attempt %s", member(a, "guest"), of, life_goes_to(a->begin), a->id);

	text_make_printable(s, false);
	return s;
}

/* "vm1 <- host-a, attempt 0123…": a move to this host. The caller frees it. */
static char *arrival_text(const struct attempt *a)
{
	char *s = xasprintf("%s <- %s, attempt %s", member(a, "guest"), member(a, "from"), a->id);

	text_make_printable(s, false);
	return s;
}

static int attempt_peek(struct attempt *a, struct err *e)
{
	int r = journal_peek(a->path, a->id, &a->begin, e);

	a->kind = r ? NULL : journal_kind_of(a->begin);
	return r;
}

/* Finds source journals that the user means; vm NULL: all. *unread: number of journals that cannot be read, so that their guest is
 * unknown. */
static int attempts_find(struct attempts *all, const char *state, const char *vm, size_t *unread, struct err *e)
{
	int r = journal_list(state, &all->paths, &all->path_count, e);

	if (r)
		return r;
	all->list = xcalloc(all->path_count + 1, sizeof(*all->list));
	for (size_t i = 0; i < all->path_count; i++) {
		struct attempt *a = &all->list[all->n];
		struct err why;

		if (!journal_path_is(all->paths[i], true))
			continue;
		a->path = all->paths[i];
		r = attempt_peek(a, &why);
		if (r) {
			if (r != -ENOENT) {
				fprintf(stderr, "vmferry: %s\n", why.msg);
				(*unread)++;
			}
		} else if (a->kind && (!vm || recover_means(vm, json_string_value(json_object_get(a->begin, "guest")), pid_of(a), a->id))) {
			all->n++;
		} else {
			json_decref(a->begin);
		}
	}
	return 0;
}

static void attempts_free(struct attempts *all)
{
	for (size_t i = 0; i < all->n; i++)
		json_decref(all->list[i].begin);
	free(all->list);
	journal_list_free(all->paths, all->path_count);
}

static bool leaves_here(const struct attempts *all, const char *id)
{
	size_t i;

	for (i = 0; i < all->n && strcmp(all->list[i].id, id); i++)
		;
	return i < all->n;
}

/* True if vm means a move to this host, and not one from it, too. */
static bool arrives_here(const struct attempts *all, const char *vm)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	bool yes = false;
	json_t *begin;
	struct err e;

	for (size_t i = 0; i < all->path_count && !yes; i++) {
		if (!journal_path_is(all->paths[i], false) || journal_peek(all->paths[i], id, &begin, &e))
			continue;
		yes = !leaves_here(all, id) && recover_means(vm, json_string_value(json_object_get(begin, "guest")), 0, id);
		json_decref(begin);
	}
	return yes;
}

/* Journals of a destination belong to vmferry-dst, which is run instead. Returns only if it cannot be run. */
static int become_the_destination(const struct asked *asked)
{
	AUTO_FREE char *program = program_beside("vmferry-dst");
	const char *argv[6] = {program, "recover", asked->vm};
	unsigned n = 3;

	if (asked->up.fenced)
		argv[n++] = "--peer-is-fenced";
	if (asked->up.dest.verbose)
		argv[n++] = "-v";
	execvp(program, (char *const *)argv);
	fprintf(stderr, "vmferry: the move of %s came to this host, and cannot be settled: cannot run %s: %s\n", asked->vm, program,
		strerror(errno));
	return EXIT_UNDECIDED;
}

/* Another `recover` settled it meanwhile: reads the outcome from its .done journal. */
static int settled_meanwhile(const struct attempt *a)
{
	enum handoff_state state;
	struct journal *j;
	struct err e;

	if (journal_look_finished(&j, a->path, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_UNDECIDED;
	}
	state = journal_last_state(j);
	journal_close(j);
	return state == HO_SRC_RELEASED ? EXIT_DESTINATION : EXIT_SOURCE;
}

/* The pid that was typed may be another guest's by now: of that one's only its name is left. */
static const char *guest_to_move(const json_t *begin, const json_t *move)
{
	AUTO_FREE char *boot = boot_id();
	const char *vm = json_text(move, "vm"), *then = json_text(begin, "boot_id");
	uint64_t start;

	if (!text_is_digits(vm))
		return vm;
	return boot && then && !strcmp(boot, then) && !process_start_time((pid_t)atoi(vm), &start) &&
			       (json_int_t)start == json_integer_value(json_object_get(begin, "start_time"))
		       ? vm
		       : json_text(begin, "guest");
}

/* True if the guest's QEMU has ended, and the guest was started again. */
static bool runs_again(const char *vm)
{
	struct guest g;
	struct err e;
	int r = vm ? guest_find(&g, vm, &e) : -1;

	if (!r)
		guest_fini(&g);
	return !r;
}

/* The move that begins so is begun again: its guest is here, and free to go. code: with which it was settled. */
static int resume(const struct asked *asked, const json_t *begin, int code)
{
	const struct move_taken_up *u = &asked->up;
	const json_t *move = json_object_get(begin, "move");
	const struct again_change change = {u->dest.where, guest_to_move(begin, move), asked->way, u->life.json, u->dest.verbose};

	if (code != EXIT_SOURCE && code != EXIT_LEFTOVERS && code != EXIT_NOWHERE)
		return code;
	if (code == EXIT_NOWHERE && !runs_again(change.vm)) {
		fprintf(stderr, "vmferry: no guest %s runs here: start it, then give this command again\n", asked->vm);
		return code;
	}
	if (move) {
		fprintf(stderr, "vmferry: beginning the move of %s again\n", asked->vm);
		return again_run(move, &change);
	}
	fprintf(stderr, "vmferry: the command that began the move of %s is not in its journal: give it again, with --keep-partial\n",
		asked->vm);
	return code;
}

/* The destination has not heard of it: it would refuse another. */
static bool is_unsettled(const char *path)
{
	struct journal *j;
	struct err e;
	bool yes;

	if (journal_look(&j, path, &e))
		return false;
	yes = !journal_last_note(j, "over");
	journal_close(j);
	return yes;
}

static int refuse_resuming(const struct attempt *a)
{
	fprintf(stderr,
		"vmferry: %s was not begun with --keep-partial: nothing of it is kept that could be gone on with. `vmferry recover %s` settles it\n",
		a->kind->name, member(a, "guest"));
	return EXIT_REFUSED;
}

/* The attempt's agent answers at the socket of its guest, and has its journal, so it is not waited for. */
static bool answers(const struct asked *asked, const struct attempt *a)
{
	json_auto_t *status = control_status_within(asked->up.life.runtime_dir, (pid_t)pid_of(a), CONTROL_SOON_S);

	return !strcmp(json_text(status, "attempt") ?: "", a->id);
}

static int refuse_under_way(const struct attempt *a)
{
	AUTO_FREE char *guest = shell_quote_shown(member(a, "guest"));

	fprintf(stderr, "vmferry: guest %s: %s is still under way: vmferry status %s\n", guest, a->kind->name, guest);
	return EXIT_REFUSED;
}

static int settle(const struct asked *asked, const struct attempt *a)
{
	bool resumes = asked->up.resumes;
	struct journal *j;
	struct err e;
	int r;

	if (resumes && !json_object_get(a->begin, "keep_partial_s"))
		return refuse_resuming(a);
	if (answers(asked, a))
		return refuse_under_way(a);
	r = life_take_journal(&j, a->path, NULL, NULL, &e);
	if (r) {
		if (r == -ENOENT)
			return settled_meanwhile(a);
		if (r == -EBUSY)
			return refuse_under_way(a);
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_UNDECIDED;
	}
	r = a->kind->recover(&asked->up, a->begin, j);
	if (!resumes)
		return r;
	if ((r == EXIT_LEFTOVERS || r == EXIT_NOWHERE) && is_unsettled(a->path)) {
		fprintf(stderr,
			"vmferry: the move is not begun again before the destination can be reached: then give this command once more\n");
		return r;
	}
	return resume(asked, a->begin, r);
}

/* A name must mean exactly one move. */
static int refuse_several(const struct attempts *all, const char *vm)
{
	fprintf(stderr, "vmferry: more than one unfinished move is called %s; say which by its pid or its attempt:\n", vm);
	for (size_t i = 0; i < all->n; i++) {
		AUTO_FREE char *text = attempt_text(&all->list[i]);

		fprintf(stderr, "  %s\n", text);
	}
	return EXIT_REFUSED;
}

/* Removes what is kept at the destination of a move that has ended, or of disks that were copied ahead. 1: nothing is kept. */
static int drop_kept(const struct asked *asked, bool within_host)
{
	AUTO_FREE char *path = NULL;
	struct move_taken_up m;
	json_t *begin;
	struct err e;
	int r;

	if (again_find(&begin, &path, asked->up.life.state_dir, asked->vm, &e))
		return 1;
	if (within_host && strcmp(json_text(begin, "dest") ?: "", "local")) {
		json_decref(begin);
		return 1;
	}
	m = move_taken_up_of(&asked->up, begin);
	r = move_drop_kept(&m, path, &e);
	if (r)
		fprintf(stderr, "vmferry: what is kept at %s of the disks of %s cannot be removed: %s\n", m.dest.where, asked->vm, e.msg);
	else
		fprintf(stderr, "removed what was kept at %s of the disks of %s\n", m.dest.where, asked->vm);
	json_decref(begin);
	return r;
}

/* Moves to this host that have not ended are told of, not settled, as the source of each may be about to go on. True if there is one. */
static bool tell_of_arrivals(const struct attempts *all)
{
	bool any = false;
	struct err e;

	for (size_t i = 0; i < all->path_count; i++) {
		struct attempt a = {.path = all->paths[i]};

		if (!journal_path_is(a.path, false) || attempt_peek(&a, &e))
			continue;
		if (!leaves_here(all, a.id)) {
			AUTO_FREE char *guest = shell_quote_shown(member(&a, "guest"));
			AUTO_FREE char *text = arrival_text(&a);

			fprintf(stderr, "a move to this host has not ended: %s. It is settled here by: vmferry recover %s\n", text, guest);
			any = true;
		}
		json_decref(a.begin);
	}
	return any;
}

/* Settles what has no journal of a move: an export that was cut off has none, but the guest's QEMU shows it. */
static int settle_others(const struct asked *asked, bool others_told)
{
	const char *vm = asked->vm;
	unsigned removed;
	struct err e;
	int kept;

	if (vm && export_recover(vm, &removed, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_LEFTOVERS;
	}
	if (vm && removed)
		fprintf(stderr, "removed from the QEMU of %s what an export that was cut off had left there\n", vm);
	kept = vm ? drop_kept(asked, false) : 1;
	if (kept == 1 && !(vm && removed) && !others_told)
		fprintf(stderr, "nothing to recover%s%s\n", vm ? " for " : "", vm ? vm : "");
	return kept < 0 ? EXIT_LEFTOVERS : 0;
}

/* Resumes a move that its own agent has rolled back, so that nothing is left to settle. */
static int resume_finished(const struct asked *asked)
{
	json_t *begin;
	struct err e;
	int r = again_find(&begin, NULL, asked->up.life.state_dir, asked->vm, &e);

	if (r) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_REFUSED;
	}
	r = resume(asked, begin, EXIT_SOURCE);
	json_decref(begin);
	return r;
}

/* Counts journals that a guest's name could mean; others are settled together. */
static size_t count_exclusive(const struct attempts *all)
{
	size_t n = 0, i;

	for (i = 0; i < all->n; i++)
		n += !all->list[i].kind->apart;
	return n;
}

/* A move within this host has both journals here: what it kept is removed first. Anything else that arrives is settled by the agent that it came to. */
static int settle_arriving(const struct asked *asked)
{
	struct attempts all = {NULL, 0, NULL, 0};
	int kept = asked->up.fenced ? 1 : drop_kept(asked, true);
	size_t unread = 0;
	struct err e;
	bool arrives;

	if (kept < 0)
		return EXIT_LEFTOVERS;
	arrives = kept || attempts_find(&all, asked->up.life.state_dir, asked->vm, &unread, &e) || arrives_here(&all, asked->vm);
	attempts_free(&all);
	return arrives ? become_the_destination(asked) : 0;
}

/* The report names its guest, where the user has named none. */
static int settle_one(const struct asked *asked, const struct attempt *a)
{
	AUTO_FREE char *text = attempt_text(a);

	if (!asked->vm)
		fprintf(stderr, "vmferry: recovering %s\n", text);
	return settle(asked, a);
}

static int settle_all(const struct asked *asked)
{
	bool fenced = asked->up.fenced;
	const char *vm = asked->vm;
	struct attempts all = {NULL, 0, NULL, 0};
	size_t i, unread = 0;
	bool others_told;
	struct err e;
	int code, worst = 0;

	if (attempts_find(&all, asked->up.life.state_dir, vm, &unread, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_UNDECIDED;
	}
	if (vm && count_exclusive(&all) > 1) {
		worst = refuse_several(&all, vm);
	} else if (fenced && all.n && arrives_here(&all, vm)) {
		fprintf(stderr,
			"vmferry: %s is being moved from this host, and a guest of that name to it. Of which other host do you vouch? Say the "
			"attempt (vmferry journal)\n",
			vm);
		worst = EXIT_REFUSED;
	} else if (asked->up.resumes && !all.n && !unread) {
		worst = resume_finished(asked);
	} else if (vm && !all.n && arrives_here(&all, vm)) {
		worst = settle_arriving(asked);
	} else {
		for (i = 0; i < 2 * all.n; i++) {
			const struct attempt *a = &all.list[i % all.n];

			code = a->kind->last == (i >= all.n) ? settle_one(asked, a) : 0;
			worst = MAX(worst, code);
		}
		others_told = !vm && tell_of_arrivals(&all);
		if (unread && !(vm && all.n)) /* the user may mean an unreadable one */
			worst = EXIT_UNDECIDED;
		else if (!all.n)
			worst = fenced ? EXIT_REFUSED : settle_others(asked, others_told);
		if (!all.n && !unread && fenced)
			fprintf(stderr, "nothing to recover for %s\n", vm);
	}
	attempts_free(&all);
	return worst;
}

#define MEMBER(name) offsetof(struct asked, up.name)

static const struct command_option rows[] = {
	{"resume", NULL,
	 "then the move is begun again, as it was, and goes on with what the destination has kept of its disks (migrate --keep-partial); "
	 "memory starts anew. Without it nothing is kept any more. Needs VM",
	 OPT_FLAG, .offset = MEMBER(resumes), .once = true},
	{"peer-is-fenced", NULL,
	 "the destination will never run the guest (it is destroyed, or switched off for good, or you know what became of its QEMU): take "
	 "the guest back unless the destination answers and says that it runs there. If that is not true, the guest may run twice and its "
	 "disks be ruined. Needs VM",
	 OPT_FLAG, .offset = MEMBER(fenced), .once = true},
	{"not-started-here", NULL,
	 "the guest certainly was not started here again, nor its disks written, since it was handed over, which a disk cannot say that does not tell "
	 "when it was written (a block device, after a reboot), or that got another owner, mode or name; needs VM",
	 OPT_FLAG, .offset = MEMBER(not_started), .once = true},
	{"dest", "DEST", "where the destination agent is now, if not where it was", OPT_TEXT, .offset = MEMBER(dest.where), .once = true},
	{"json", NULL, "events as NDJSON on standard output", OPT_FLAG, .offset = MEMBER(life.json), .once = true},
	{"verbose", NULL, "say what is done, and show the result with all details", OPT_FLAG, .offset = MEMBER(dest.verbose), .letter = 'v',
	 .once = true},
	{.name = NULL},
};

/* Remembers the option for `--resume`. */
static void keep_way(void *into, const struct command_option *row, const char *arg)
{
	again_option(((struct asked *)into)->way, row, arg);
}

static const struct option_table tables[] = {{rows, 0},
					     {dest_login_rows, MEMBER(dest)},
					     {dest_ssh_rows, MEMBER(dest)},
					     {dest_standing_rows, MEMBER(dest)},
					     {NULL, 0}};

int cmd_recover(int argc, char **argv)
{
	static const struct command_usage usage =
		{"vmferry recover", before, after, tables, .words = "one guest, or none for all of them", .most = 1, .taken = keep_way};
	AUTO_FREE char *state = NULL;
	AUTO_FREE char *runtime = NULL;
	json_auto_t *way = again_new();
	struct asked asked = {.way = way};
	struct move_taken_up *u = &asked.up;
	struct err e;
	int first, r = command_take(&usage, argc, argv, &asked, &first);

	if (r)
		return MAX(r, 0);
	asked.vm = argv[first];
	if ((u->fenced || u->not_started || u->resumes) && !asked.vm) {
		fprintf(stderr, "vmferry recover: %s: say which guest, as that is %s (--help tells more)\n",
			u->fenced	 ? "--peer-is-fenced"
			: u->not_started ? "--not-started-here"
					 : "--resume",
			u->resumes && !u->fenced && !u->not_started ? "done with one move" : "true of one move");
		return EXIT_USAGE;
	}
	if (u->fenced && u->resumes) {
		fputs("vmferry recover: a destination that is gone for good has kept nothing: --peer-is-fenced or --resume\n", stderr);
		return EXIT_USAGE;
	}
	log_init("src", u->dest.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 2);
	r = state_dir_get(&state, NULL, &e) ?: runtime_dir_get(&runtime, NULL, &e);
	if (r) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_UNDECIDED;
	}
	u->life.state_dir = state;
	u->life.runtime_dir = runtime;
	r = settle_all(&asked);
	control_sweep(runtime);
	attach_sweep(runtime);
	return r;
}

/* An unfinished journal as --json shows it: guest, attempt, to or from, pid, path; of one that cannot be read the path alone. */
static json_t *journal_json(const struct attempt *a)
{
	json_t *o = json_pack("{s:s}", "path", a->path);

	if (!a->begin)
		return o;
	json_object_set_new(o, "guest", json_string(member(a, "guest")));
	json_object_set_new(o, "attempt", json_string(a->id));
	if (!journal_path_is(a->path, true)) {
		json_object_set_new(o, "from", json_string(member(a, "from")));
		return o;
	}
	json_object_set_new(o, "to", json_string(life_goes_to(a->begin)));
	if (pid_of(a))
		json_object_set_new(o, "pid", json_integer(pid_of(a)));
	return o;
}

static void journal_line(const struct attempt *a)
{
	AUTO_FREE char *text = NULL;

	if (a->begin)
		text = journal_path_is(a->path, true) ? attempt_text(a) : arrival_text(a);
	printf("%s%s%s\n", text ? text : "", text ? ": " : "", a->path);
}

/* Lists unfinished journals: the guest and the other host of each, in the words that recover takes. A journal that cannot be read is named alone. */
static void list_journals(char **paths, size_t n, bool as_json)
{
	struct attempt a;
	struct err e;

	for (size_t i = 0; i < n; i++) {
		a = (struct attempt){.path = paths[i]};
		if (attempt_peek(&a, &e)) {
			json_decref(a.begin);
			a.begin = NULL;
		}
		if (as_json) {
			json_auto_t *o = journal_json(&a);

			json_text_print(o);
		} else {
			journal_line(&a);
		}
		json_decref(a.begin);
	}
}

struct journal_command {
	bool json;
};

int cmd_journal(int argc, char **argv)
{
	static const struct command_option rows_of_journal[] = {{"json", NULL, "the unfinished ones, an object a line (docs/automation.md)",
								 OPT_FLAG, .offset = offsetof(struct journal_command, json)},
								{.name = NULL}};
	static const struct option_table tables_of_journal[] = {{rows_of_journal, 0}, {NULL, 0}};
	static const struct command_usage usage = {"vmferry journal",
						   "usage: vmferry journal [FILE]\n"
						   "       vmferry journal --json\n"
						   "\n"
						   "Prints a journal; without FILE, lists the unfinished ones.\n"
						   "\n",
						   .tables = tables_of_journal, .words = "one journal, or none to list them", .most = 1};
	struct journal_command asked = {0};
	AUTO_FREE char *state = NULL;
	char **paths;
	size_t n;
	struct err e;
	int first, r = command_take(&usage, argc, argv, &asked, &first);

	if (r)
		return r == COMMAND_HELPED ? 0 : r;
	if (argv[first] && asked.json) {
		fputs("vmferry journal: --json lists the unfinished journals; FILE is printed as it is\n", stderr);
		return EXIT_USAGE;
	}
	if (argv[first]) {
		if (!journal_dump(argv[first], stdout, &e))
			return 0;
	} else if (!state_dir_get(&state, NULL, &e) && !journal_list(state, &paths, &n, &e)) {
		list_journals(paths, n, asked.json);
		if (!n && !asked.json)
			fputs("no move of this host is unfinished (vmferry history shows how the last ones ended)\n", stderr);
		journal_list_free(paths, n);
		return 0;
	}
	fprintf(stderr, "vmferry: %s\n", e.msg);
	return EXIT_SOURCE;
}
