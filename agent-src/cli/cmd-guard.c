/* cmd-guard.c: what the guard runs (guard.h). It is no command of the user's. */
#include "cmd.h"
#include "guard.h"
#include "journal-kinds.h"
#include "journal.h"
#include "lent-monitor.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

static bool take_up(const struct life_options *o, struct journal *j, struct keep *kept, struct err *words)
{
	const struct journal_kind *kind = journal_kind_of(journal_begin(j));

	if (kind && kind->guard)
		return kind->guard(o, j, kept, words);
	err_set(words, EBADMSG, "the journal %s is of nothing that a guard follows", journal_path(j));
	journal_close(j);
	return true;
}

/* NULL: it cannot be read. */
static json_t *begin_of(const char *journal)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	struct err ignored;
	json_t *begin;

	return journal_peek(journal, id, &begin, &ignored) ? NULL : begin;
}

/* The monitor that the dead agent had made in that QEMU, unless `recover` will need it: its journal is there then. */
static void return_lent(const char *state, const json_t *begin)
{
	json_int_t pid = json_integer_value(json_object_get(begin, "pid"));

	if (pid)
		lent_undo_dead(state, (pid_t)pid, (uint64_t)json_integer_value(json_object_get(begin, "start_time")));
}

/* argv: JOURNAL RUNTIME_DIR PATIENCE_S; standard input: a socket that ends with the agent (keep.h). */
int cmd_guard(int argc, char **argv)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGTSTP, SIGTTOU, SIGTTIN};
	AUTO_FREE char *state = NULL;
	json_auto_t *begin = NULL;
	struct keep *kept;
	int code;

	if (argc != 4)
		return EXIT_USAGE;
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	close_range(3, ~0U, 0);
	prctl(PR_SET_NAME, "vmferry-guard");
	log_init("guard", LOG_LEVEL_ERROR, 2);
	kept = guard_wait(argv[1], (unsigned)atoi(argv[3]));
	if (!kept)
		return 0;
	state = xstrndup(argv[1], (size_t)(strrchr(argv[1], '/') - argv[1]));
	begin = begin_of(argv[1]);
	code = guard_settle(argv[1], kept, take_up, &(struct life_options){.state_dir = state, .runtime_dir = argv[2]});
	return_lent(state, begin);
	return code;
}
