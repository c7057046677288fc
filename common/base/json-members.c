/* json-members.c: see json-members.h. */
#include "json-members.h"

/* True if the member is to be left out. */
static bool is_absent(const struct json_member *m)
{
	return (m->kind == JSON_MEMBER_TEXT && !m->text) || (m->kind == JSON_MEMBER_MAYBE && !m->value);
}

static json_t *value_of(const struct json_member *m)
{
	switch (m->kind) {
	case JSON_MEMBER_TEXT:
		return json_string(m->text);
	case JSON_MEMBER_FLAG:
		return json_boolean(m->flag);
	case JSON_MEMBER_COUNT:
		return json_integer(m->count);
	case JSON_MEMBER_REAL:
		return json_real(m->real);
	case JSON_MEMBER_VALUE:
	case JSON_MEMBER_MAYBE:
		return m->value;
	}
	return NULL;
}

json_t *json_of_members(const struct json_member *members)
{
	json_t *out = json_object();
	bool fails = false;

	for (const struct json_member *m = members; m->name; m++)
		if (!is_absent(m))
			fails |= json_object_set_new(out, m->name, value_of(m)) != 0;
	if (fails)
		json_decref(out);
	return fails ? NULL : out;
}
