/* xml.c: see xml.h. */
#include "xml.h"
#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/xmlerror.h>
#include <string.h>

static int parse(xmlDoc **out, const char *text, size_t n, int more, struct err *e)
{
	/* neither XML_PARSE_NOENT nor XML_PARSE_DTDLOAD nor XML_PARSE_HUGE: libxml2's own bounds of depth and length hold */
	const int flags = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | more;
	xmlDoc *doc;

	if (n > XML_BYTES_MAX)
		return err_set(e, EINVAL, "it is longer than %u MiB, which no description is", XML_BYTES_MAX >> 20);
	xmlResetLastError();
	doc = xmlReadMemory(text, (int)n, NULL, NULL, flags);
	if (!doc) {
		const xmlError *why = xmlGetLastError();

		return err_set(e, EINVAL, "it is no well-formed XML: line %d: %.200s", why ? why->line : 0,
			       why && why->message ? why->message : "?");
	}
	if (doc->intSubset || doc->extSubset || !xmlDocGetRootElement(doc)) {
		xmlFreeDoc(doc);
		return err_set(e, EINVAL, "it has a document type (<!DOCTYPE …>), which no description needs");
	}
	*out = doc;
	return 0;
}

int xml_read(xmlDoc **out, const char *text, size_t n, struct err *e)
{
	return parse(out, text, n, XML_PARSE_NOBLANKS | XML_PARSE_NOCDATA, e);
}

int xml_read_whole(xmlDoc **out, const char *text, size_t n, struct err *e)
{
	return parse(out, text, n, 0, e);
}

bool xml_is(const xmlNode *node, const char *name)
{
	return node && node->type == XML_ELEMENT_NODE && !strcmp((const char *)node->name, name);
}

xmlNode *xml_child(const xmlNode *parent, const char *name)
{
	xmlNode *n;

	for (n = parent ? parent->children : NULL; n && !xml_is(n, name); n = n->next)
		;
	return n;
}

xmlNode *xml_next(const xmlNode *node, const char *name)
{
	xmlNode *n;

	for (n = node->next; n && !xml_is(n, name); n = n->next)
		;
	return n;
}

xmlNode *xml_first(const xmlNode *parent)
{
	xmlNode *n;

	for (n = parent ? parent->children : NULL; n && n->type != XML_ELEMENT_NODE; n = n->next)
		;
	return n;
}

xmlNode *xml_after(const xmlNode *node)
{
	xmlNode *n;

	for (n = node->next; n && n->type != XML_ELEMENT_NODE; n = n->next)
		;
	return n;
}

xmlNode *xml_walk(const xmlNode *parent, const char *path, xmlNode *(*child)(const xmlNode *, const char *))
{
	xmlNode *n = (xmlNode *)parent;
	char name[64];

	while (n && *path) {
		size_t len = strcspn(path, "/");

		if (len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		n = child(n, name);
		path += len + (path[len] == '/');
	}
	return n;
}

xmlNode *xml_at(const xmlNode *parent, const char *path)
{
	return xml_walk(parent, path, xml_child);
}

xmlNode *xml_below(const xmlNode *parent, const char *name)
{
	xmlNode *n, *found = NULL;

	for (n = xml_first(parent); n && !found; n = xml_after(n))
		found = xml_is(n, name) ? n : xml_below(n, name); /* libxml2 has bounded the depth */
	return found;
}

/* Takes s, which is libxml2's. */
static char *own(xmlChar *s)
{
	char *from = (char *)s, *out = NULL;
	size_t n;

	if (!s)
		return NULL;
	while (isspace((unsigned char)*from))
		from++;
	n = strlen(from);
	while (n && isspace((unsigned char)from[n - 1]))
		n--;
	if (n && n <= XML_TEXT_MAX)
		out = xasprintf("%.*s", (int)n, from);
	xmlFree(s);
	return out;
}

char *xml_text(const xmlNode *node)
{
	return node ? own(xmlNodeGetContent(node)) : NULL;
}

char *xml_text_at(const xmlNode *parent, const char *path)
{
	return xml_text(xml_at(parent, path));
}

char *xml_attr(const xmlNode *node, const char *name)
{
	const xmlAttr *a;

	for (a = node ? node->properties : NULL; a; a = a->next)
		if (!strcmp((const char *)a->name, name))
			return own(xmlNodeListGetString(node->doc, a->children, 1));
	return NULL;
}

char *xml_attr_at(const xmlNode *parent, const char *path, const char *name)
{
	return xml_attr(xml_at(parent, path), name);
}

bool xml_attr_is(const xmlNode *node, const char *name, const char *value)
{
	AUTO_FREE char *is = xml_attr(node, name);

	return is && !strcmp(is, value);
}
