/* libvirt-rewrite.c: the rewriter of libvirt-xml.h: a document of libxml2's, changed in place and written again. */
#include "libvirt-walk.h"
#include "libvirt-xml.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <libxml/xmlsave.h>
#include <string.h>
#include <strings.h>

/* A change, and whether it has found a place. */
struct rewriter {
	const struct libvirt_changes *c;
	bool *paths_found, *nets_found;
	bool name_found, listen_found, emulator_found, tpm_found;
};

/* ---- the document ---- */

static void set_attr(xmlNode *node, const char *name, const char *value)
{
	xmlAttr *a = xmlHasNsProp(node, (const xmlChar *)name, NULL);

	if (value)
		xmlSetNsProp(node, NULL, (const xmlChar *)name, (const xmlChar *)value);
	else if (a)
		xmlRemoveProp(a);
}

/* Comments stay; text is what is changed. */
static void set_text(xmlNode *node, const char *value)
{
	xmlNode *n, *next;

	for (n = node->children; n; n = next) {
		next = n->next;
		if (n->type != XML_TEXT_NODE && n->type != XML_CDATA_SECTION_NODE)
			continue;
		xmlUnlinkNode(n);
		xmlFreeNode(n);
	}
	xmlNodeAddContent(node, (const xmlChar *)value);
}

