/* test-html-replica.c: the page about a guest's replica: what it says, and that no input makes anything but a well-formed page. */
#include "../lib/well-formed.h"
#include "html-replica.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ROW                                                                                                                                      \
	"{\"role\": \"primary\", \"guest\": \"a<b&c\", \"to\": \"root@host-b\", \"health\": \"warning\", \"health_why\": [\"no room <there>\"]," \
	" \"lag_s\": 12.5, \"would_start\": {\"start\": false, \"why\": [\"no bridge br0\"], \"qemu_version\": \"10.0.2\"}, \"points\": 3,"      \
	" \"history\": [{\"at\": 1790000000, \"exit_code\": 0, \"total_ms\": 800, \"bytes_wire\": 9000, \"point\": 1, \"at_ms\": 1790000000000," \
	" \"delta_bytes\": 8192, \"whole\": true}, {\"at\": 1790000300, \"exit_code\": 1, \"reason\": \"<gone>\", \"total_ms\": 90}]}"
#define STORE "{\"role\": \"replica\", \"guest\": \"a\", \"points\": [{\"number\": 7, \"at_ms\": 1790000000000}]}"

/* The page, malloc'ed; NULL: there is none. */
static char *page_of(const char *text)
{
	json_t *root = json_loads(text, JSON_DECODE_ANY, NULL);
	char *page;
	size_t n;
	FILE *f = open_memstream(&page, &n);
	struct err e;
	int r;

	assert_non_null(root);
	r = html_replica_page(f, root, "in.json", &e);
	fclose(f);
	json_decref(root);
	if (!r)
		return page;
	free(page);
	return NULL;
}

static void one_that_is_over_is_said_to_be(void **state)
{
	AUTO_FREE char *page = page_of("[{\"role\": \"replica\", \"guest\": \"a\", \"points\": [], \"over\": true}]");
	AUTO_FREE char *removed = page_of("[{\"role\": \"replica\", \"guest\": \"a\", \"points\": [], \"removed\": true}]");

	(void)state;
	assert_non_null(strstr(page, "until its guest came to stay here"));
	assert_non_null(strstr(removed, "Its points were removed"));
	assert_null(strstr(removed, "came to stay"));
}

static void what_is_known_is_on_the_page(void **state)
{
	static const char *const said[] = {"a&lt;b&amp;c",
					   "warning",
					   "no room &lt;there&gt;",
					   "No, as things are",
					   "no bridge br0",
					   "10.0.2",
					   "everything was compared",
					   "&lt;gone&gt;",
					   "As its primary knows it",
					   "At the replica",
					   "<td>7</td>"};
	AUTO_FREE char *page = page_of("[" ROW ", " STORE "]");
	size_t i;

	(void)state;
	assert_non_null(page);
	for (i = 0; i < ARRAY_LEN(said); i++)
		if (!strstr(page, said[i]))
			fail_msg("it does not say %s", said[i]);
	if (malformed_at(page))
		fail_msg("not well-formed at: %.80s", malformed_at(page));
}

static void odd_input_makes_a_page_or_none(void **state)
{
	static const char *const odd[] = {
		"[{\"role\": \"primary\"}]",
		"[{\"role\": \"x\", \"history\": 7, \"points\": {}, \"would_start\": [], \"health_why\": [1, {}]}]",
		"[{\"role\": \"primary\", \"history\": [7, {}, {\"at\": -1}, {\"at\": 1e17}, {\"at\": 3}]}, 9, null]",
		"[{\"role\": \"primary\", \"points\": [{}, 3, {\"number\": -1, \"at_ms\": \"x\"}]}]",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(odd); i++) {
		AUTO_FREE char *page = page_of(odd[i]);

		assert_non_null(page);
		if (malformed_at(page))
			fail_msg("%s: not well-formed at: %.80s", odd[i], malformed_at(page));
	}
	assert_null(page_of("[]"));
	assert_null(page_of("{\"role\": \"primary\"}"));
	assert_null(page_of("[{\"event\": \"plan\"}]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_known_is_on_the_page),
		cmocka_unit_test(one_that_is_over_is_said_to_be),
		cmocka_unit_test(odd_input_makes_a_page_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
