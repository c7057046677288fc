/* well-formed.h: is a page of ours well-formed, and text that may be shown? For tests. */
#ifndef VMFERRY_WELL_FORMED_H
#define VMFERRY_WELL_FORMED_H

#include "util.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 64

static bool is_entity(const char *s)
{
	static const char *const known[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
	size_t i;

	for (i = 0; i < ARRAY_LEN(known); i++)
		if (!strncmp(s, known[i], strlen(known[i])))
			return true;
	return false;
}

/* From behind a tag's name to behind its '>'; NULL: it is none. */
static const char *skip_attributes(const char *s, bool *empty)
{
	char quote = 0;

	for (*empty = false; *s; s++) {
		if (*s == '<' || (*s == '&' && !is_entity(s)))
			return NULL;
		if (quote)
			quote = *s == quote ? 0 : quote;
		else if (*s == '"')
			quote = *s;
		else if (*s == '>') {
			*empty = s[-1] == '/';
			return s + 1;
		}
	}
	return NULL;
}

struct open_tags {
	char name[DEPTH_MAX][16];
	size_t depth;
};

/* s: behind '<'. */
static const char *read_tag(struct open_tags *t, const char *s)
{
	bool closes = *s == '/', empty;
	char name[16];
	size_t n;

	s += closes;
	n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789");
	if (!n || n >= sizeof(name))
		return NULL;
	snprintf(name, sizeof(name), "%.*s", (int)n, s);
	s = skip_attributes(s + n, &empty);
	if (closes)
		return t->depth && !strcmp(t->name[--t->depth], name) ? s : NULL;
	if (!empty && t->depth == DEPTH_MAX)
		return NULL;
	if (!empty)
		strcpy(t->name[t->depth++], name);
	return s;
}

/* NULL if it is, or where it is not. */
static const char *malformed_at(const char *page)
{
	static const char doctype[] = "<!DOCTYPE html>\n";
	struct open_tags tags = {.depth = 0};
	const char *s = page + strlen(doctype), *next;

	if (strncmp(page, doctype, strlen(doctype)) || !text_is_utf8(page))
		return page;
	for (; *s; s = next) {
		next = *s == '<' ? read_tag(&tags, s + 1) : s + 1;
		if (!next || (*s == '&' && !is_entity(s)) || (*s > 0 && *s < ' ' && *s != '\n' && *s != '\t'))
			return s;
	}
	return tags.depth ? s : NULL;
}

#endif
