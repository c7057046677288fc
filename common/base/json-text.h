/* json-text.h: JSON for people's terminals and for programs behind them, and a look into it. Pure. */
#ifndef VMFERRY_JSON_TEXT_H
#define VMFERRY_JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The same as json_dumps(), but safe for a terminal: DEL and C1, which JSON allows as they are, are escaped, too. NULL if v cannot be
 * written. */
char *json_text_dump(const json_t *v, size_t flags);
/* A line of JSON, for programs and people who read along: reals have three decimals at most. */
char *json_text_line(const json_t *v);
/* Prints the line to standard output, with a newline. */
void json_text_print(const json_t *v);

/* A string of an object, borrowed; NULL if it has none of that name. */
static inline const char *json_text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* The first element of a list whose member `key` (NULL: the element itself) is that text, borrowed; NULL if there is none, or no text. */
json_t *json_find(const json_t *list, const char *key, const char *text);
/* True if the list has an element that is equal to this one. */
bool json_has(const json_t *list, const json_t *one);

/* An integer of an object as a number of bytes; 0 if it has none of that name, or one below 0. */
static inline uint64_t json_bytes(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

/* A number of an object; 0 if it has none of that name. */
static inline double json_number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

#endif
