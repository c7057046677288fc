/* qemu-opts.c: see qemu-opts.h. Syntax: QEMU's system/vl.c, util/qemu-option.c, util/keyval.c. */
#include "qemu-opts.h"
#include "util.h"

#include <string.h>

/* Options without a value in QEMU 5 to 10 (qemu-options.def). Any other option takes the argument after it. */
static const char *const no_value[] = {
	"S",
	"alt-grab",
	"async-teardown",
	"ctrl-grab",
	"curses",
	"daemonize",
	"enable-fips",
	"enable-hax",
	"enable-kvm",
	"enable-sync-profile",
	"full-screen",
	"h",
	"help",
	"jitdump",
	"mem-prealloc",
	"no-acpi",
	"no-fd-bootchk",
	"no-frame",
	"no-hpet",
	"no-kvm",
	"no-kvm-irqchip",
	"no-kvm-pit",
	"no-kvm-pit-reinjection",
	"no-quit",
	"no-reboot",
	"no-shutdown",
	"no-user-config",
	"nodefaults",
	"nodefconfig",
	"nographic",
	"old-param",
	"one-insn-per-tb",
	"only-migratable",
	"perfmap",
	"portrait",
	"preconfig",
	"s",
	"sdl",
	"semihosting",
	"show-cursor",
	"singlestep",
	"snapshot",
	"usb",
	"version",
	"win2k-hack",
	"xen-attach",
	"xen-domid-restrict",
};

/* Options whose value may well begin with a dash. */
static const char *const any_value[] = {"append", "name", "prom-env", "fw_cfg", "smbios"};

static bool among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

bool qemu_opt_next(char *const *argv, size_t argc, size_t *i, struct qemu_opt *out)
{
	const char *arg;

	if (*i >= argc)
		return false;
	arg = argv[(*i)++];
	if (arg[0] != '-' || !arg[1]) {
		*out = (struct qemu_opt){.name = "", .value = arg};
		return true;
	}
	out->name = arg + (arg[1] == '-' ? 2 : 1);
	out->value = NULL;
	if (*i < argc && !among(out->name, no_value, ARRAY_LEN(no_value)) &&
	    (argv[*i][0] != '-' || !argv[*i][1] || among(out->name, any_value, ARRAY_LEN(any_value))))
		out->value = argv[(*i)++];
	return true;
}

/* Bytes up to a single comma, or to the end. */
static size_t value_length(const char *p)
{
	size_t n;

	for (n = 0; p[n] && (p[n] != ',' || p[n + 1] == ','); n++)
		n += p[n] == ',';
	return n;
}

/* Copies up to a single comma, un-doubling commas; *p ends behind that comma. */
static char *take_value(const char **p)
{
	char *out = xmalloc(value_length(*p) + 1), *w = out; /* not as long as the rest of the text */

	for (; **p; (*p)++) {
		if (**p == ',') {
			(*p)++;
			if (**p != ',')
				break;
		}
		*w++ = **p;
	}
	*w = '\0';
	return out;
}

void kv_append(struct kv_list *l, const char *key, const char *value)
{
	l->v = xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
	l->v[l->n++] = (struct kv){.key = xstrdup(key), .value = xstrdup(value)};
}

void kv_parse(struct kv_list *l, const char *text)
{
	const char *p = text;

	*l = (struct kv_list){.n = 0};
	while (*p) {
		size_t n = strcspn(p, "=,");
		AUTO_FREE char *key = NULL, *value = NULL;

		if (p[n] == '=') {
			key = xmalloc(n + 1);
			memcpy(key, p, n);
			key[n] = '\0';
			p += n + 1;
		}
		value = take_value(&p);
		kv_append(l, key, value);
	}
}

