/* cmd-guard.c: what the guard runs (guard.h). It is no command of the user's. */
#include "cmd.h"
#include "guard.h"
#include "log.h"
#include "move.h"
#include "util.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

/* argv: JOURNAL RUNTIME_DIR; standard input: a socket that ends with the agent (keep.h). */
int cmd_guard(int argc, char **argv)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGTSTP, SIGTTOU, SIGTTIN};
	struct move_options o = {.max_downtime_ms = 300, .carry.channels = 1};
	AUTO_FREE char *state = NULL;
	struct keep *kept;
	size_t i;

	if (argc != 3)
		return EXIT_USAGE;
	for (i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	close_range(3, ~0U, 0);
	prctl(PR_SET_NAME, "vmferry-guard");
	kept = guard_wait();
	if (!kept)
		return 0;
	log_init("guard", LOG_LEVEL_ERROR, 2);
	state = strndup(argv[1], (size_t)(strrchr(argv[1], '/') - argv[1]));
	o.state_dir = state;
	o.runtime_dir = argv[2];
	return move_guard(&o, argv[1], kept);
}
