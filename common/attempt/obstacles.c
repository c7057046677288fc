/* obstacles.c: see obstacles.h. */
#include "obstacles.h"
#include "json-text.h"
#include "util.h"

#include <errno.h>
#include <string.h>

void obstacles_add(struct obstacles *o, const struct err *e)
{
	o->list = o->list ?: json_array();
	if (!o->code || e->code == ENOTSUP)
		o->code = e->code;
	if (json_array_size(o->list) < OBSTACLES_MAX && !json_find(o->list, NULL, e->msg))
		json_array_append_new(o->list, json_string(e->msg));
}

int obstacles_fact(struct obstacles *o, const struct err *e)
{
	if (!o || e->code != ENOTSUP)
		return -e->code;
	obstacles_add(o, e);
	return 0;
}

size_t obstacles_count(const struct obstacles *o)
{
	return json_array_size(o->list);
}

int obstacles_err(const struct obstacles *o, struct err *e)
{
	char *all = xstrdup(""), *longer;
	json_t *one;
	size_t i;

	if (!o->code) {
		free(all);
		return 0;
	}
	json_array_foreach(o->list, i, one) {
		longer = xasprintf("%s%s(%zu) %s", all, i ? "; " : "", i + 1, json_string_value(one));
		free(all);
		all = longer;
	}
	if (obstacles_count(o) == 1)
		err_set(e, o->code, "%s", json_string_value(json_array_get(o->list, 0)));
	else
		err_set(e, o->code, "%zu things stand in the way: %s", obstacles_count(o), all);
	free(all);
	return -o->code;
}

void obstacles_fini(struct obstacles *o)
{
	json_decref(o->list);
	*o = (struct obstacles){.list = NULL};
}
