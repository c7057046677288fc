/*
 * test-report-progress.c: the block of progress on a terminal of any size: each one is written over the one before, whole, and
 * nothing of that stays. A terminal is played here, with rows that lines go on in, and that leave at its top.
 */
#include "log.h"
#include "report-progress.h"
#include "report.h"
#include "util.h"

#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS_MAX 128
#define COLS_MAX 256

struct screen {
	char cell[ROWS_MAX][COLS_MAX + 1];
	int rows, cols, row, col;
	unsigned gone; /* rows that left at the top */
};

static void begin(struct screen *s, int cols, int rows)
{
	int i;

	*s = (struct screen){.rows = rows, .cols = cols};
	for (i = 0; i < rows; i++)
		memset(s->cell[i], ' ', (size_t)cols);
	assert_int_equal(ioctl(2, TIOCSWINSZ, &(struct winsize){.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols}), 0);
}

static void next_row(struct screen *s)
{
	s->col = 0;
	if (++s->row < s->rows)
		return;
	s->row--;
	s->gone++;
	memmove(s->cell[0], s->cell[1], sizeof(s->cell[0]) * (size_t)(s->rows - 1));
	memset(s->cell[s->rows - 1], ' ', (size_t)s->cols);
}

static void letter(struct screen *s, char c, int width)
{
	if (s->col + width > s->cols)
		next_row(s);
	for (; width--; s->col++)
		s->cell[s->row][s->col] = c;
}

static const char *escape(struct screen *s, const char *p)
{
	int n = 0;

	for (p += 2; *p >= '0' && *p <= '9'; p++)
		n = n * 10 + *p - '0';
	if (*p == 'F')
		s->row = MAX(s->row - n, 0), s->col = 0;
	else if (*p == 'K' || *p == 'J')
		memset(s->cell[s->row] + MIN(s->col, s->cols - 1), ' ', (size_t)(s->cols - MIN(s->col, s->cols - 1)));
	else
		fail_msg("which escape is this: %.5s", p);
	for (n = s->row + 1; *p == 'J' && n < s->rows; n++)
		memset(s->cell[n], ' ', (size_t)s->cols);
	return p + 1;
}

static void writes(struct screen *s, const char *p)
{
	while (*p) {
		if (*p == '\033') {
			p = escape(s, p);
		} else if (*p == '\n') {
			next_row(s);
			p++;
		} else if ((unsigned char)*p < 0x80) {
			letter(s, *p++, 1);
		} else { /* e.g. a Chinese letter, of three bytes */
			assert_true((unsigned char)*p >= 0xc0 && p[1] && p[2]);
			letter(s, '#', (unsigned char)*p >= 0xe2 ? 2 : 1);
			for (p++; ((unsigned char)*p & 0xc0) == 0x80;)
				p++;
		}
	}
}

static void shows(struct screen *s, const json_t *ev, int *lines)
{
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	report_progress_block(f, ev, true, lines);
	fclose(f);
	writes(s, text);
	free(text);
}

static unsigned rows_with(const struct screen *s, const char *what)
{
	unsigned n = 0;
	int i;

	for (i = 0; i < s->rows; i++)
		n += strstr(s->cell[i], what) != NULL;
	return n;
}

static json_t *progress(unsigned disks, const char *name)
{
	json_t *list = json_array();
	unsigned i;

	for (i = 0; i < disks; i++)
		json_array_append_new(list, json_pack("{s:s,s:i,s:i,s:f}", "name", name, "round", 10, "left", 123456789, "percent", 5.0));
	return json_pack("{s:s,s:s,s:I,s:f,s:f,s:f,s:b,s:o,s:i,s:i}", "event", "progress", "stage", "switchover", "left",
			 (json_int_t)1 << 50, "rate_bps", 1.1e8, "eta_s", 123456.0, "predicted_downtime_ms", 99999.0, "held", 1, "disks",
			 list, "ram_left", 1 << 30, "ram_round", 100);
}

static void no_row_of_the_block_before_stays(void **state)
{
	static const char *const names[] =
		{"vm1.qcow2", "a-disk-with-a-name-that-is-longer-than-its-place.qcow2",
		 "\u78c1\u76d8\u78c1\u76d8\u78c1\u76d8\u78c1\u76d8\u78c1\u76d8\u78c1\u76d8\u78c1\u76d8\u78c1\u76d8"};
	static const unsigned disks[] = {0, 1, 3, 64};
	static const int sizes[][2] = {{80, 24}, {200, 50}, {40, 24}, {80, 67}, {80, 66}, {80, 5}, {20, 3}, {80, 2}, {3, 2}};
	struct screen *s = xmalloc(sizeof(*s));
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(names) * ARRAY_LEN(disks) * ARRAY_LEN(sizes); i++) {
		const int *size = sizes[i % ARRAY_LEN(sizes)];
		json_t *ev = progress(disks[i / ARRAY_LEN(sizes) % ARRAY_LEN(disks)], names[i / ARRAY_LEN(sizes) / ARRAY_LEN(disks)]);
		int lines = 0, k;
		unsigned gone;

		begin(s, size[0], size[1]);
		writes(s, "moving guest\n");
		shows(s, ev, &lines);
		gone = s->gone;
		for (k = 0; k < 3; k++)
			shows(s, ev, &lines);
		assert_int_equal(s->gone, gone);
		assert_int_equal(rows_with(s, size[0] > 20 ? "switchover " : "sw"), 1);
		assert_int_equal(s->row + 1 < s->rows ? rows_with(s, "moving guest") : 1, 1);
		json_decref(ev);
	}
	free(s);
}

