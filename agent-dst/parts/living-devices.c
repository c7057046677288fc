/* living-devices.c: see living-devices.h. */
#include "living-devices.h"
#include "json-text.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An element in a text: from its "<" on, what is inside, and what comes behind it. One without anything inside ends there. */
struct element {
	const char *begin, *inside, *end;
	size_t name_len;
};

/* Past the tag that begins here; NULL: it does not end. */
static const char *past_tag(const char *p)
{
	char quote = 0;

	for (p++; *p; p++) {
		if (quote)
			quote = *p == quote ? 0 : quote;
		else if (*p == '"' || *p == '\'')
			quote = *p;
		else if (*p == '>')
			return p + 1;
	}
	return NULL;
}

static const char *past_text(const char *p, const char *text)
{
	p = strstr(p, text);
	return p ? p + strlen(text) : NULL;
}

/* The next tag, past comments and the like; NULL: there is none. */
static const char *next_tag(const char *p)
{
	while ((p = strchr(p, '<')) && (p[1] == '!' || p[1] == '?')) {
		p = !strncmp(p, "<!--", 4) ? past_text(p, "-->") : !strncmp(p, "<![CDATA[", 9) ? past_text(p, "]]>") : past_tag(p);
		if (!p)
			return NULL;
	}
	return p;
}

/* False: what it is in ends, or it is no XML. */
static bool next_element(const char *p, struct element *out)
{
	p = next_tag(p);
	out->begin = p;
	out->inside = p && p[1] != '/' ? past_tag(p) : NULL;
	if (!out->inside)
		return false;
	out->name_len = strcspn(p + 1, " \t\n/>");
	out->end = out->inside;
	for (size_t depth = out->inside[-2] != '/'; depth; out->end = past_tag(p)) {
		p = next_tag(out->end);
		if (!p || !past_tag(p))
			return false;
		depth = p[1] == '/' ? depth - 1 : depth + (past_tag(p)[-2] != '/');
	}
	return true;
}

static bool next_child(const struct element *parent, const char *after, struct element *out)
{
	return parent->inside != parent->end && next_element(after ?: parent->inside, out);
}

static bool is(const struct element *e, const char *name)
{
	return e->name_len == strlen(name) && !strncmp(e->begin + 1, name, e->name_len);
}

static bool child(const struct element *parent, const char *name, struct element *out)
{
	const char *after = NULL;

	while (next_child(parent, after, out)) {
		if (is(out, name))
			return true;
		after = out->end;
	}
	return false;
}

/* Malloc'ed, as it is written; NULL: it has none. */
static char *attribute(const struct element *e, const char *name)
{
	const char *p = e->begin + 1 + e->name_len, *end;
	size_t n;

	for (;; p = end + 1) {
		p += strspn(p, " \t\n");
		n = strcspn(p, "= \t\n/>");
		end = n && p[n] == '=' && (p[n + 1] == '"' || p[n + 1] == '\'') ? strchr(p + n + 2, p[n + 1]) : NULL;
		if (!end)
			return NULL;
		if (n == strlen(name) && !strncmp(p, name, n))
			return xstrndup(p + n + 2, (size_t)(end - p) - n - 2);
	}
}

static char *attribute_of(const struct element *parent, const char *name, const char *attr)
{
	struct element e;

	return child(parent, name, &e) ? attribute(&e, attr) : NULL;
}

/* Text of an element, without the number that libvirt gives to an image of a guest that runs. */
static char *text_of(const struct element *parent, const char *name)
{
	static const char word[] = " index='";
	const char *index, *rest;
	struct element e;

	if (!child(parent, name, &e))
		return xstrdup("nothing");
	index = memmem(e.begin, (size_t)(e.inside - e.begin), word, strlen(word));
	rest = index ? index + strlen(word) : NULL;
	rest = index ? memchr(rest, '\'', (size_t)(e.inside - rest)) : NULL;
	if (!rest)
		return xstrndup(e.begin, (size_t)(e.end - e.begin));
	return xasprintf("%.*s%.*s", (int)(index - e.begin), e.begin, (int)(e.end - rest) - 1, rest + 1);
}

static bool devices_of(const char *xml, struct element *out)
{
	struct element root;

	return next_element(xml, &root) && is(&root, "domain") && child(&root, "devices", out);
}

