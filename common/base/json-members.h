/* json-members.h: objects of JSON whose members are written down as pairs: each name beside its value. Pure. */
#ifndef VMFERRY_JSON_MEMBERS_H
#define VMFERRY_JSON_MEMBERS_H

#include <jansson.h>
#include <stdbool.h>

enum json_member_kind { JSON_MEMBER_TEXT, JSON_MEMBER_FLAG, JSON_MEMBER_COUNT, JSON_MEMBER_REAL, JSON_MEMBER_VALUE, JSON_MEMBER_MAYBE };

struct json_member {
	const char *name;
	enum json_member_kind kind;
	union {
		const char *text;
		bool flag;
		json_int_t count;
		double real;
		json_t *value;
	};
};

/* clang-format off */
#define MEMBER_TEXT(n, v)  {.name = (n), .kind = JSON_MEMBER_TEXT, .text = (v)} /* NULL: left out */
#define MEMBER_FLAG(n, v)  {.name = (n), .kind = JSON_MEMBER_FLAG, .flag = (v)}
#define MEMBER_COUNT(n, v) {.name = (n), .kind = JSON_MEMBER_COUNT, .count = (json_int_t)(v)}
#define MEMBER_REAL(n, v)  {.name = (n), .kind = JSON_MEMBER_REAL, .real = (v)}
#define MEMBER_NEW(n, v)   {.name = (n), .kind = JSON_MEMBER_VALUE, .value = (v)} /* stolen; NULL: there is no object, either */
#define MEMBER_MAYBE(n, v) {.name = (n), .kind = JSON_MEMBER_MAYBE, .value = (v)} /* stolen; NULL: left out */
#define MEMBER_SAME(n, v)  MEMBER_MAYBE(n, json_incref(v)) /* a further reference; NULL: left out */
#define MEMBER_IF(n, v)    MEMBER_MAYBE(n, (v) ? json_true() : NULL) /* true, or left out */
/* clang-format on */

/* A new object of those members. NULL if a text is not UTF-8, a real is no number, or a value that must be there is not, as json_pack() does. */
json_t *json_of_members(const struct json_member *members);
#define json_of(...) json_of_members((const struct json_member[]){__VA_ARGS__, {.name = NULL}})

#endif
