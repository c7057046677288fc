/*
 * to-bench.c: `vmferry bench`, and `vmferry report` of a run: both are vmferry-bench's, a program that lies beside this one. It takes the
 * command as it was given.
 */
#include "cmd.h"
#include "program.h"
#include "report-command.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Returns only if it cannot be run. */
static int run_bench(int argc, char **argv)
{
	AUTO_FREE char *program = program_beside("vmferry-bench");
	AUTO_FREE char **words = xcalloc((size_t)argc + 2, sizeof(*words));

	words[0] = program;
	memcpy(words + 1, argv, (size_t)argc * sizeof(*words));
	execv(program, words);
	fprintf(stderr,
		"vmferry: cannot run %s, which measures moves and makes the page of a measurement: %s. It comes with vmferry: install it "
		"again, or copy vmferry-bench there\n",
		program, strerror(errno));
	return 1;
}

int cmd_bench(int argc, char **argv)
{
	return run_bench(argc, argv);
}

int cmd_report(int argc, char **argv)
{
	int r = report_command(argc, argv, NULL);

	return r == REPORT_OF_RUN ? run_bench(argc, argv) : r;
}