static json_t *device(const struct element *e, const char *alias)
{
	AUTO_FREE char *target = attribute_of(e, "target", "dev");
	AUTO_FREE char *mac = attribute_of(e, "mac", "address");
	AUTO_FREE char *kind = attribute(e, "device");
	AUTO_FREE char *source = text_of(e, "source");
	bool disk = is(e, "disk"), nic = is(e, "interface"), image = disk && (!kind || !strcmp(kind, "disk") || !strcmp(kind, "lun"));
	json_t *out = json_pack("{s:o}", "what",
				json_sprintf("%.*s %s", (int)e->name_len, e->begin + 1,
					     disk && target ? target
					     : nic && mac   ? mac
							    : alias));

	json_object_set_new(out, "is", json_string(disk || nic ? source : ""));
	if (image)
		json_object_set_new(out, "image", json_true());
	return out;
}

json_t *living_devices(const char *xml)
{
	struct element devices, e;
	const char *after = NULL;
	json_t *out;

	if (!devices_of(xml, &devices))
		return NULL;
	for (out = json_object(); next_child(&devices, after, &e); after = e.end) {
		AUTO_FREE char *alias = attribute_of(&e, "alias", "name");

		if (alias)
			json_object_set_new(out, alias, device(&e, alias));
	}
	return out;
}

/* The disk that the guest has as "disk vda". */
static bool disk_of(const char *xml, const char *what, struct element *out)
{
	struct element devices;
	const char *after = NULL;

	if (!devices_of(xml, &devices))
		return false;
	for (; next_child(&devices, after, out); after = out->end) {
		AUTO_FREE char *target = is(out, "disk") ? attribute_of(out, "target", "dev") : NULL;

		if (target && !strcmp(target, what + strlen("disk ")))
			return true;
	}
	return false;
}

static void append(char **to, const char *from, const char *end)
{
	char *all = xasprintf("%s%.*s", *to, (int)(end - from), from);

	free(*to);
	*to = all;
}

static bool is_of_image(const struct element *e)
{
	return is(e, "driver") || is(e, "source") || is(e, "backingStore");
}

/* The disk of the definition gets type, driver and source of the running guest's disk, and keeps all else. libvirt reads from the image what it is based on,
 * unless the definition says that, too. False: one of the two has no such disk. */
static bool take_image(char **xml, const char *live, const char *what)
{
	static const char end_tag[] = "</disk>";
	struct element is_now, defined, e;
	const char *after = NULL;
	char *all;
	bool names_base;

	if (!disk_of(*xml, what, &defined) || !disk_of(live, what, &is_now) || defined.inside == defined.end ||
	    !child(&is_now, "source", &e))
		return false;
	names_base = child(&defined, "backingStore", &e);
	all = xstrndup(*xml, (size_t)(defined.begin - *xml));
	append(&all, is_now.begin, is_now.inside);
	for (; next_child(&is_now, after, &e); after = e.end)
		if (is_of_image(&e) && (names_base || !is(&e, "backingStore")))
			append(&all, e.begin, e.end);
	for (after = NULL; next_child(&defined, after, &e); after = e.end)
		if (!is_of_image(&e))
			append(&all, e.begin, e.end);
	append(&all, end_tag, end_tag + strlen(end_tag));
	append(&all, defined.end, defined.end + strlen(defined.end));
	free(*xml);
	*xml = all;
	return true;
}

static const char *word_of(const json_t *one, const char *key)
{
	return json_text(one, key) ?: "";
}

/* A disk whose number another has got by now is not the same one. */
static bool is_same(const json_t *a, const json_t *b)
{
	return !strcmp(word_of(a, "what"), word_of(b, "what"));
}

int living_devices_take(char **xml, const char *live, const json_t *before, const json_t *now, json_t *taken, json_t *lost, struct err *e)
{
	const char *alias;
	const json_t *one, *was;
	struct element ignored;

	if (!devices_of(*xml, &ignored) || !devices_of(live, &ignored))
		return err_set(e, EBADMSG, "cannot read what libvirt says of the guest's devices");
	json_object_foreach((json_t *)(uintptr_t)now, alias, one) {
		was = json_object_get(before, alias);
		if (!was || !is_same(was, one))
			json_array_append_new(lost, json_sprintf("%s was attached", word_of(one, "what")));
		else if (!json_equal(was, one))
			json_array_append_new(json_is_true(json_object_get(one, "image")) && take_image(xml, live, word_of(one, "what"))
						      ? taken
						      : lost,
					      json_sprintf("%s is of %s", word_of(one, "what"), word_of(one, "is")));
	}
	json_object_foreach((json_t *)(uintptr_t)before, alias, one) {
		was = json_object_get(now, alias);
		if (!was || !is_same(was, one))
			json_array_append_new(lost, json_sprintf("%s was detached", word_of(one, "what")));
	}
	return 0;
}
