/* test-options.c: each option of a move goes to a member of its own, and is given again as it was said. */
#include "options.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 128

/* The output of options_print(): "--name=value". */
static struct printed {
	char *words[WORDS_MAX];
	size_t count;
} * printed;

static void hear(const char *name, const char *value)
{
	assert_true(printed->count < WORDS_MAX);
	printed->words[printed->count++] = xasprintf("--%s%s%s", name, value ? "=" : "", value ?: "");
}

static void print(struct printed *to, const struct move_options *o)
{
	to->count = 0;
	printed = to;
	options_print(move_tables, o, hear);
}

static void printed_free(struct printed *p)
{
	while (p->count)
		free(p->words[--p->count]);
}

static bool has(const struct printed *p, const char *word)
{
	size_t i;

	for (i = 0; i < p->count && strcmp(p->words[i], word); i++)
		;
	return i < p->count;
}

/* A value that is not the default; malloc'ed, NULL: it takes none. */
static char *sample(const struct command_option *o)
{
	static const char *const own[][2] = {{"qemu", "/q"},	    {"port", "22"},   {"data-ports", "1-2"},
					     {"map-net", "n=user"}, {"disk", "d=/x"}, {"reuse", "d=auto"}};
	size_t i, n;

	for (i = 0; i < ARRAY_LEN(own); i++)
		if (!strcmp(o->name, own[i][0]))
			return xstrdup(own[i][1]);
	if (!o->argument)
		return NULL;
	if (o->kind == OPT_NUMBER)
		return xasprintf("%llu", (unsigned long long)o->max);
	if (o->kind == OPT_RATE || o->kind == OPT_SPAN)
		return xstrdup(o->kind == OPT_RATE ? "5" : "90s");
	for (n = 0; o->words && o->words[n]; n++)
		;
	return xstrdup(n ? o->words[n - 1] : "x");
}

/* Checks that the option is printed so that it gives the same member again, and changes no other. */
static void assert_given_again(const struct command_option *o)
{
	static const struct command_usage usage = {.name = "test", .tables = move_tables};
	struct move_options before = {.carry.multifd = -1}, after = before;
	struct printed was, is;
	AUTO_FREE char *value = sample(o), *word = xasprintf("--%s%s%s", o->name, value ? "=" : "", value ?: "");
	char *argv[] = {"test", word, NULL};
	size_t i, more = 0;
	int first;

	assert_int_equal(command_take(&usage, 2, argv, &after, &first), 0);
	print(&was, &before);
	print(&is, &after);
	for (i = 0; i < is.count; i++)
		more += !has(&was, is.words[i]);
	if (o->once)
		assert_int_equal(more, 0);
	else if (more != 1 || !has(&is, word))
		fail_msg("%s is given, and %zu options are others than before", word, more);
	printed_free(&was);
	printed_free(&is);
}

static void each_option_has_a_place_of_its_own(void **state)
{
	const struct option_table *t;
	const struct command_option *o;
	size_t count = 0;

	(void)state;
	for (t = move_tables; t->rows; t++)
		for (o = t->rows; o->name; o++, count++)
			if (o->kind != OPT_SET && o->kind != OPT_CALL && o->kind != OPT_MOMENT)
				assert_given_again(o);
	assert_true(count > 40);
}

static void each_row_is_complete(void **state)
{
	const struct option_table *t;
	const struct command_option *o;

	(void)state;
	for (t = move_tables; t->rows; t++)
		for (o = t->rows; o->name; o++) {
			assert_ptr_equal(option_find(move_tables, o->name), o); /* no other is called so */
			assert_true(o->help && *o->help && (o->kind != OPT_CALL || o->take));
			assert_true((o->kind != OPT_WORD && o->kind != OPT_SECOND && o->kind != OPT_BITS) || o->words);
			assert_true((o->kind != OPT_NUMBER && o->kind != OPT_SPAN) || o->max > o->min);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_option_has_a_place_of_its_own),
		cmocka_unit_test(each_row_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
