/* life-told.c: sentences that a command tells: rows, notices, notes and leftovers of its result. */
#include "life.h"
#include "util.h"

#include <stdarg.h>
#include <stdio.h>

/* Malloc'ed, and UTF-8: paths in it may be long, and anything. */
static char *sentence(const char *fmt, va_list ap)
{
	char *text = xvasprintf(fmt, ap);

	text_make_utf8(text);
	return text;
}

static void add_sentence(struct life *l, json_t *list, const char *without, const char *fmt, va_list ap)
{
	AUTO_FREE char *text = sentence(fmt, ap);

	if (l)
		json_array_append_new(list, json_string(text));
	else
		fprintf(stderr, "vmferry: %s%s\n", without, text);
}

void life_row(json_t *rows, const char *word, const char *fmt, ...)
{
	AUTO_FREE char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = sentence(fmt, ap);
	va_end(ap);
	json_array_append_new(rows, json_pack("[s,s]", word, text));
}

void life_notice(struct life *l, const char *fmt, ...)
{
	AUTO_FREE char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = sentence(fmt, ap);
	va_end(ap);
	if (l)
		life_emit(l, "notice", json_pack("{s:s}", "text", text));
	else
		fprintf(stderr, "vmferry: %s\n", text);
}

void life_note(struct life *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_sentence(l, l ? l->told.notes : NULL, "", fmt, ap);
	va_end(ap);
}

void life_leftover(struct life *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_sentence(l, l ? l->told.leftovers : NULL, "left behind: ", fmt, ap);
	va_end(ap);
}

size_t life_leftovers(const struct life *l)
{
	return l ? json_array_size(l->told.leftovers) : 0;
}
