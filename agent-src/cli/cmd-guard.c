/* cmd-guard.c: what the guard runs (guard.h). It is no command of the user's. */
#include "cmd.h"
#include "guard.h"
#include "journal.h"
#include "log.h"
#include "move.h"
#include "storage.h"
#include "util.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* The journal of `vmferry storage`. */
static bool is_of_disks(const char *path)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	json_t *begin;
	struct err e;
	bool yes;

	if (journal_peek(path, id, &begin, &e))
		return false;
	yes = storage_has_begun(begin);
	json_decref(begin);
	return yes;
}

/* argv: JOURNAL RUNTIME_DIR PATIENCE_S; standard input: a socket that ends with the agent (keep.h). */
int cmd_guard(int argc, char **argv)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGTSTP, SIGTTOU, SIGTTIN};
	struct move_options o = {.max_downtime_ms = 300, .carry.channels = 1};
	AUTO_FREE char *state = NULL;
	struct keep *kept;
	bool of_disks;
	size_t i;

	if (argc != 4)
		return EXIT_USAGE;
	for (i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	close_range(3, ~0U, 0);
	prctl(PR_SET_NAME, "vmferry-guard");
	log_init("guard", LOG_LEVEL_ERROR, 2);
	of_disks = is_of_disks(argv[1]);
	kept = guard_wait(of_disks ? NULL : argv[1], (unsigned)atoi(argv[3]));
	if (!kept)
		return 0;
	state = xstrndup(argv[1], (size_t)(strrchr(argv[1], '/') - argv[1]));
	o.state_dir = state;
	o.runtime_dir = argv[2];
	if (of_disks) {
		guard_let_go(kept);
		return storage_guard(&(struct storage_options){.life = {.state_dir = state, .runtime_dir = argv[2]}}, argv[1]);
	}
	return move_guard(&o, argv[1], kept);
}
