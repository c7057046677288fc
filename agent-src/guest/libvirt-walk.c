/* libvirt-walk.c: see libvirt-walk.h. */
#include "libvirt-walk.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* ---- elements and texts ---- */

bool libvirt_is(const xmlNode *node, const char *name)
{
	return xml_is(node, name) && !node->ns;
}

xmlNode *libvirt_child(const xmlNode *parent, const char *name)
{
	xmlNode *n = xml_child(parent, name);

	return n && n->ns ? libvirt_next(n, name) : n;
}

xmlNode *libvirt_next(const xmlNode *node, const char *name)
{
	xmlNode *n = xml_next(node, name);

	while (n && n->ns)
		n = xml_next(n, name);
	return n;
}

xmlNode *libvirt_at(const xmlNode *parent, const char *path)
{
	return xml_walk(parent, path, libvirt_child);
}

/* Takes s, which is libxml2's. */
static char *own_text(xmlChar *s)
{
	size_t n = s ? strlen((const char *)s) : 0;
	char *out = n && n <= XML_TEXT_MAX ? xstrdup((const char *)s) : NULL;

	xmlFree(s);
	return out;
}

char *libvirt_attr(const xmlNode *node, const char *name)
{
	return node ? own_text(xmlGetNoNsProp(node, (const xmlChar *)name)) : NULL;
}

char *libvirt_attr_at(const xmlNode *parent, const char *path, const char *name)
{
	return libvirt_attr(libvirt_at(parent, path), name);
}

char *libvirt_text(const xmlNode *node)
{
	return node ? own_text(xmlNodeGetContent(node)) : NULL;
}

/* ---- sources ---- */

enum libvirt_source libvirt_source_of(const xmlNode *holder)
{
	static const struct {
		const char *type;
		enum libvirt_source source;
	} types[] = {{"file", LIBVIRT_FILE}, {"block", LIBVIRT_BLOCK}, {"volume", LIBVIRT_VOLUME}, {"network", LIBVIRT_NETWORK}};
	AUTO_FREE char *type = libvirt_attr(holder, "type");
	__auto_type known = ROW_OF(types, type, type);

	if (!libvirt_child(holder, "source"))
		return LIBVIRT_NONE;
	return known ? known->source : type ? LIBVIRT_OTHER : LIBVIRT_FILE;
}

char *libvirt_source_name(const xmlNode *holder)
{
	const xmlNode *source = libvirt_child(holder, "source");
	enum libvirt_source kind = libvirt_source_of(holder);
	AUTO_FREE char *pool = NULL, *volume = NULL;

	if (kind == LIBVIRT_FILE || kind == LIBVIRT_BLOCK)
		return libvirt_attr(source, kind == LIBVIRT_FILE ? "file" : "dev");
	if (kind != LIBVIRT_VOLUME)
		return NULL;
	pool = libvirt_attr(source, "pool");
	volume = libvirt_attr(source, "volume");
	return pool && volume ? xasprintf("%s/%s", pool, volume) : NULL;
}

xmlNode *libvirt_backing(const xmlNode *holder)
{
	return libvirt_child(holder, "backingStore");
}

xmlNode *libvirt_data_store(const xmlNode *holder)
{
	return libvirt_at(holder, "source/dataStore");
}

char *libvirt_nvram_name(const xmlNode *nvram)
{
	return libvirt_child(nvram, "source") ? libvirt_source_name(nvram) : libvirt_text(nvram);
}

/* ---- disks ---- */

/* libxml2 has bounded the depth. */
static void add_backing(struct libvirt_disk *d, const xmlNode *holder)
{
	char *name = libvirt_source_name(holder);

	/* the list takes one more than the limit, so that the reader can refuse it */
	if (name && d->backing_count <= LIBVIRT_BACKING_MAX) {
		d->backing = xrealloc(d->backing, (d->backing_count + 1) * sizeof(*d->backing));
		d->backing_formats = xrealloc(d->backing_formats, (d->backing_count + 1) * sizeof(*d->backing_formats));
		d->backing_formats[d->backing_count] = libvirt_attr_at(holder, "format", "type");
		d->backing[d->backing_count++] = name;
	} else {
		free(name);
	}
	if (libvirt_data_store(holder))
		add_backing(d, libvirt_data_store(holder));
	if (libvirt_backing(holder))
		add_backing(d, libvirt_backing(holder));
}

