/* plain-libvirt.c: see plain-libvirt.h. Words, what becomes of those that no part has taken, and the whole. */
#include "plain-libvirt-private.h"
#include "qemu-args.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <libxml/xmlsave.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- words ---- */

struct word *word_next(const struct plain_work *p, const char *option, const struct word *after)
{
	size_t i = after ? (size_t)(after - p->words) + 1 : 0;

	while (i < p->count && strcmp(p->words[i].option, option) != 0)
		i++;
	return i < p->count ? &p->words[i] : NULL;
}

struct word *word_last(const struct plain_work *p, const char *option)
{
	struct word *w = NULL, *next;

	while ((next = word_next(p, option, w)))
		w = next;
	return w;
}

struct word *word_called(const struct plain_work *p, const char *option, const char *key, const char *value)
{
	struct word *w = NULL;
	const char *is;

	while ((w = word_next(p, option, w))) {
		is = kv_get(&w->p.l, key, NULL);
		if (is && value && !strcmp(is, value))
			return w;
	}
	return NULL;
}

const char *word_take(struct word *w, const char *key)
{
	const char *value = NULL;

	for (size_t i = 0; i < w->p.l.n; i++)
		if (w->p.l.v[i].key && !strcmp(w->p.l.v[i].key, key)) {
			value = w->p.l.v[i].value;
			w->used[i] = true;
		}
	return value;
}

bool word_is_yes(const char *value)
{
	static const char *const words[] = {"on", "yes", "true", "y", "1", NULL};

	return word_index(words, value) >= 0;
}

int word_flag(struct word *w, const char *key)
{
	int is = -1;

	for (size_t i = 0; i < w->p.l.n; i++) {
		const struct kv *v = &w->p.l.v[i];
		bool bare = !v->key, no = bare && !strncmp(v->value, "no", 2) && !strcmp(v->value + 2, key);

		if (!no && strcmp(bare ? v->value : v->key, key) != 0)
			continue;
		is = bare ? !no : word_is_yes(v->value);
		w->used[i] = true;
	}
	return is;
}

void word_pass(struct word *w, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		word_take(w, keys[i]);
}

const char *word_see(struct word *w)
{
	w->seen = true;
	return w->value;
}

void word_done(struct word *w)
{
	w->seen = true;
	for (size_t i = 0; i < w->p.l.n; i++)
		w->used[i] = true;
}

/* ---- what is told ---- */

static void add_note(struct plain_libvirt *out, char *note)
{
	if (words_have(out->notes, out->note_count, note)) {
		free(note);
		return;
	}
	text_make_printable(note, false);
	words_add(&out->notes, &out->note_count, note);
}

void plain_note(struct plain_work *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_note(p->out, xvasprintf(fmt, ap));
	va_end(ap);
}

void plain_refuse(struct plain_work *p, const char *fmt, ...)
{
	AUTO_FREE char *before = p->refused;
	AUTO_FREE char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	p->refused = before ? xasprintf("%s; %s", before, text) : xstrdup(text);
}

char *plain_path(const struct plain_work *p, const char *path)
{
	return *path == '/' ? xstrdup(path) : xasprintf("%s/%s", strcmp(p->g->cwd, "/") ? p->g->cwd : "", path);
}

/* ---- XML ---- */

xmlNode *plain_add(xmlNode *parent, const char *name)
{
	return xmlNewChild(parent, NULL, (const xmlChar *)name, NULL);
}

void plain_set(xmlNode *node, const char *attr, const char *value)
{
	if (value)
		xmlSetNsProp(node, NULL, (const xmlChar *)attr, (const xmlChar *)value);
}

void plain_set_number(xmlNode *node, const char *attr, unsigned long value)
{
	AUTO_FREE char *text = xasprintf("%lu", value);

	plain_set(node, attr, text);
}

xmlNode *plain_add_text(xmlNode *parent, const char *name, const char *text)
{
	return xmlNewTextChild(parent, NULL, (const xmlChar *)name, (const xmlChar *)text);
}

xmlNode *plain_add_with(xmlNode *parent, const char *name, const char *attr, const char *value)
{
	xmlNode *node = plain_add(parent, name);

	plain_set(node, attr, value);
	return node;
}

/* ---- what no part has taken ---- */

#define LIBVIRTS "" /* note for an option about QEMU's process, which is libvirt's there: none */

