/* qemu-filters.c: see qemu-filters.h. */
#include "qemu-filters.h"
#include "json-text.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX 16 /* filters one above the other */

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "";
}

static const json_t *graph_node(const json_t *graph, const char *name)
{
	json_t *node;
	size_t i;

	json_array_foreach(json_object_get(graph, "nodes"), i, node)
		if (!strcmp(text_of(node, "name"), name) && !strcmp(text_of(node, "type"), "block-driver"))
			return node;
	return NULL;
}

static const json_t *graph_node_of_id(const json_t *graph, const json_t *id)
{
	json_t *node;
	size_t i;

	json_array_foreach(json_object_get(graph, "nodes"), i, node)
		if (json_equal(json_object_get(node, "id"), id))
			return node;
	return NULL;
}

const char *filter_child(const json_t *graph, const char *node)
{
	const json_t *parent = graph_node(graph, node), *child = NULL;
	json_t *edge;
	size_t i;

	json_array_foreach(json_object_get(graph, "edges"), i, edge)
		if (parent && json_equal(json_object_get(edge, "parent"), json_object_get(parent, "id")) &&
		    !strcmp(text_of(edge, "name"), "file"))
			child = graph_node_of_id(graph, json_object_get(edge, "child"));
	return child && *text_of(child, "name") ? text_of(child, "name") : NULL;
}

bool filter_is_seen_through(const char *driver)
{
	return !strcmp(driver, "throttle");
}

int filters_look_below(json_t *blocks, const json_t *nodes, const json_t *graph, struct err *e)
{
	json_t *block;
	size_t i;

	json_array_foreach(blocks, i, block) {
		json_t *in = json_object_get(block, "inserted");
		unsigned depth;

		for (depth = 0; in && filter_is_seen_through(text_of(in, "drv")); depth++) {
			const char *child = depth < DEPTH_MAX ? filter_child(graph, text_of(in, "node-name")) : NULL;

			in = json_find(nodes, "node-name", child);
			if (!in)
				return err_set(e, EPROTO, "QEMU does not tell what image is below the filter of %s",
					       *text_of(block, "qdev") ? text_of(block, "qdev") : text_of(block, "device"));
		}
		if (!depth)
			continue;
		json_object_set(block, FILTER_NODE, json_object_get(json_object_get(block, "inserted"), "node-name"));
		json_object_set(block, "inserted", in);
	}
	return 0;
}