/* Removes a node together with the blanks before it. */
static void remove_node(xmlNode *node)
{
	xmlNode *before = node->prev;

	if (before && xmlIsBlankNode(before)) {
		xmlUnlinkNode(before);
		xmlFreeNode(before);
	}
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

/* ---- sources ---- */

enum holder { OF_DISK, OF_BACKING, OF_DATA, OF_NVRAM };

/* The change that is for this name: the first; -ENOTSUP: another of them says something else. */
static int find_path(struct rewriter *w, const char *name, const struct libvirt_change **out, struct err *e)
{
	*out = NULL;
	for (size_t i = 0; name && i < w->c->path_count; i++) {
		const struct libvirt_change *p = &w->c->paths[i];

		if (strcmp(p->from, name))
			continue;
		if (*out && strcmp((*out)->to, p->to))
			return err_set(e, ENOTSUP, "'%.200s' cannot become both '%.200s' and '%.200s'", name, (*out)->to, p->to);
		*out = *out ? *out : p;
		w->paths_found[i] = true;
	}
	return 0;
}

static int check_change(const xmlNode *holder, enum holder of, const struct libvirt_change *p, struct err *e)
{
	AUTO_FREE char *device = libvirt_attr(holder, "device");
	bool is_path = *p->to == '/', is_file = !p->type || !strcmp(p->type, "file");

	if (p->type && !is_file && strcmp(p->type, "block"))
		return err_set(e, EINVAL, "'%.20s' is no type of a source: file or block", p->type);
	if (is_path && libvirt_path_check(p->to, "the new source", e))
		return -EINVAL;
	if (!is_path && (*p->to == '\0' || !strchr(p->to + 1, '/') || !strchr(p->to, '/')[1]))
		return err_set(e, EINVAL, "'%.200s' is neither an absolute path nor POOL/VOLUME", p->to);
	if (!is_path && of != OF_DISK)
		return err_set(e, ENOTSUP, "only a disk can be on a volume: '%.200s' cannot become '%.200s'", p->from, p->to);
	if (libvirt_child(holder, "mirror"))
		return err_set(e, ENOTSUP, "a block job has '%.200s': its source cannot be changed meanwhile", p->from);
	if (libvirt_at(holder, "source/slices"))
		return err_set(e, ENOTSUP, "the guest's disk is a part of '%.200s' (<slices>): its source cannot be changed", p->from);
	if (device && !strcmp(device, "lun") && (!is_path || (p->type ? is_file : libvirt_source_of(holder) != LIBVIRT_BLOCK)))
		return err_set(e, ENOTSUP, "'%.200s' is passed through as a LUN, which no file can be", p->from);
	return 0;
}

/* A missing type= means "file", so it is only written if needed. */
static void set_type(xmlNode *holder, const char *type)
{
	AUTO_FREE char *is = libvirt_attr(holder, "type");

	if (is || strcmp(type, "file") != 0)
		set_attr(holder, "type", type);
}

/* Sets type= and the attributes of <source> that go with it. */
static void set_source(xmlNode *holder, const struct libvirt_change *p)
{
	static const char *const names[] = {"file", "dev", "pool", "volume", "mode"};
	xmlNode *source = libvirt_child(holder, "source");
	bool is_volume = *p->to != '/', is_block = p->type ? !strcmp(p->type, "block") : libvirt_source_of(holder) == LIBVIRT_BLOCK;
	const char *name = is_block ? "dev" : "file";

	for (size_t i = 0; i < ARRAY_LEN(names); i++) /* mode= is a pool's; what stays keeps its place among the attributes */
		if (is_volume ? i < 2 : strcmp(names[i], name) != 0)
			set_attr(source, names[i], NULL);
	if (is_volume) {
		AUTO_FREE char *pool = xstrndup(p->to, strcspn(p->to, "/"));

		set_attr(source, "pool", pool);
		set_attr(source, "volume", strchr(p->to, '/') + 1);
		set_type(holder, "volume");
	} else {
		set_attr(source, name, p->to);
		set_type(holder, is_block ? "block" : "file");
	}
}

static int set_format(xmlNode *holder, enum holder of, const char *format, struct err *e)
{
	xmlNode *at = of == OF_NVRAM ? holder : libvirt_child(holder, of == OF_DISK ? "driver" : "format");

	if (!at)
		return err_set(e, ENOTSUP, "a source does not say of which format it is, and cannot become %.20s", format);
	set_attr(at, of == OF_NVRAM ? "format" : "type", format);
	return 0;
}

/* A disk, backing file or nvram with <source>, whose name this is. */
static int change_source(struct rewriter *w, xmlNode *holder, enum holder of, struct err *e)
{
	AUTO_FREE char *name = libvirt_source_name(holder);
	const struct libvirt_change *p;
	int r = find_path(w, name, &p, e);

	if (r || !p)
		return r;
	r = check_change(holder, of, p, e);
	if (r)
		return r;
	set_source(holder, p);
	if (p->is_alone && libvirt_backing(holder))
		remove_node(libvirt_backing(holder));
	return p->format ? set_format(holder, of, p->format, e) : 0;
}

/* libxml2 has bounded the depth. */
static int change_chain(struct rewriter *w, xmlNode *holder, enum holder of, struct err *e)
{
	int r = change_source(w, holder, of, e);

	if (!r && libvirt_data_store(holder))
		r = change_chain(w, libvirt_data_store(holder), OF_DATA, e);
	if (!r && libvirt_backing(holder))
		r = change_chain(w, libvirt_backing(holder), OF_BACKING, e);
	return r;
}

static int change_disks(struct rewriter *w, xmlNode *parent, struct err *e)
{
	xmlNode *n;
	int r = 0;

	for (n = libvirt_child(parent, "disk"); n && !r; n = libvirt_next(n, "disk"))
		r = change_chain(w, n, OF_DISK, e);
	return r;
}

static int change_nvram(struct rewriter *w, xmlNode *nvram, struct err *e)
{
	AUTO_FREE char *path = NULL;
	const struct libvirt_change *p;
	int r;

	if (!nvram || libvirt_child(nvram, "source"))
		return nvram ? change_source(w, nvram, OF_NVRAM, e) : 0;
	path = libvirt_nvram_name(nvram);
	r = find_path(w, path, &p, e);
	if (r || !p)
		return r;
	r = check_change(nvram, OF_NVRAM, p, e);
	if (r)
		return r;
	if (p->type && strcmp(p->type, "file"))
		return err_set(e, ENOTSUP, "the nvram '%.200s' is a file, and cannot become a block device", p->from);
	set_text(nvram, p->to);
	return p->format ? set_format(nvram, OF_NVRAM, p->format, e) : 0;
}

/* ---- NICs ---- */

/* names: MAC, target, then where it is attached. */
static bool is_meant(const struct libvirt_change *c, const struct libvirt_nic *n, const char *name, size_t which)
{
	if (!name || (c->kind && (which < 2 || !n->kind || strcmp(c->kind, n->kind))))
		return false;
	return which ? !strcmp(c->from, name) : !strcasecmp(c->from, name);
}

/* The most telling of them. */
static const struct libvirt_change *find_net(struct rewriter *w, const struct libvirt_nic *n)
{
	const char *names[] = {n->mac, n->target, n->source};
	const struct libvirt_change *found = NULL;
	size_t i, k;

	for (k = 0; k < ARRAY_LEN(names); k++)
		for (i = 0; i < w->c->net_count; i++)
			if (is_meant(&w->c->nets[i], n, names[k], k)) {
				w->nets_found[i] = true;
				found = found ?: &w->c->nets[i];
			}
	return found;
}

/* Refuses a change after which the guest would see another card, or which keeps settings of the old kind of network. */
static int check_nic(const xmlNode *node, const struct libvirt_nic *n, struct err *e)
{
	static const char *const kinds[] = {"network", "bridge", "direct", "user", NULL};
	static const char *const own[] = {"ip", "route", "portForward", "script"};
	const char *which = n->mac ? n->mac : n->target ? n->target : "?";

	if (!n->kind || word_index(kinds, n->kind) < 0)
		return err_set(e, ENOTSUP, "the network card %.40s is of type '%.40s', which cannot become a network's or a bridge's",
			       which, n->kind ? n->kind : "?");
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (libvirt_child(node, own[i]))
			return err_set(e, ENOTSUP, "the network card %.40s has <%s>, which only a card of type '%.40s' has", which, own[i],
				       n->kind);
	if (!strcmp(n->kind, "user") && libvirt_child(node, "backend"))
		return err_set(e, ENOTSUP, "the network card %.40s has <backend>, which only a card of type 'user' has", which);
	if (!strcmp(n->kind, "direct") && libvirt_child(node, "virtualport"))
		return err_set(e, ENOTSUP, "the network card %.40s has a <virtualport> of its switch's, which no bridge has", which);
	return 0;
}

static int change_nic(struct rewriter *w, xmlNode *node, struct err *e)
{
	static const char *const names[] = {"network", "portgroup", "portid", "bridge", "dev", "mode"};
	struct libvirt_nic n;
	const struct libvirt_change *p;
	xmlNode *source = libvirt_child(node, "source");
	const char *kind, *to;
	int r;

	libvirt_nic_read(&n, node);
	p = find_net(w, &n);
	r = p ? check_nic(node, &n, e) : 0;
	libvirt_nic_fini(&n);
	if (r || !p)
		return r;
	kind = !strncmp(p->to, "network:", 8) ? "network" : "bridge";
	to = strchr(p->to, ':') + 1;
	if (!source)
		source = xmlNewChild(node, NULL, (const xmlChar *)"source", NULL);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], kind) != 0)
			set_attr(source, names[i], NULL);
	set_attr(source, kind, to);
	set_attr(node, "type", kind);
	return 0;
}

