/* replica-planned.c: see replica-planned.h. */
#include "replica-planned.h"
#include "replica-note.h"
#include "exit-code.h"
#include "log.h"
#include "move.h"
#include "program-run.h"
#include "util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void pass_on(void *ctx, const char *text, size_t n)
{
	(void)ctx;
	fwrite(text, 1, n, stdout);
	fflush(stdout); /* the move's output takes another way */
}

static void pass_error(void *ctx, const char *text, size_t n)
{
	(void)ctx;
	fwrite(text, 1, n, stderr);
}

/* The last point, so that little is left to travel; in a process of its own, as the move is another attempt. */
static int make_last_point(const struct replica_conf *c, const char *guest)
{
	AUTO_FREE char *program = program_beside("vmferry");
	char *argv[] = {program, (char *)"replica", (char *)"sync", (char *)guest, NULL};
	const struct program_run run = {.argv = argv, .output = c->o.events.json ? NULL : pass_on, .error = pass_error};
	int status;
	struct err e;

	replica_conf_pass_on(c);
	if (program_run(&run, &status, &e))
		return replica_say(&e);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_REFUSED;
}

int replica_planned(struct replica_conf *c, const char *guest)
{
	struct err e;
	int code, turn;

	if (replica_conf_load(c, guest, &e))
		return replica_say(&e);
	code = make_last_point(c, guest);
	if (code) {
		fprintf(stderr, "vmferry: guest %s does not go to its replica: no point could be made there (vmferry replica sync %s)\n",
			guest, guest);
		return code;
	}
	turn = replica_take_turn(c->settings_dir, guest);
	log_init("src", c->o.dest.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 2);
	replica_conf_set_up(c, guest, c->shuts_down ? HOW_WARM : HOW_LIVE);
	c->sync.planned = true;
	code = move_run(&c->o);
	close(turn);
	json_decref(c->sync.outcome.disks);
	c->sync.outcome.disks = NULL;
	if (code == EXIT_REFUSED && !c->shuts_down)
		fprintf(stderr,
			"vmferry: a guest that cannot go to its replica as it runs can go there shut down, with nothing lost: vmferry replica failover %s "
			"--planned --how warm (a guest of libvirt's, or one that has shut down already: \"Go there shut down\" in replica.md)\n",
			guest);
	if (code)
		return code;
	if (!c->o.events.json)
		printf("\nThere, it runs on overlays of its newest point: vmferry replica failover %s --complete, given there, makes disks of its own "
		       "of them.\n",
		       guest);
	return 0;
}
