/* image-name.c: see image-name.h. */
#include "image-name.h"
#include "qemu-opts.h"
#include "util.h"

#include <jansson.h>
#include <string.h>

#define JSON "json:"

/* The tree of a "json:{…}" name, a new reference; NULL: it is another kind of name. */
static json_t *tree_of(const char *name)
{
	return text_starts_with(name, JSON) ? json_loads(name + strlen(JSON), 0, NULL) : NULL;
}

/* The innermost "filename" that goes down along "file". */
static char *file_in(const json_t *node)
{
	const char *name = NULL;

	for (; json_is_object(node) && !name; node = json_object_get(node, "file"))
		name = json_string_value(json_object_get(node, "filename"));
	return name && *name ? xstrdup(name) : NULL;
}

char *image_name_file(const char *name)
{
	json_t *tree = tree_of(name);
	char *file;

	if (!name || tree || text_starts_with(name, JSON)) {
		file = file_in(tree);
		json_decref(tree);
		return file;
	}
	if (!strncmp(name, "file:", 5))
		return xstrdup(name + 5);
	return qemu_path_has_protocol(name) ? NULL : xstrdup(name);
}

/* The option's value is text if it came from -drive. */
static bool is_set(const json_t *node, const char *option)
{
	const json_t *value = json_object_get(node, option);

	return json_integer_value(value) || (json_is_string(value) && strcmp(json_string_value(value), "0"));
}

static bool is_set_at_or_below(const json_t *node, const char *option)
{
	bool yes = false;

	for (; json_is_object(node) && !yes; node = json_object_get(node, "file"))
		yes = is_set(node, option);
	return yes;
}

bool image_begins_later(const char *name)
{
	json_auto_t *tree = tree_of(name);

	return is_set_at_or_below(tree, "offset");
}

bool image_ends_by_size(const char *name)
{
	json_auto_t *tree = tree_of(name);

	return json_object_get(tree, "size") != NULL;
}

bool image_ends_by_size_below(const char *name)
{
	json_auto_t *tree = tree_of(name);

	return is_set_at_or_below(json_object_get(tree, "file"), "size");
}

/* True if every member of the tree names one of two drivers, or says which part is shown. */
static bool is_plain_tree(const json_t *tree)
{
	const char *driver = json_string_value(json_object_get(tree, "driver"));
	const json_t *file = json_object_get(tree, "file");
	const char *below = json_string_value(json_object_get(file, "driver"));
	bool part = json_object_get(tree, "offset") || json_object_get(tree, "size");
	size_t known = 2 + (json_object_get(tree, "offset") != NULL) + (json_object_get(tree, "size") != NULL);

	return part && driver && !strcmp(driver, "raw") && json_object_size(tree) == known && below &&
	       (!strcmp(below, "file") || !strcmp(below, "host_device")) && json_object_size(file) == 2 &&
	       json_object_get(file, "filename");
}

/* {"driver": "raw", "file": {"driver": "file", "filename": "/a"}}, or without the format above the file. */
static const char *only_name_in(const json_t *tree)
{
	const json_t *file = json_object_get(tree, "file") ?: tree;
	const char *driver = json_string_value(json_object_get(file, "driver"));
	size_t above = file == tree ? 2 : 1 + (json_object_get(tree, "driver") != NULL);

	return driver && (!strcmp(driver, "file") || !strcmp(driver, "host_device")) && json_object_size(file) == 2 &&
			       json_object_size(tree) == above
		       ? json_string_value(json_object_get(file, "filename"))
		       : NULL;
}

char *image_name_below(const char *name)
{
	json_t *tree = tree_of(name);
	const char *file = tree ? only_name_in(tree) : name && !strncmp(name, "file:", 5) ? name + 5 : NULL;
	char *below = file && *file == '/' ? xstrdup(file) : NULL;

	json_decref(tree);
	if (below || !name || tree || file || text_starts_with(name, JSON))
		return below;
	return qemu_path_has_protocol(name) ? NULL : xstrdup(name);
}

bool image_is_plain(const char *name)
{
	json_auto_t *tree = tree_of(name);

	return tree ? is_plain_tree(tree) : name && !text_starts_with(name, JSON);
}