char *kv_print(const struct kv_list *l)
{
	size_t size = 1, i;
	const char *p;
	char *out, *w;

	for (i = 0; i < l->n; i++)
		size += (l->v[i].key ? strlen(l->v[i].key) : 0) + 2 * strlen(l->v[i].value) + 2;
	w = out = xmalloc(size);
	for (i = 0; i < l->n; i++) {
		if (i)
			*w++ = ',';
		if (l->v[i].key) {
			w = stpcpy(w, l->v[i].key);
			*w++ = '=';
		}
		for (p = l->v[i].value; *p; p++) {
			if (*p == ',')
				*w++ = ',';
			*w++ = *p;
		}
	}
	*w = '\0';
	return out;
}

void kv_fini(struct kv_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].key);
		free(l->v[i].value);
	}
	free(l->v);
	*l = (struct kv_list){.n = 0};
}

struct kv *kv_find(const struct kv_list *l, const char *key, const char *implied_key)
{
	struct kv *found = NULL;

	for (size_t i = 0; i < l->n; i++) {
		const char *k = l->v[i].key ? l->v[i].key : i == 0 && implied_key ? implied_key : "";

		if (!strcmp(k, key))
			found = &l->v[i];
	}
	return found;
}

const char *kv_get(const struct kv_list *l, const char *key, const char *implied_key)
{
	const struct kv *found = kv_find(l, key, implied_key);

	return found ? found->value : NULL;
}

void kv_remove(struct kv_list *l, const char *key)
{
	size_t i, n = 0;

	for (i = 0; i < l->n; i++) {
		if (!l->v[i].key || strcmp(l->v[i].key, key)) {
			l->v[n++] = l->v[i];
			continue;
		}
		free(l->v[i].key);
		free(l->v[i].value);
	}
	l->n = n;
}

/* 1: the part sets the flag, 0: it clears it, -1: it is about something else. */
static int flag_of(const struct kv *p, const char *key)
{
	if (p->key)
		return strcmp(p->key, key)
			       ? -1
			       : !strcmp(p->value, "on") || !strcmp(p->value, "yes") || !strcmp(p->value, "true") || !strcmp(p->value, "y");
	if (!strcmp(p->value, key))
		return 1;
	return !strncmp(p->value, "no", 2) && !strcmp(p->value + 2, key) ? 0 : -1;
}

bool kv_flag(const struct kv_list *l, const char *key, bool otherwise)
{
	int f;

	for (size_t i = 0; i < l->n; i++) {
		f = flag_of(&l->v[i], key);
		if (f >= 0)
			otherwise = f;
	}
	return otherwise;
}

void kv_set_flag(struct kv_list *l, const char *key, const char *value)
{
	size_t i, n = 0;

	for (i = 0; i < l->n; i++) {
		if (flag_of(&l->v[i], key) < 0) {
			l->v[n++] = l->v[i];
		} else {
			free(l->v[i].key);
			free(l->v[i].value);
		}
	}
	l->n = n;
	kv_append(l, key, value);
}

void kv_replace(char **value, char *by)
{
	free(*value);
	*value = by;
}

bool qemu_path_has_protocol(const char *path)
{
	return path[strcspn(path, ":/")] == ':';
}

bool qemu_is_network_storage(const char *text)
{
	static const char *const names[] = {"nbd", "rbd", "iscsi", "iser", "ssh", "http", "https", "ftp", "ftps", "gluster", "nfs"};
	size_t n = strcspn(text, ":+"), i; /* "gluster+tcp:…" */

	for (i = 0; i < ARRAY_LEN(names); i++)
		if (strlen(names[i]) == n && !memcmp(names[i], text, n))
			return true;
	return false;
}

char *qemu_machine_type(char *const *argv, size_t argc)
{
	struct qemu_opt opt;
	struct kv_list l;
	char *type = NULL;
	size_t i = 1;

	while (qemu_opt_next(argv, argc, &i, &opt)) {
		if ((strcmp(opt.name, "machine") && strcmp(opt.name, "M")) || !opt.value)
			continue;
		kv_parse(&l, opt.value);
		if (kv_get(&l, "type", "type")) {
			free(type);
			type = xstrdup(kv_get(&l, "type", "type"));
		}
		kv_fini(&l);
	}
	return type;
}
