/* child.c: see child.h. */
#include "child.h"
#include "life.h"
#include "program-run.h"
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define SAID_MAX 600

struct said {
	char text[SAID_MAX + 1]; /* the last of it */
	size_t n;
};

static void hear(void *ctx, const char *text, size_t n)
{
	struct said *s = ctx;
	size_t drop;

	if (n > SAID_MAX) {
		text += n - SAID_MAX;
		n = SAID_MAX;
	}
	drop = s->n + n > SAID_MAX ? s->n + n - SAID_MAX : 0;
	memmove(s->text, s->text + drop, s->n - drop);
	s->n -= drop;
	memcpy(s->text + s->n, text, n);
	s->n += n;
	s->text[s->n] = '\0';
}

/* *said: the last of what it said. */
static int judge_end(const char *program, int status, struct said *said, struct err *e)
{
	int by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	while (said->n && said->text[said->n - 1] == '\n')
		said->text[--said->n] = '\0';
	text_make_printable(said->text, false);
	if (by == SIGXCPU || by == SIGXFSZ)
		return err_set(e, EIO, "%s was ended, as it %s", program,
			       by == SIGXCPU ? "took too much time" : "was about to write more than such an image can take");
	if (by)
		return err_set(e, EIO, "%s was ended by signal %d%s%s", program, by, said->n ? ": " : "", said->text);
	return WEXITSTATUS(status) ? err_set(e, EIO, "%s failed: %s", program, said->n ? said->text : "no message") : 0;
}

int child_run(char *const *argv, program_said_fn output, void *ctx, struct err *e)
{
	return child_run_in(argv, NULL, NULL, output, ctx, e);
}

int child_run_in(char *const *argv, program_before_fn before, void *before_ctx, program_said_fn output, void *ctx, struct err *e)
{
	struct said said = {.text = ""};
	const struct program_run run = {.argv = argv,
					.output = output,
					.output_ctx = ctx,
					.error = hear,
					.error_ctx = &said,
					.before = before,
					.before_ctx = before_ctx,
					.how = PROGRAM_DIES_WITH_US | PROGRAM_INHERITS,
					.stop = life_interrupted};
	int status, r = life_interrupted() ? -ECANCELED : program_run(&run, &status, e);

	if (life_interrupted())
		return err_set(e, ECANCELED, "interrupted");
	return r ?: judge_end(argv[0], status, &said, e);
}
