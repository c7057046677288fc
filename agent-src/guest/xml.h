/*
 * xml.h: XML that somebody else wrote, read by libxml2: bounded in size, from memory only, without a document type, so that nothing
 * in it is expanded or fetched. Names are compared without their namespace's prefix. What is returned is malloc'ed unless it says not.
 */
#ifndef VMFERRY_XML_H
#define VMFERRY_XML_H

#include "err.h"

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#define XML_BYTES_MAX (4u << 20)
#define XML_TEXT_MAX  4096 /* bytes of one text that is taken out of it */

/* 0 or -EINVAL; xmlFreeDoc(). */
int xml_read(xmlDoc **out, const char *text, size_t n, struct err *e);
/* Does the same as xml_read(), but keeps blanks between elements and CDATA: for a document that is written again. */
int xml_read_whole(xmlDoc **out, const char *text, size_t n, struct err *e);
/* The first child element of that name, or the next sibling; NULL. */
xmlNode *xml_child(const xmlNode *parent, const char *name);
xmlNode *xml_next(const xmlNode *node, const char *name);
/* The first child element, and the next one, of whatever name. */
xmlNode *xml_first(const xmlNode *parent);
xmlNode *xml_after(const xmlNode *node);
bool xml_is(const xmlNode *node, const char *name);
/* The element at the end of "a/b/c", by the first of each name; NULL: none. */
xmlNode *xml_at(const xmlNode *parent, const char *path);
/* Does the same as xml_at() with another notion of which child has a name. */
xmlNode *xml_walk(const xmlNode *parent, const char *path, xmlNode *(*child)(const xmlNode *, const char *));
/* The first element of that name below, at any depth; NULL: none. */
xmlNode *xml_below(const xmlNode *parent, const char *name);
/* Text of an element without the blanks around it, NULL: none, empty, or too long; of what is at the end of a path. */
char *xml_text(const xmlNode *node);
char *xml_text_at(const xmlNode *parent, const char *path);
char *xml_attr(const xmlNode *node, const char *name);
char *xml_attr_at(const xmlNode *parent, const char *path, const char *name);
/* True if the attribute exists and has that value. */
bool xml_attr_is(const xmlNode *node, const char *name, const char *value);

#endif
