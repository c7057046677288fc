/* test-text-wrap.c: lines that are broken between words for a terminal. */
#include "text-wrap.h"
#include "util.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_wrapped(const char *text, const char *wanted)
{
	AUTO_FREE char *got = text_wrap(text, 30);

	assert_string_equal(got, wanted);
}

static void assert_folded(const char *text, const char *wanted)
{
	AUTO_FREE char *got = text_fold(text, 30);

	assert_string_equal(got, wanted);
}

static void what_fits_stays_as_it_is(void **state)
{
	AUTO_FREE char *as_it_is = text_wrap("this one has more than thirty letters, but no terminal", 0);

	(void)state;
	assert_wrapped("123456789 123456789 1234567890", "123456789 123456789 1234567890");
	assert_wrapped("a\n\nb\n", "a\n\nb\n");
	assert_wrapped("", "");
	assert_string_equal(as_it_is, "this one has more than thirty letters, but no terminal");
}

/* Each row is full, so that the terminal knows that the next one goes on with it. */
static void a_row_is_filled_and_the_line_goes_on(void **state)
{
	(void)state;
	assert_wrapped("refused: the directory /srv/vm does not exist\nnext", "refused: the directory /srv/vm"
									      "  does not exist\nnext");
	assert_wrapped("123456789 123456789 1234567890 more", "123456789 123456789 1234567890"
							      "  more");
	assert_wrapped("123456789 123456789 123456789 more", "123456789 123456789 123456789 "
							     "  more");
}

static void what_follows_stands_below_the_cell(void **state)
{
	(void)state;
	assert_wrapped("  disk     /a (raw) is brought -> /b", "  disk     /a (raw) is brought"
							       "           -> /b");
	assert_wrapped("NAME  PID  a cell that is rather long", "NAME  PID  a cell that is     "
								"           rather long");
}

/* A path that no row has room for stays whole, and is broken where the row ends. */
static void a_long_word_is_not_pushed_on(void **state)
{
	(void)state;
	assert_wrapped("see /this/is/a/path/that/is/longer/than/a/row there it is",
		       "see /this/is/a/path/that/is/longer/than/a/row there it is");
	assert_wrapped("see /this/is/a/path/that/is/longer/than/a/row there it is told",
		       "see /this/is/a/path/that/is/longer/than/a/row there it is   "
		       "  told");
}

static void colours_take_no_room(void **state)
{
	(void)state;
	assert_wrapped("\033[32mmigrated\033[0m: it runs at another host", "\033[32mmigrated\033[0m: it runs at another  "
									   "  host");
	assert_wrapped(
		"\303\244\303\266\303\274 \303\244\303\266\303\274 \303\244\303\266\303\274 \303\244\303\266\303\274 \303\244\303\266\303\274 \303\244\303\266\303\274 \303\244\303\266\303\274",
		"\303\244\303\266\303\274 \303\244\303\266\303\274 \303\244\303\266\303\274 \303\244\303\266\303\274 \303\244\303\266\303\274 \303\244\303\266\303\274 \303\244\303\266\303\274");
}

static void json_is_not_broken(void **state)
{
	(void)state;
	assert_wrapped("{\"event\": \"notice\", \"text\": \"a b c d e f\"}", "{\"event\": \"notice\", \"text\": \"a b c d e f\"}");
	assert_wrapped("  \"text\": \"a sentence of many words\",", "  \"text\": \"a sentence of many words\",");
	assert_wrapped("  [USER@]HOST is where it goes to", "  [USER@]HOST is where it goes"
							    "    to");
}

static void a_folded_line_has_newlines(void **state)
{
	(void)state;
	assert_folded("Moves a guest, with its memory and its disks.\n", "Moves a guest, with its memory\nand its disks.\n");
	assert_folded("  --how HOW    live: it runs on meanwhile", "  --how HOW    live: it runs\n               on meanwhile");
}

/* Prints by stdio at a terminal of 40 columns. */
static void streams_are_broken_at_a_terminal(void **state)
{
	char seen[256] = "", *path = NULL;
	struct winsize w = {.ws_row = 24, .ws_col = 40};
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, status;
	size_t n = 0;
	ssize_t r;
	pid_t pid;

	(void)state;
	assert_true(master >= 0 && !grantpt(master) && !unlockpt(master) && (path = ptsname(master)));
	slave = open(path, O_RDWR | O_NOCTTY);
	assert_true(slave >= 0 && !ioctl(slave, TIOCSWINSZ, &w));
	pid = fork();
	if (!pid) {
		setenv("TERM", "xterm", 1);
		dup2(slave, 1);
		text_wrap_streams();
		printf("%s that are many, and some %s\n", "words", "more than forty columns");
		fflush(stdout);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(slave);
	while (n < sizeof(seen) - 1 && (r = read(master, seen + n, sizeof(seen) - 1 - n)) > 0)
		n += (size_t)r;
	close(master);
	assert_string_equal(seen, "words that are many, and some more than   forty columns\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_stays_as_it_is),
		cmocka_unit_test(a_row_is_filled_and_the_line_goes_on),
		cmocka_unit_test(what_follows_stands_below_the_cell),
		cmocka_unit_test(a_long_word_is_not_pushed_on),
		cmocka_unit_test(colours_take_no_room),
		cmocka_unit_test(json_is_not_broken),
		cmocka_unit_test(a_folded_line_has_newlines),
		cmocka_unit_test(streams_are_broken_at_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