static int check_nets(const struct libvirt_changes *c, struct err *e)
{
	for (size_t i = 0; i < c->net_count; i++) {
		const char *to = c->nets[i].to;
		size_t kind = !strncmp(to, "network:", 8) ? 8 : !strncmp(to, "bridge:", 7) ? 7 : 0;

		if (!kind || !to[kind] || !text_is_utf8(to))
			return err_set(e, EINVAL, "'%.60s' is neither network:NAME nor bridge:NAME", to);
	}
	return 0;
}

/* ---- graphics, name, emulator, TPM ---- */

/* True for addresses that every host has: a guest that can be reached only from its own host must not become reachable from others. */
static bool is_any_host(const char *address)
{
	static const char *const same[] = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::", NULL};

	return word_index(same, address) >= 0;
}

static void change_address(struct rewriter *w, xmlNode *node, const char *attr)
{
	AUTO_FREE char *is = libvirt_attr(node, attr);

	if (!is || is_any_host(is))
		return;
	set_attr(node, attr, w->c->listen);
	w->listen_found = true;
}

static void change_listens(struct rewriter *w, xmlNode *devices)
{
	xmlNode *g, *l;

	for (g = libvirt_child(devices, "graphics"); g; g = libvirt_next(g, "graphics")) {
		bool of_network = false;

		for (l = libvirt_child(g, "listen"); l; l = libvirt_next(l, "listen")) {
			AUTO_FREE char *type = libvirt_attr(l, "type");

			of_network |= type && !strcmp(type, "network"); /* the network's address, which is shown while the guest runs */
			if (type && !strcmp(type, "address"))
				change_address(w, l, "address");
		}
		if (!of_network)
			change_address(w, g, "listen");
	}
}

static bool change_text(xmlNode *node, const char *to)
{
	if (node && to)
		set_text(node, to);
	return node;
}

static bool drop_all(xmlNode *parent, const char *name)
{
	bool found = false;
	xmlNode *n;

	while ((n = libvirt_child(parent, name))) {
		remove_node(n);
		found = true;
	}
	return found;
}

/* ---- the whole ---- */

/* Changes the files of the firmware, or of a kernel that is booted directly. */
static int change_boot_files(struct rewriter *w, const xmlNode *os, struct err *e)
{
	static const char *const names[] = {"loader", "kernel", "initrd", "dtb"};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(names) && !r; i++) {
		xmlNode *node = libvirt_child(os, names[i]);
		AUTO_FREE char *path = libvirt_text(node);
		const struct libvirt_change *p = NULL;

		r = find_path(w, path, &p, e);
		if (!r && p)
			set_text(node, p->to);
	}
	return r;
}

static int change_domain(struct rewriter *w, xmlNode *domain, struct err *e)
{
	xmlNode *devices = libvirt_child(domain, "devices"), *n;
	int r = change_disks(w, devices, e) ?: change_nvram(w, libvirt_at(domain, "os/nvram"), e);

	r = r ?: change_boot_files(w, libvirt_child(domain, "os"), e);
	for (n = libvirt_child(devices, "interface"); n && !r; n = libvirt_next(n, "interface"))
		r = change_nic(w, n, e);
	if (w->c->listen)
		change_listens(w, devices);
	w->name_found |= change_text(libvirt_child(domain, "name"), w->c->name);
	w->emulator_found |= change_text(libvirt_child(devices, "emulator"), w->c->emulator);
	if (w->c->drop_tpm)
		w->tpm_found |= drop_all(devices, "tpm");
	return r;
}

