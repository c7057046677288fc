/* test-qemu-filters.c: the image of a disk is found below filters, by what QEMU says of its nodes (qemu-filters.h). */
#include "qemu-filters.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char graph[] = "{'nodes': [{'id': 1, 'type': 'block-backend', 'name': 't'}, {'id': 2, 'type': 'block-driver', 'name': 't'},"
			    " {'id': 3, 'type': 'block-driver', 'name': 'u'}, {'id': 4, 'type': 'block-driver', 'name': '#block1'},"
			    " {'id': 5, 'type': 'block-driver', 'name': 'base'}, {'id': 6, 'type': 'block-driver', 'name': 'lone'}],"
			    " 'edges': [{'parent': 1, 'child': 2, 'name': 'root'}, {'parent': 2, 'child': 3, 'name': 'file'},"
			    " {'parent': 3, 'child': 4, 'name': 'file'}, {'parent': 4, 'child': 5, 'name': 'backing'}]}";

static json_t *read_json(const char *text)
{
	char copy[2048];
	json_error_t why;
	json_t *out;
	size_t i;

	assert_true(strlen(text) < sizeof(copy));
	for (i = 0; i <= strlen(text); i++)
		copy[i] = (char)(text[i] == '\'' ? '"' : text[i]);
	out = json_loads(copy, 0, &why);
	if (!out)
		fail_msg("%s", why.text);
	return out;
}

static void the_image_is_below_all_filters(void **state)
{
	json_auto_t *blocks =
		read_json("[{'device': '', 'qdev': 'd0', 'inserted': {'node-name': 't', 'drv': 'throttle', 'file': 'json:{}'}},"
			  " {'device': 'cd'}, {'device': 'hd', 'inserted': {'node-name': 'base', 'drv': 'qcow2'}}]");
	json_auto_t *nodes = read_json("[{'node-name': 't', 'drv': 'throttle'}, {'node-name': 'u', 'drv': 'throttle'},"
				       " {'node-name': '#block1', 'drv': 'qcow2', 'file': '/a'}, {'node-name': 'base', 'drv': 'qcow2'}]");
	json_auto_t *g = read_json(graph), *first, *last;
	struct err e;

	(void)state;
	assert_int_equal(filters_look_below(blocks, nodes, g, &e), 0);
	first = json_incref(json_array_get(blocks, 0));
	last = json_incref(json_array_get(blocks, 2));
	assert_string_equal(json_string_value(json_object_get(json_object_get(first, "inserted"), "node-name")), "#block1");
	assert_string_equal(json_string_value(json_object_get(json_object_get(first, "inserted"), "file")), "/a");
	assert_string_equal(json_string_value(json_object_get(first, FILTER_NODE)), "t");
	assert_null(json_object_get(last, FILTER_NODE));
	assert_null(json_object_get(json_array_get(blocks, 1), "inserted"));
}

static void what_is_not_told_is_an_error(void **state)
{
	json_auto_t *blocks = read_json("[{'device': 'd1', 'inserted': {'node-name': 'lone', 'drv': 'throttle'}}]");
	json_auto_t *ring = read_json(
		"{'nodes': [{'id': 6, 'type': 'block-driver', 'name': 'lone'}], 'edges': [{'parent': 6, 'child': 6, 'name': 'file'}]}");
	json_auto_t *nodes = read_json("[{'node-name': 'lone', 'drv': 'throttle'}]"), *none = json_array(), *g = read_json(graph);
	struct err e;

	(void)state;
	assert_int_equal(filters_look_below(blocks, nodes, g, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "d1"));
	assert_int_equal(filters_look_below(blocks, nodes, ring, &e), -EPROTO);
	assert_int_equal(filters_look_below(blocks, none, none, &e), -EPROTO);
	assert_null(filter_child(g, "#block1"));
	assert_null(filter_child(g, "none"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(the_image_is_below_all_filters),
						  cmocka_unit_test(what_is_not_told_is_an_error)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
