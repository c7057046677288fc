/* qemu-props.c: see qemu-props.h. */
#include "qemu-props.h"
#include "util.h"

#include <string.h>

/* The value of a leaf in "key=value" syntax, malloc'ed; NULL: that syntax cannot express it. */
static char *leaf_text(const json_t *leaf)
{
	if (json_is_string(leaf))
		return xstrdup(json_string_value(leaf));
	if (json_is_boolean(leaf))
		return xstrdup(json_is_true(leaf) ? "on" : "off");
	if (json_is_integer(leaf))
		return xasprintf("%" JSON_INTEGER_FORMAT, json_integer_value(leaf));
	return NULL;
}

static char *join_key(const char *prefix, const char *key)
{
	return *prefix ? xasprintf("%s.%s", prefix, key) : xstrdup(key);
}

static void flatten(struct kv_list *l, const json_t *node, const char *prefix)
{
	AUTO_FREE char *text = leaf_text(node);
	const char *key;
	json_t *child;
	size_t i;

	if (text)
		kv_append(l, prefix, text);
	json_array_foreach((json_t *)node, i, child) {
		AUTO_FREE char *number = xasprintf("%zu", i);
		AUTO_FREE char *path = join_key(prefix, number);

		flatten(l, child, path);
	}
	json_object_foreach((json_t *)node, key, child) {
		AUTO_FREE char *path = join_key(prefix, key);

		flatten(l, child, path);
	}
}

void props_parse(struct props *p, const char *text)
{
	*p = (struct props){.tree = NULL};
	if (!text)
		return;
	if (*text != '{') {
		kv_parse(&p->l, text);
		return;
	}
	p->tree = json_loads(text, 0, NULL);
	if (p->tree)
		flatten(&p->l, p->tree, "");
	else
		p->broken = true;
}

/* Sets the leaves of a container to their values in l, and removes those that l no longer has. */
static void update(const struct kv_list *l, json_t *node, const char *prefix)
{
	const char *key;
	json_t *child;
	void *next;
	size_t i;

	json_array_foreach(node, i, child) {
		AUTO_FREE char *number = xasprintf("%zu", i);
		AUTO_FREE char *path = join_key(prefix, number);
		const char *now = kv_get(l, path, NULL);

		update(l, child, path);
		if (json_is_string(child) && now)
			json_array_set_new(node, i, json_string(now));
	}
	json_object_foreach_safe(node, next, key, child)
	{
		AUTO_FREE char *path = join_key(prefix, key);
		AUTO_FREE char *was = leaf_text(child);
		const char *now = kv_get(l, path, NULL);

		update(l, child, path);
		if (was && !now)
			json_object_del(node, key);
		else if (was && strcmp(was, now))
			json_object_set_new(node, key, json_is_boolean(child) ? json_boolean(!strcmp(now, "on")) : json_string(now));
	}
}

/* Adds the members that l has and the tree lacks, at the top of the tree. */
static void add_new(const struct kv_list *l, json_t *tree)
{
	AUTO_KV struct kv_list had = {.n = 0};

	flatten(&had, tree, "");
	for (size_t i = 0; i < l->n; i++) {
		const struct kv *p = &l->v[i];

		if (!p->key || kv_get(&had, p->key, NULL))
			continue;
		/* whether on and off are words or truth values only the option's schema knows; what we add is the latter */
		if (!strcmp(p->value, "on") || !strcmp(p->value, "off"))
			json_object_set_new(tree, p->key, json_boolean(!strcmp(p->value, "on")));
		else
			json_object_set_new(tree, p->key, json_string(p->value));
	}
}

char *props_print(struct props *p)
{
	char *text, *out;

	if (!p->tree)
		return kv_print(&p->l);
	update(&p->l, p->tree, "");
	add_new(&p->l, p->tree);
	text = json_dumps(p->tree, JSON_COMPACT);
	out = xstrdup(text ? text : "{}");
	free(text);
	return out;
}

static json_t *member_of(json_t *tree, const char *prefix)
{
	const char *dot;

	for (; tree && (dot = strchr(prefix, '.')); prefix = dot + 1) {
		AUTO_FREE char *name = xasprintf("%.*s", (int)(dot - prefix), prefix);

		tree = json_object_get(tree, name);
	}
	return tree;
}

void props_set_number(struct props *p, const char *prefix, const char *key, uint64_t n)
{
	AUTO_FREE char *full = xasprintf("%s%s", prefix, key);
	AUTO_FREE char *text = xasprintf("%llu", (unsigned long long)n);
	struct kv *has = kv_find(&p->l, full, NULL);

	if (has)
		kv_replace(&has->value, xstrdup(text));
	else
		kv_append(&p->l, full, text);
	if (p->tree)
		json_object_set_new(member_of(p->tree, prefix), key, json_integer((json_int_t)n));
}

void props_fini(struct props *p)
{
	kv_fini(&p->l);
	json_decref(p->tree);
	*p = (struct props){.tree = NULL};
}