/* Options without which the guest is what it was. All others are refused. */
static const struct {
	const char *option, *note;
} niceties[] = {
	{"qmp", LIBVIRTS},
	{"qmp-pretty", LIBVIRTS},
	{"mon", LIBVIRTS},
	{"monitor", LIBVIRTS},
	{"pidfile", LIBVIRTS},
	{"daemonize", LIBVIRTS},
	{"msg", LIBVIRTS},
	{"D", LIBVIRTS},
	{"d", LIBVIRTS},
	{"trace", LIBVIRTS},
	{"sandbox", LIBVIRTS},
	{"runas", LIBVIRTS},
	{"run-with", LIBVIRTS},
	{"chroot", LIBVIRTS},
	{"L", LIBVIRTS},
	{"S", LIBVIRTS},
	{"incoming", LIBVIRTS},
	{"no-shutdown", LIBVIRTS},
	{"overcommit", "how QEMU takes memory and processors of its host is libvirt's (<memoryBacking>, <cputune>)"},
	{"mem-prealloc", "its memory is not taken at once there (<memoryBacking><allocation mode='immediate'/>)"},
	{"mem-path", "its memory is ordinary memory there, and no hugepages (<memoryBacking><hugepages/>)"},
	{"numa", "its memory and processors are in one NUMA node there (<cpu><numa>)"},
	{"audiodev", "it has no sound there (<sound>)"},
	{"audio", "it has no sound there (<sound>)"},
	{"soundhw", "it has no sound there (<sound>)"},
	{"watchdog", "it has no watchdog there (<watchdog>)"},
	{"watchdog-action", "it has no watchdog there (<watchdog>)"},
	{"debugcon", "what it says on its debug port is not kept there"},
	{"parallel", "it has no parallel port there (<parallel>)"},
	{"full-screen", LIBVIRTS},
	{"no-quit", LIBVIRTS},
	{"alt-grab", LIBVIRTS},
	{"ctrl-grab", LIBVIRTS},
	{"no-fd-bootchk", NULL},
	{"gdb", NULL},
	{"s", NULL},
	{"win2k-hack", NULL},
	{"action", NULL},
	{"global", NULL},
	{"chardev", LIBVIRTS},
	{"tpmdev", LIBVIRTS},
	{"netdev", "no network card uses it"},
	{"drive", "no device shows it to the guest"},
	{"blockdev", "no device shows it to the guest"},
};

/* -object of these kinds; all others are refused. */
static const struct {
	const char *begin, *note;
} objects[] = {
	{"memory-backend-", "its memory is ordinary memory there, of libvirt's choice (<memoryBacking>)"},
	{"secret", "a secret of its line (-object secret) is not needed there"},
	{"tls-creds-", "the certificates of its screen are not used there"},
	{"throttle-group", "limits of disk I/O are not set there (virsh blkdeviotune)"},
	{"authz-", "who may see its screen is libvirt's to say there"},
	{"input-linux", "keyboard and mouse of this host are not its own there"},
	{"thread-context", "how QEMU takes memory of its host is libvirt's"},
	{"monitor-", LIBVIRTS},
};

static char *joined(char *before, const char *more)
{
	char *all = before ? xasprintf("%s, %s", before, more) : xstrdup(more);

	free(before);
	return all;
}

/* Note on an object of this kind; "": it only serves other options, which have notes of their own; NULL: unknown kind. */
static const char *object_note(const char *type)
{
	for (size_t i = 0; type && i < ARRAY_LEN(objects); i++)
		if (!strncmp(type, objects[i].begin, strlen(objects[i].begin)))
			return objects[i].note ?: "";
	return NULL;
}

static void sweep_object(struct plain_work *p, struct word *w, char **libvirts)
{
	const char *type = kv_get(&w->p.l, "qom-type", NULL), *note = object_note(type);

	if (!note)
		plain_refuse(p, "-object %.60s", type ?: "");
	else if (*note)
		plain_note(p, "%s", note);
	else
		*libvirts = joined(*libvirts, type);
	word_done(w);
}

static void sweep_option(struct plain_work *p, struct word *w, char **libvirts)
{
	AUTO_FREE char *said = xasprintf("-%s%s%.200s", w->option, w->value ? " " : "", w->value ?: "");
	__auto_type nicety = ROW_OF(niceties, option, w->option);

	if (!nicety)
		plain_refuse(p, "%s", *w->option ? said : w->value);
	else if (!nicety->note)
		plain_note(p, "%s is not set there", said);
	else if (*nicety->note)
		plain_note(p, "%s (%s)", nicety->note, said);
	else
		*libvirts = joined(*libvirts, said);
	word_done(w);
}

/* Keys of an option that was taken. */
static void sweep_keys(struct plain_work *p, const struct word *w)
{
	const char *kind = kv_get(&w->p.l, "driver", NULL) ?: kv_get(&w->p.l, "qom-type", NULL);

	for (size_t i = 0; i < w->p.l.n; i++) {
		const struct kv *v = &w->p.l.v[i];

		if (!w->used[i])
			plain_note(p, "%s of -%s%s%s is not set there", v->key ?: v->value, w->option, kind ? " " : "", kind ?: "");
	}
}

static void sweep(struct plain_work *p)
{
	AUTO_FREE char *libvirts = NULL;

	for (size_t i = 0; i < p->count; i++) {
		struct word *w = &p->words[i];

		if (w->seen)
			sweep_keys(p, w);
		else if (!strcmp(w->option, "object"))
			sweep_object(p, w, &libvirts);
		else
			sweep_option(p, w, &libvirts);
	}
	if (libvirts)
		plain_note(p, "libvirt has its own ways, or what they were for is not there: %s", libvirts);
}

/* ---- the whole ---- */