static void disks_that_have_no_row_are_counted(void **state)
{
	struct screen *s = xmalloc(sizeof(*s));
	json_t *ev = progress(64, "vm1.raw");
	int lines = 0;

	(void)state;
	begin(s, 80, 24);
	shows(s, ev, &lines);
	assert_int_equal(lines, 23);
	assert_int_equal(rows_with(s, "vm1.raw"), 20);
	assert_int_equal(rows_with(s, "and 44 more disks"), 1);
	assert_int_equal(rows_with(s, "memory   round 100"), 1);
	json_decref(ev);
	free(s);
}

static void a_shorter_block_leaves_nothing_of_a_longer_one(void **state)
{
	struct screen *s = xmalloc(sizeof(*s));
	json_t *three = progress(3, "vm1.raw"), *one = progress(1, "vm1.raw");
	int lines = 0;

	(void)state;
	begin(s, 80, 24);
	shows(s, three, &lines);
	shows(s, one, &lines);
	assert_int_equal(rows_with(s, "vm1.raw"), 1);
	assert_int_equal(rows_with(s, "switchover "), 1);
	json_decref(three);
	json_decref(one);
	free(s);
}

/* Nor is there one where something else writes between, or the terminal knows no escapes; Ctrl-C asks all the same. */
static void a_block_is_for_terminals_that_can(void **state)
{
	struct report r;

	(void)state;
	setenv("TERM", "xterm", 1);
	report_init(&r, false, false);
	assert_true(r.tty && r.block && r.often);
	report_init(&r, true, false);
	assert_false(r.tty || r.block || r.often);
	setenv("TERM", "dumb", 1);
	report_init(&r, false, false);
	assert_true(r.tty && !r.block && !r.often);
	unsetenv("TERM");
	report_init(&r, false, false);
	assert_true(r.tty && !r.block && !r.often);
	setenv("TERM", "xterm", 1);
	log_init("src", LOG_LEVEL_INFO, 1);
	report_init(&r, false, false);
	assert_true(r.tty && !r.block && !r.often);
	log_init("src", LOG_LEVEL_ERROR, 1);
}

static int at_a_terminal(void **state)
{
	static int fds[3];

	if (openpty(&fds[0], &fds[1], NULL, NULL, NULL) || (fds[2] = dup(2)) < 0 || dup2(fds[1], 2) < 0)
		return -1;
	*state = fds;
	return 0;
}

static int as_before(void **state)
{
	int *fds = *state;

	dup2(fds[2], 2);
	close(fds[0]);
	close(fds[1]);
	close(fds[2]);
	return 0;
}

static void assert_line(json_t *ev, const char *expected)
{
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	report_progress_line(to, ev);
	fclose(to);
	assert_string_equal(text, expected);
	free(text);
	json_decref(ev);
}

static void a_guest_that_is_waited_for_is_not_said_to_be_copied(void **state)
{
	(void)state;
	assert_line(json_pack("{s:s,s:i,s:f,s:i}", "stage", "switchover", "left", 0, "rate_bps", 25.0, "shutdown_left_s", 52),
		    "switchover waiting for the guest to shut down, 52 s left\n");
	assert_line(json_pack("{s:s,s:i,s:f,s:b,s:b}", "stage", "copy", "left", 0, "rate_bps", 0.0, "held", 1, "waits_for_owner", 1),
		    "copy       waiting for the guest to be shut down\n");
}

static void whole_has_a_percent_and_how_long_it_has_taken(void **state)
{
	(void)state;
	assert_line(json_pack("{s:s,s:i,s:f,s:f,s:f,s:f}", "stage", "copy", "left", 1 << 30, "rate_bps", 1048576.0, "percent", 52.0, "t_ms",
			      12345.0, "eta_s", 14.0),
		    "copy       12 s  52% [#####     ]  1.0 GiB left, 1.0 MiB/s, ETA 14 s\n");
}

static void copy_that_stands_says_why(void **state)
{
	(void)state;
	assert_line(json_pack("{s:s,s:i,s:f,s:f}", "stage", "copy", "left", 1 << 30, "rate_bps", 0.0, "compared_percent", 53.2),
		    "copy       comparing with the old copy: 53 %\n");
	assert_line(json_pack("{s:s,s:i,s:f,s:i}", "stage", "copy", "left", 1 << 30, "rate_bps", 0.0, "silent_s", 4),
		    "copy       1.0 GiB left, 0 B/s, no answer from there for 4 s\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_that_is_waited_for_is_not_said_to_be_copied),
		cmocka_unit_test(whole_has_a_percent_and_how_long_it_has_taken),
		cmocka_unit_test(copy_that_stands_says_why),
		cmocka_unit_test(no_row_of_the_block_before_stays),
		cmocka_unit_test(disks_that_have_no_row_are_counted),
		cmocka_unit_test(a_shorter_block_leaves_nothing_of_a_longer_one),
		cmocka_unit_test(a_block_is_for_terminals_that_can),
	};

	return cmocka_run_group_tests(tests, at_a_terminal, as_before);
}