/* A disk that is no file of a directory, in words for people. */
static void say_elsewhere(struct libvirt_disk *d, const xmlNode *node, const xmlNode *source)
{
	AUTO_FREE char *type = libvirt_attr(node, "type"), *protocol = libvirt_attr(source, "protocol");
	const char *of = d->remote ? d->remote : "?";

	if (d->source == LIBVIRT_VOLUME)
		d->elsewhere = xasprintf("the volume '%.200s' of the pool '%.60s'", d->volume ? d->volume : "?", d->pool ? d->pool : "?");
	else if (d->source == LIBVIRT_NETWORK)
		d->elsewhere = xasprintf("%.40s '%.200s', on the network", protocol ? protocol : "?", of);
	else if (d->source == LIBVIRT_OTHER)
		d->elsewhere = xasprintf("of type '%.40s'", type ? type : "?");
}

void libvirt_disk_read(struct libvirt_disk *out, const xmlNode *node)
{
	const xmlNode *source = libvirt_child(node, "source");
	struct libvirt_disk d = {.source = libvirt_source_of(node)};

	d.target = libvirt_attr_at(node, "target", "dev");
	d.device = libvirt_attr(node, "device") ?: xstrdup("disk");
	d.format = libvirt_attr_at(node, "driver", "type") ?: xstrdup("raw"); /* libvirt never guesses */
	d.read_only = libvirt_child(node, "readonly");
	d.shareable = libvirt_child(node, "shareable");
	d.transient = libvirt_child(node, "transient");
	d.encrypted = libvirt_child(node, "encryption") || libvirt_child(source, "encryption");
	if (d.source == LIBVIRT_FILE || d.source == LIBVIRT_BLOCK)
		d.path = libvirt_source_name(node);
	if (d.source == LIBVIRT_VOLUME) {
		d.pool = libvirt_attr(source, "pool");
		d.volume = libvirt_attr(source, "volume");
	}
	if (d.source == LIBVIRT_NETWORK)
		d.remote = libvirt_attr(source, "name");
	if ((d.source == LIBVIRT_FILE || d.source == LIBVIRT_BLOCK) && !d.path)
		d.source = LIBVIRT_NONE;
	say_elsewhere(&d, node, source);
	if (libvirt_data_store(node))
		add_backing(&d, libvirt_data_store(node));
	if (libvirt_backing(node))
		add_backing(&d, libvirt_backing(node));
	d.says_backing = libvirt_backing(node);
	*out = d;
}

void libvirt_disk_fini(struct libvirt_disk *d)
{
	FREE_ALL(d->target, d->device, d->path, d->pool, d->volume, d->remote, d->elsewhere, d->format);
	for (size_t i = 0; i < d->backing_count; i++) {
		free(d->backing[i]);
		free(d->backing_formats[i]);
	}
	free(d->backing);
	free(d->backing_formats);
	*d = (struct libvirt_disk){.source = LIBVIRT_NONE};
}

/* ---- NICs ---- */

void libvirt_nic_read(struct libvirt_nic *out, const xmlNode *node)
{
	static const struct {
		const char *kind, *attr;
	} sources[] = {{"network", "network"}, {"bridge", "bridge"}, {"direct", "dev"}, {"vdpa", "dev"}}, *from;
	const xmlNode *source = libvirt_child(node, "source");
	AUTO_FREE char *network = libvirt_attr(source, "network");
	struct libvirt_nic n = {.kind = libvirt_attr(node, "type")};

	n.mac = libvirt_attr_at(node, "mac", "address");
	n.target = libvirt_attr_at(node, "target", "dev");
	/* a running guest's card shows the network's implementation as its type, beside the network's name */
	if (network && n.kind && (!strcmp(n.kind, "bridge") || !strcmp(n.kind, "direct"))) {
		free(n.kind);
		n.kind = xstrdup("network");
	}
	from = ROW_OF(sources, kind, n.kind);
	n.source = from ? libvirt_attr(source, from->attr) : NULL;
	*out = n;
}

void libvirt_nic_fini(struct libvirt_nic *n)
{
	FREE_ALL(n->mac, n->target, n->kind, n->source);
	*n = (struct libvirt_nic){.mac = NULL};
}

/* ---- names and paths ---- */

static bool has_control(const char *s)
{
	while (*s && !iscntrl((unsigned char)*s))
		s++;
	return *s;
}

int libvirt_name_check(const char *name, struct err *e)
{
	if (!name || !*name || strlen(name) > LIBVIRT_NAME_MAX || strchr(name, '/') || has_control(name) || !text_is_utf8(name))
		return err_set(e, EINVAL, "'%.60s' cannot be a guest's name: 1 to %d bytes without \"/\"", name ? name : "",
			       LIBVIRT_NAME_MAX);
	return 0;
}

int libvirt_path_check(const char *path, const char *what, struct err *e)
{
	if (path && (*path != '/' || strlen(path) > XML_TEXT_MAX || has_control(path) || !text_is_utf8(path)))
		return err_set(e, EINVAL, "%s: '%.200s' is no absolute path", what, path);
	return 0;
}