/* Options whose value is a list of keys, and the key of a first part without one. */
static const struct {
	const char *option, *implied;
} lists[] = {
	{"name", "guest"},    {"machine", "type"}, {"M", "type"},      {"accel", "accel"}, {"cpu", "model"},	   {"smp", "cpus"},
	{"m", "size"},	      {"boot", "order"},   {"rtc", NULL},      {"smbios", NULL},   {"drive", NULL},	   {"blockdev", "driver"},
	{"device", "driver"}, {"netdev", "type"},  {"nic", "type"},    {"net", "type"},	   {"chardev", "backend"}, {"object", "qom-type"},
	{"tpmdev", "type"},   {"global", NULL},	   {"fw_cfg", "name"},
};

static void read_word(struct word *w, const struct qemu_opt *opt)
{
	__auto_type list = ROW_OF(lists, option, opt->name);

	*w = (struct word){.option = opt->name, .value = opt->value};
	if (!list || !opt->value)
		return;
	props_parse(&w->p, opt->value);
	if (list->implied && w->p.l.n && !w->p.l.v[0].key)
		w->p.l.v[0].key = xstrdup(list->implied);
	w->used = xcalloc(w->p.l.n + 1, sizeof(*w->used));
}

static bool has_controls(const char *text)
{
	for (; *text && ((unsigned char)*text >= ' ' || *text == '\t' || *text == '\n'); text++)
		;
	return *text;
}

static int read_words(struct plain_work *p, struct err *e)
{
	struct qemu_opt opt;
	size_t i = 1;

	p->words = xcalloc(p->g->argc + 1, sizeof(*p->words));
	while (qemu_opt_next(p->g->argv, p->g->argc, &i, &opt)) {
		if (opt.value && (!text_is_utf8(opt.value) || has_controls(opt.value)))
			return err_set(e, EINVAL, "the value of -%s is not a text that a definition could have", opt.name);
		read_word(&p->words[p->count++], &opt);
		if (p->words[p->count - 1].p.broken)
			return err_set(e, EINVAL, "the value of -%s begins like JSON and is not", opt.name);
	}
	return 0;
}

static int write_xml(struct plain_work *p, struct err *e)
{
	xmlBuffer *b = xmlBufferCreate();
	xmlSaveCtxt *s = b ? xmlSaveToBuffer(b, "UTF-8", XML_SAVE_NO_DECL | XML_SAVE_FORMAT) : NULL;
	bool saved = s && xmlSaveDoc(s, p->xml.domain->doc) >= 0;

	saved = s && xmlSaveClose(s) >= 0 && saved;
	if (saved)
		p->out->xml = xstrdup((const char *)xmlBufferContent(b));
	xmlBufferFree(b);
	return saved ? 0 : err_set(e, ENOMEM, "the definition cannot be written");
}

static int check_nets_used(const struct plain_work *p, struct err *e)
{
	for (size_t i = 0; i < p->g->net_count; i++)
		if (!p->nets_used[i])
			return err_set(e, EINVAL, "--map-net %s: the guest has no network card of that id or address", p->g->nets[i]);
	return 0;
}

static int compose(struct plain_work *p, struct err *e)
{
	static plain_part *const parts[] = {plain_identity, plain_machine,     plain_cpu,	plain_firmware, plain_clock,
					    plain_smbios,   plain_controllers, plain_disks,	plain_cards,	plain_ports,
					    plain_screen,   plain_devices,     plain_boot_order};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		parts[i](p);
	sweep(p);
	if (p->refused)
		return err_set(
			e, ENOTSUP,
			"a guest of libvirt's (--as libvirt) cannot have what this one has: %s. Take that out of what starts it, or move it to a host "
			"where it is a plain one again",
			p->refused);
	return check_nets_used(p, e);
}

static void fini(struct plain_work *p)
{
	for (size_t i = 0; i < p->count; i++) {
		props_fini(&p->words[i].p);
		free(p->words[i].used);
	}
	FREE_ALL(p->words, p->refused, p->boots, p->nets_used);
	xmlFreeDoc(p->xml.domain->doc);
}

int plain_libvirt_make(struct plain_libvirt *out, const struct plain_guest *g, struct err *e)
{
	struct plain_work p = {.g = g, .out = out};
	xmlDoc *doc = xmlNewDoc((const xmlChar *)"1.0");
	int r;

	*out = (struct plain_libvirt){.xml = NULL};
	p.xml.domain = xmlNewNode(NULL, (const xmlChar *)"domain");
	xmlDocSetRootElement(doc, p.xml.domain);
	p.nets_used = xcalloc(g->net_count + 1, sizeof(*p.nets_used));
	r = read_words(&p, e) ?: compose(&p, e) ?: write_xml(&p, e);
	fini(&p);
	if (r)
		plain_libvirt_fini(out);
	return r;
}

void plain_libvirt_fini(struct plain_libvirt *p)
{
	for (size_t i = 0; i < p->note_count; i++)
		free(p->notes[i]);
	free(p->notes);
	free(p->xml);
	*p = (struct plain_libvirt){.xml = NULL};
}
