/*
 * xml-differences.h: two XML documents compared element by element, with their blanks, comments and namespaces: what a rewriter has changed.
 */
#ifndef VMFERRY_TEST_XML_DIFFERENCES_H
#define VMFERRY_TEST_XML_DIFFERENCES_H

#include "util.h"
#include "xml.h"

#include <stdio.h>
#include <string.h>

static inline void compare(FILE *out, const char *at, const xmlNode *a, const xmlNode *b);

static inline char *attr_of(const xmlNode *n, const xmlAttr *a)
{
	xmlChar *value = xmlNodeListGetString(n->doc, a->children, 1);
	char *text = xstrdup(value ? (const char *)value : "");

	xmlFree(value);
	return text;
}

static inline bool same_ns(const xmlNs *a, const xmlNs *b)
{
	return !a == !b && (!a || xmlStrEqual(a->href, b->href));
}

static inline const xmlAttr *same_attr(const xmlNode *n, const xmlAttr *as)
{
	const xmlAttr *a;

	for (a = n->properties; a && !(xmlStrEqual(a->name, as->name) && same_ns(a->ns, as->ns)); a = a->next)
		;
	return a;
}

static inline void compare_attributes(FILE *out, const char *at, const xmlNode *a, const xmlNode *b)
{
	const xmlAttr *p, *q;

	for (p = a->properties; p; p = p->next) {
		AUTO_FREE char *was = attr_of(a, p), *is = NULL;

		q = same_attr(b, p);
		is = q ? attr_of(b, q) : NULL;
		if (!is)
			fprintf(out, "%s: %s='%s' is gone\n", at, (const char *)p->name, was);
		else if (strcmp(was, is))
			fprintf(out, "%s: %s='%s' is '%s'\n", at, (const char *)p->name, was, is);
	}
	for (q = b->properties; q; q = q->next) {
		AUTO_FREE char *is = attr_of(b, q);

		if (!same_attr(a, q))
			fprintf(out, "%s: %s='%s' is new\n", at, (const char *)q->name, is);
	}
}

static inline void compare_children(FILE *out, const char *at, const xmlNode *a, const xmlNode *b)
{
	const xmlNode *p = a->children, *q = b->children;

	while (p) {
		AUTO_FREE char *below = xasprintf("%s/%s", at, (const char *)p->name);

		if (q && p->type == q->type && xmlStrEqual(p->name, q->name) && same_ns(p->ns, q->ns)) {
			compare(out, below, p, q);
			q = q->next;
		} else {
			fprintf(out, "%s is gone\n", below);
		}
		p = p->next;
	}
	for (; q; q = q->next)
		fprintf(out, "%s/%s is new\n", at, (const char *)q->name);
}

static inline void compare(FILE *out, const char *at, const xmlNode *a, const xmlNode *b)
{
	if (a->type != XML_ELEMENT_NODE) {
		if (!xmlStrEqual(a->content, b->content))
			fprintf(out, "%s: '%s' is '%s'\n", at, (const char *)a->content, (const char *)b->content);
		return;
	}
	compare_attributes(out, at, a, b);
	compare_children(out, at, a, b);
}

/* A line for each difference between two texts; malloc'ed. */
static inline char *differences(const char *a, const char *b)
{
	struct err e;
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	xmlDoc *x, *y;

	assert_int_equal(xml_read_whole(&x, a, strlen(a), &e), 0);
	if (xml_read_whole(&y, b, strlen(b), &e))
		fail_msg("what was written is no XML: %s\n%s", e.msg, b);
	compare_children(out, "", (const xmlNode *)x, (const xmlNode *)y);
	xmlFreeDoc(x);
	xmlFreeDoc(y);
	fclose(out);
	return text;
}

#endif