static int change_snapshot(struct rewriter *w, xmlNode *root, struct err *e)
{
	static const char *const domains[] = {"domain", "inactiveDomain"}, *const lists[] = {"disks", "revertDisks"};
	xmlNode *memory = libvirt_child(root, "memory");
	AUTO_FREE char *file = libvirt_attr(memory, "file");
	const struct libvirt_change *p;
	int r = find_path(w, file, &p, e);

	if (!r && p && *p->to != '/')
		r = err_set(e, ENOTSUP, "a snapshot's memory '%.200s' cannot become '%.200s'", p->from, p->to);
	if (!r && p)
		set_attr(memory, "file", p->to);
	for (size_t i = 0; i < ARRAY_LEN(lists) && !r; i++)
		r = change_disks(w, libvirt_child(root, lists[i]), e);
	for (size_t i = 0; i < ARRAY_LEN(domains) && !r; i++)
		if (libvirt_child(root, domains[i]))
			r = change_domain(w, libvirt_child(root, domains[i]), e);
	return r;
}

static int missing(const struct rewriter *w, struct err *e)
{
	const struct libvirt_changes *c = w->c;

	for (size_t i = 0; i < c->path_count && !c->may_miss; i++)
		if (!w->paths_found[i] && !c->paths[i].may_miss)
			return err_set(e, ENOENT, "no disk, backing file, firmware or kernel of it is '%.200s'", c->paths[i].from);
	for (size_t i = 0; i < c->net_count && !c->may_miss; i++)
		if (!w->nets_found[i] && !c->nets[i].may_miss)
			return err_set(e, ENOENT, "no network card of it has the address, target or network '%.60s'", c->nets[i].from);
	if (c->name && !w->name_found)
		return err_set(e, ENOENT, "it has no <name>");
	if (c->emulator && !w->emulator_found)
		return err_set(e, ENOENT, "it has no <emulator>");
	if (c->listen && !w->listen_found)
		return err_set(e, ENOENT, "no graphics of it listens at an address of this host alone");
	if (c->drop_tpm && !w->tpm_found)
		return err_set(e, ENOENT, "it has no TPM");
	return 0;
}

static int write_whole(xmlDoc *doc, char **out, struct err *e)
{
	xmlBuffer *b = xmlBufferCreate();
	/* libvirt's own has no declaration; what had another encoding is UTF-8 */
	xmlSaveCtxt *s = b ? xmlSaveToBuffer(b, "UTF-8", XML_SAVE_NO_DECL) : NULL;
	bool saved = s && xmlSaveDoc(s, doc) >= 0;

	saved = s && xmlSaveClose(s) >= 0 && saved;
	if (saved)
		*out = xstrdup((const char *)xmlBufferContent(b));
	xmlBufferFree(b);
	return saved ? 0 : err_set(e, ENOMEM, "it could not be written again: out of memory");
}

static int rewrite(const char *xml, size_t n, const char *root, const struct libvirt_changes *c, char **out, struct err *e)
{
	AUTO_FREE bool *paths = xcalloc(c->path_count + 1, 1), *nets = xcalloc(c->net_count + 1, 1);
	struct rewriter w = {.c = c, .paths_found = paths, .nets_found = nets};
	bool is_domain = !strcmp(root, "domain");
	xmlNode *top;
	xmlDoc *doc;
	int r = check_nets(c, e);

	if (r || (c->name && (r = libvirt_name_check(c->name, e))) || (r = libvirt_path_check(c->emulator, "the emulator", e)))
		return r;
	if (n > LIBVIRT_XML_MAX)
		return err_set(e, EINVAL, "it is longer than %u KiB, which no definition is", LIBVIRT_XML_MAX >> 10);
	r = xml_read_whole(&doc, xml, n, e);
	if (r)
		return r;
	top = xmlDocGetRootElement(doc);
	if (!libvirt_is(top, root))
		r = err_set(e, EINVAL, "its outermost element is not <%s>", root);
	else if (is_domain)
		r = change_domain(&w, top, e) ?: missing(&w, e);
	else
		r = change_snapshot(&w, top, e);
	r = r ?: write_whole(doc, out, e);
	xmlFreeDoc(doc);
	return r;
}

int libvirt_xml_rewrite(const char *xml, size_t n, const struct libvirt_changes *c, char **out, struct err *e)
{
	return rewrite(xml, n, "domain", c, out, e);
}

int libvirt_snapshot_rewrite(const char *xml, size_t n, const struct libvirt_changes *c, char **out, struct err *e)
{
	return rewrite(xml, n, "domainsnapshot", c, out, e);
}
