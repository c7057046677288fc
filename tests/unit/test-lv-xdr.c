/* test-lv-xdr.c: values of libvirt's RPC at their limits. */
#include "lv-xdr.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A reader of the bytes that the writer has made so far. */
static struct lv_reader back(const struct lv_writer *w)
{
	return lv_reader_of(w->data, w->n);
}

/* A string's bytes as they stand. */
static struct lv_reader of_string(uint8_t *room, uint32_t length, const char *bytes, size_t n)
{
	room[0] = (uint8_t)(length >> 24);
	room[1] = (uint8_t)(length >> 16);
	room[2] = (uint8_t)(length >> 8);
	room[3] = (uint8_t)length;
	memcpy(room + 4, bytes, n);
	return lv_reader_of(room, 4 + n);
}

static void test_values_come_back(void **state)
{
	static const uint8_t uuid[LV_UUID_LEN] = {1, 2, 3, [15] = 255};
	struct lv_writer w = {0};
	uint8_t same[LV_UUID_LEN];
	struct lv_reader r;
	char *text;

	(void)state;
	lv_write_u32(&w, 0x01020304);
	lv_write_u64(&w, 0x0102030405060708);
	lv_write_u32(&w, (uint32_t)-1);
	lv_write_string(&w, "guest");
	lv_write_optional(&w, NULL);
	lv_write_optional(&w, "");
	lv_write_uuid(&w, uuid);
	assert_false(w.bad);
	assert_int_equal(w.n, 4 + 8 + 4 + (4 + 8) + 4 + (4 + 4) + 16);
	assert_memory_equal(w.data, "\1\2\3\4\1\2\3\4\5\6\7\10\377\377\377\377\0\0\0\5guest\0\0\0", 28);
	r = back(&w);
	assert_int_equal(lv_read_u32(&r), 0x01020304);
	assert_int_equal(lv_read_u64(&r), 0x0102030405060708);
	assert_int_equal(lv_read_i32(&r), -1);
	text = lv_read_string(&r);
	assert_string_equal(text, "guest");
	free(text);
	assert_null(lv_read_optional(&r));
	text = lv_read_optional(&r);
	assert_string_equal(text, "");
	free(text);
	assert_false(lv_reader_done(&r));
	lv_read_uuid(&r, same);
	assert_memory_equal(same, uuid, sizeof(uuid));
	assert_true(lv_reader_done(&r));
	lv_writer_fini(&w);
}

static void test_nothing_is_read_past_the_end(void **state)
{
	static const uint8_t bytes[16] = {0, 0, 0, 3, 'a', 'b', 'c', 0};
	uint8_t uuid[LV_UUID_LEN] = {9};
	struct lv_reader r;
	size_t n;

	(void)state;
	r = lv_reader_of(bytes, 3);
	assert_int_equal(lv_read_u32(&r), 0);
	assert_true(r.bad);
	r = lv_reader_of(bytes, 7);
	assert_int_equal(lv_read_u64(&r), 0);
	assert_true(r.bad);
	r = lv_reader_of(bytes, 15);
	lv_read_uuid(&r, uuid);
	assert_true(r.bad && !uuid[0]);
	/* the byte that fills it up is missing */
	r = lv_reader_of(bytes, 7);
	assert_null(lv_read_string(&r));
	assert_true(r.bad);
	r = lv_reader_of(bytes, 8);
	assert_memory_equal(lv_read_opaque(&r, &n), "abc", 3);
	assert_int_equal(n, 3);
	assert_true(lv_reader_done(&r));
}

static void test_failure_is_sticky(void **state)
{
	static const uint8_t bytes[] = {0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7};
	struct lv_reader r = lv_reader_of(bytes, sizeof(bytes));
	size_t n = 1;

	(void)state;
	assert_null(lv_read_optional(&r)); /* 2 is neither there nor missing */
	assert_true(r.bad);
	assert_int_equal(lv_read_u32(&r), 0);
	assert_int_equal(lv_reader_left(&r), 0);
	assert_int_equal(lv_read_count(&r, 10, 1), 0);
	assert_null(lv_read_opaque(&r, &n));
	assert_int_equal(n, 0);
	assert_false(lv_reader_done(&r));
}

static void test_string_has_a_limit(void **state)
{
	uint8_t *room = xcalloc(1, LV_STRING_MAX + 8);
	char *text = xmalloc(LV_STRING_MAX + 1);
	struct lv_reader r;
	char *got;

	(void)state;
	memset(text, 'x', LV_STRING_MAX + 1);
	r = of_string(room, LV_STRING_MAX, text, LV_STRING_MAX);
	got = lv_read_string(&r);
	assert_int_equal(strlen(got), LV_STRING_MAX);
	assert_true(lv_reader_done(&r));
	free(got);
	r = of_string(room, LV_STRING_MAX + 1, text, LV_STRING_MAX + 1);
	r.end = room + LV_STRING_MAX + 8;
	assert_null(lv_read_string(&r));
	assert_true(r.bad);
	r = of_string(room, 0xffffffff, text, 16);
	assert_null(lv_read_string(&r));
	assert_true(r.bad);
	r = of_string(room, 4, "a\0bc", 4);
	assert_null(lv_read_string(&r));
	assert_true(r.bad);
	free(text);
	free(room);
}

static void test_count_is_held_to_its_limit_and_to_what_is_there(void **state)
{
	static const struct {
		uint8_t bytes[12];
		size_t n, max, each;
		bool good;
	} cases[] = {
		{{0, 0, 0, 2}, 12, 2, 4, true},		       /* just fits */
		{{0, 0, 0, 3}, 12, 2, 1, false},	       /* more than there may be */
		{{0, 0, 0, 3}, 12, 100, 4, false},	       /* more than there is room for */
		{{0xff, 0xff, 0xff, 0xff}, 12, 100, 1, false}, /* nonsense */
		{{0x80, 0, 0, 1}, 12, 0xffffffff, 8, false},   /* the product would be small in 32 bits */
		{{0, 0, 0, 0}, 4, 0, 24, true},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct lv_reader r = lv_reader_of(cases[i].bytes, cases[i].n);
		size_t count = lv_read_count(&r, cases[i].max, cases[i].each);

		assert_int_equal(!r.bad, cases[i].good);
		assert_int_equal(count, cases[i].good ? cases[i].bytes[3] : 0);
	}
}

static void test_writer_has_limits(void **state)
{
	char *text = xcalloc(1, LV_STRING_MAX + 2);
	struct lv_writer w = {0};
	unsigned i;

	(void)state;
	memset(text, 'x', LV_STRING_MAX);
	for (i = 0; i < LV_MESSAGE_MAX / (LV_STRING_MAX + 4) && !w.bad; i++)
		lv_write_string(&w, text);
	assert_false(w.bad);
	lv_write_string(&w, text); /* more than a message may have */
	assert_true(w.bad);
	assert_true(w.n <= LV_MESSAGE_MAX);
	lv_writer_fini(&w);
	text[LV_STRING_MAX] = 'x';
	lv_write_string(&w, text);
	assert_true(w.bad);
	lv_write_u32(&w, 1);
	assert_int_equal(w.n, 0);
	lv_writer_fini(&w);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_come_back),
		cmocka_unit_test(test_nothing_is_read_past_the_end),
		cmocka_unit_test(test_failure_is_sticky),
		cmocka_unit_test(test_string_has_a_limit),
		cmocka_unit_test(test_count_is_held_to_its_limit_and_to_what_is_there),
		cmocka_unit_test(test_writer_has_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
