/*
 * qemu-args-expand.c: works -readconfig and -set into a line, so that every option stands on it with its value.
 *
 * A config file (QEMU's util/qemu-config.c) has sections, [device "id"] or [machine], with lines KEY = "VALUE"; each
 * section is what one option on the line would be. -set GROUP.ID.KEY=VALUE changes an option that came before it.
 */
#include "qemu-args.h"
#include "qemu-opts.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define ARGS_MAX 16384 /* words of a line, before and after */

struct line {
	char **v;
	size_t n;
	json_t *ids; /* "OPTION\nID": the word that is the value of the first one with that id */
	struct err *e;
};

static void add(struct line *l, const char *arg)
{
	words_add(&l->v, &l->n, xstrdup(arg));
}

/* Notes the option's id; its value is the last word so far. */
static void note_id(struct line *l, const char *name, const char *value)
{
	AUTO_FREE char *key = NULL;
	struct kv_list props;

	if (*value == '{' || !strstr(value, "id="))
		return;
	kv_parse(&props, value);
	key = xasprintf("%s\n%s", name, kv_get(&props, "id", NULL) ?: "");
	if (!json_object_get(l->ids, key))
		json_object_set_new_nocheck(l->ids, key, json_integer((json_int_t)l->n - 1));
	kv_fini(&props);
}

static void add_option(struct line *l, const char *name, const char *value)
{
	AUTO_FREE char *dashed = xasprintf("-%s", name);

	if (*name)
		add(l, dashed);
	if (value)
		add(l, value);
	if (*name && value)
		note_id(l, name, value);
}

/* ---- -readconfig ---- */

/* Sections have the names of groups, which mostly equal those of their options. */
static const char *option_of(const char *group)
{
	static const struct {
		const char *group, *option;
	} others[] = {{"memory", "m"}, {"smp-opts", "smp"}, {"boot-opts", "boot"}, {"acpi", "acpitable"}};
	__auto_type other = ROW_OF(others, group, group);

	return other ? other->option : group;
}

struct section {
	char group[64], id[64];
	struct kv_list l;
	bool open;
};

/* Ends a section: adds it to the line as an option, with its id last. */
static void end_section(struct line *l, struct section *s)
{
	AUTO_FREE char *value = NULL;

	if (s->open && (s->l.n || !strcmp(s->group, "machine"))) {
		if (*s->id)
			kv_append(&s->l, !strcmp(s->group, "fw_cfg") ? "name" : "id", s->id);
		value = kv_print(&s->l);
		add_option(l, option_of(s->group), value);
	}
	kv_fini(&s->l);
	s->open = false;
}

/* Reads a line without its newline. The limits of the words' lengths are QEMU's own. */
static int read_config_line(struct line *l, struct section *s, const char *text, const char *path, unsigned number)
{
	char group[64], id[64] = "", key[64], value[1024] = "";

	text += strspn(text, " \t\r");
	if (!*text || *text == '#')
		return 0;
	if (sscanf(text, "[ %63s \"%63[^\"]\" ]", group, id) == 2 || sscanf(text, "[ %63[^]\" ] ]", group) == 1) {
		end_section(l, s);
		s->open = true;
		snprintf(s->group, sizeof(s->group), "%s", group);
		snprintf(s->id, sizeof(s->id), "%s", id);
		return 0;
	}
	if (s->open && (sscanf(text, "%63[^= \t] = \"%1023[^\"]\"", key, value) == 2 ||
			(sscanf(text, "%63[^= \t] = \"\"", key) == 1 && strstr(text, "\"\"")))) {
		kv_append(&s->l, key, value);
		return 0;
	}
	return err_set(l->e, EINVAL, "line %u of the guest's -readconfig %s cannot be understood", number, path);
}

static int add_config(struct line *l, const struct args_config *c)
{
	AUTO_FREE char *text = NULL;
	struct section s = {.open = false};
	char *p, *end;
	unsigned number = 0;
	int r = 0;

	if (strlen(c->text) > ARGS_CONFIG_MAX)
		return err_set(l->e, EINVAL, "-readconfig %s is longer than %d bytes", c->path, ARGS_CONFIG_MAX);
	text = xstrdup(c->text);
	for (p = text; p && r == 0; p = end) {
		end = strchr(p, '\n');
		if (end)
			*end++ = '\0';
		r = read_config_line(l, &s, p, c->path, ++number);
	}
	end_section(l, &s);
	return r;
}

static int read_config(struct line *l, const char *path, const struct args_config *configs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(configs[i].path, path))
			return add_config(l, &configs[i]);
	return err_set(l->e, EINVAL,
		       "the guest was started with -readconfig %s, whose contents are not known (it is gone, cannot be "
		       "read, or was changed since); put them on the command line",
		       path);
}

/* ---- -set ---- */

/* The value of the option GROUP with that id, among those so far. */
static char **find_option(struct line *l, const char *group, const char *id)
{
	AUTO_FREE char *key = xasprintf("%s\n%s", option_of(group), id);
	const json_t *at = json_object_get(l->ids, key);

	return at ? &l->v[json_integer_value(at)] : NULL;
}

static int apply_set(struct line *l, const char *text)
{
	char group[64], id[64], key[64];
	struct kv_list list;
	char **value;
	int used = 0;

	if (sscanf(text, "%63[^.].%63[^.].%63[^=]%n", group, id, key, &used) < 3 || text[used] != '=' || !strcmp(key, "id"))
		return err_set(l->e, EINVAL, "cannot understand -set %s of the guest's command line", text);
	value = find_option(l, group, id);
	if (!value)
		return err_set(l->e, EINVAL, "the guest was started with -set %s, but no -%s before it has that id", text, group);
	kv_parse(&list, *value);
	kv_remove(&list, key);
	kv_append(&list, key, text + used + 1);
	kv_replace(value, kv_print(&list));
	kv_fini(&list);
	return 0;
}

/* ---- */

int qemu_args_expand(char ***out, size_t *count, char *const *argv, size_t argc, const struct args_config *configs, size_t config_count,
		     struct err *e)
{
	struct line l = {.e = e};
	struct qemu_opt opt;
	size_t i = 1;
	int r = 0;

	if (argc > ARGS_MAX)
		return err_set(e, EINVAL, "the guest's command line has more than %d words", ARGS_MAX);
	l.ids = json_object();
	if (argc)
		add(&l, argv[0]);
	while (r == 0 && qemu_opt_next(argv, argc, &i, &opt)) {
		if (l.n > ARGS_MAX)
			r = err_set(e, EINVAL, "the guest's command line has more than %d words", ARGS_MAX);
		else if (opt.value && !strcmp(opt.name, "readconfig"))
			r = read_config(&l, opt.value, configs, config_count);
		else if (opt.value && !strcmp(opt.name, "set"))
			r = apply_set(&l, opt.value);
		else
			add_option(&l, opt.name, opt.value);
	}
	json_decref(l.ids);
	if (r < 0) {
		args_free_strings(l.v, l.n);
		return r;
	}
	*out = l.v;
	*count = l.n;
	return 0;
}
