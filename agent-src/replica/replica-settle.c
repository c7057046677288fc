/* replica-settle.c: see replica-settle.h. */
#include "replica-settle.h"
#include "exit-code.h"
#include "journal.h"
#include "json-text.h"
#include "program-run.h"
#include "program.h"
#include "util.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* Runs recover in a process of its own, as anybody might; its output is of interest only if it fails. */
static void recover(const struct replica_conf *c, const char *attempt)
{
	AUTO_FREE char *program = program_beside("vmferry");
	char *argv[] = {program, (char *)"recover", (char *)attempt, NULL};
	const struct program_run run = {.argv = argv};
	int status, r;
	struct err e;

	replica_conf_pass_on(c);
	r = program_run(&run, &status, &e);
	if (r || !WIFEXITED(status) || (WEXITSTATUS(status) != EXIT_SOURCE && WEXITSTATUS(status)))
		fprintf(stderr, "vmferry: a point that was cut off is not settled yet (vmferry recover %s)\n", attempt);
}

/* A point, or a move to where the replica is. */
static bool is_of_replica(const json_t *begin)
{
	return !strcmp(json_text(begin, "how") ?: "", "replica") || json_is_true(json_object_get(begin, "to_replica"));
}

void replica_settle_earlier(const struct replica_conf *c, const char *guest)
{
	char id[2 * ATTEMPT_ID_LEN + 1], **paths;
	json_t *begin;
	size_t n, i;
	struct err e;

	if (journal_list(c->state_dir, &paths, &n, &e))
		return;
	for (i = 0; i < n; i++) {
		if (!journal_path_is(paths[i], true) || journal_peek(paths[i], id, &begin, &e))
			continue;
		if (is_of_replica(begin) && !strcmp(json_text(begin, "guest") ?: "", guest))
			recover(c, id);
		json_decref(begin);
	}
	journal_list_free(paths, n);
}
