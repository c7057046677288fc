/* qemu-args-words.c: see qemu-args-words.h. */
#include "qemu-args-words.h"
#include "json-text.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "util.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

#define SECONDS	     "reconnect"
#define MILLISECONDS "reconnect-ms"

/* ---- words that a QEMU knows ---- */

void args_words_known(struct args_words *out, const json_t *schema)
{
	json_t *type;
	size_t i;

	*out = (struct args_words){.reconnect = false};
	json_array_foreach((json_t *)schema, i, type) {
		out->monitor_objects |= json_find(json_object_get(type, "values"), NULL, "monitor-qmp") != NULL;
		out->reconnect |= json_find(json_object_get(type, "members"), "name", SECONDS) != NULL;
		out->reconnect_ms |= json_find(json_object_get(type, "members"), "name", MILLISECONDS) != NULL;
	}
}

void args_words_in_help(struct args_words *out, const char *objects, const char *socket)
{
	*out = (struct args_words){.monitor_objects = strstr(objects, "monitor-qmp\n"),
				   .reconnect = strstr(socket, " " SECONDS "="),
				   .reconnect_ms = strstr(socket, " " MILLISECONDS "=")};
}

/* ---- words in a line ---- */

static bool is_monitor_object(const struct qemu_opt *opt)
{
	struct args_monitor m;
	bool yes = !strcmp(opt->name, "object") && args_monitor_of(&m, opt->name, opt->value);

	if (yes)
		free(m.chardev);
	return yes;
}

static bool may_connect(const char *option)
{
	static const char *const options[] = {"chardev",    "netdev",	"serial",	 "parallel", "monitor", "qmp",
					      "qmp-pretty", "debugcon", "virtioconsole", "gdb",	     NULL};

	return word_index(options, option) >= 0;
}

/* Malloc'ed, or NULL. */
static char *wait_of(const struct qemu_opt *opt, const char *key)
{
	struct props p;
	const char *found;
	char *text;

	if (!opt->value || !may_connect(opt->name) || !strstr(opt->value, SECONDS))
		return NULL;
	props_parse(&p, opt->value);
	found = kv_get(&p.l, key, NULL);
	text = xstrdup(found);
	props_fini(&p);
	return text;
}

bool args_has_changed_words(char *const *argv, size_t argc)
{
	struct qemu_opt opt;
	bool yes = false;
	size_t i = 1;

	while (!yes && qemu_opt_next(argv, argc, &i, &opt)) {
		AUTO_FREE char *seconds = wait_of(&opt, SECONDS);
		AUTO_FREE char *ms = wait_of(&opt, MILLISECONDS);

		yes = seconds || ms || is_monitor_object(&opt);
	}
	return yes;
}

/* ---- in other words ---- */

/* The value as the option would have it, malloc'ed. */
static char *with_wait(const char *value, const char *old, const char *new, json_int_t n)
{
	AUTO_FREE char *number = xasprintf("%" JSON_INTEGER_FORMAT, n);
	struct props p;
	char *text;

	props_parse(&p, value);
	kv_remove(&p.l, old);
	if (p.tree) {
		json_object_del(p.tree, old);
		json_object_set_new(p.tree, new, json_integer(n)); /* QEMU does not accept a string here */
	}
	kv_append(&p.l, new, number);
	text = props_print(&p);
	props_fini(&p);
	return text;
}

static bool read_number(const char *text, json_int_t *out)
{
	char *end;
	long long n = strtoll(text, &end, 10);

	*out = n;
	return *text && !*end && n >= 0 && n <= INT32_MAX;
}

/* Rounds half a second up to one, as 0 would mean never. */
static char *in_known_unit(const struct qemu_opt *opt, const struct args_words *known)
{
	AUTO_FREE char *seconds = known->reconnect ? NULL : wait_of(opt, SECONDS);
	AUTO_FREE char *ms = known->reconnect_ms ? NULL : wait_of(opt, MILLISECONDS);
	json_int_t n;

	if (seconds && known->reconnect_ms && read_number(seconds, &n))
		return with_wait(opt->value, SECONDS, MILLISECONDS, n * 1000);
	if (ms && known->reconnect && read_number(ms, &n))
		return with_wait(opt->value, MILLISECONDS, SECONDS, (n + 999) / 1000);
	return NULL;
}

static char *as_mon(const char *object)
{
	AUTO_KV struct kv_list l = {.n = 0};
	struct args_monitor m;
	struct props p;
	const char *id;
	char *text;

	props_parse(&p, object);
	id = kv_get(&p.l, "id", NULL);
	args_monitor_of(&m, "object", object);
	kv_append(&l, "chardev", m.chardev);
	kv_append(&l, "mode", m.control ? "control" : "readline");
	if (id)
		kv_append(&l, "id", id);
	if (m.control && kv_flag(&p.l, "pretty", false))
		kv_append(&l, "pretty", "on");
	text = kv_print(&l);
	props_fini(&p);
	free(m.chardev);
	return text;
}

void args_write_known_words(struct args_result *r, const struct args_words *known)
{
	struct qemu_opt opt;
	size_t i = 1;

	while (qemu_opt_next(r->argv, r->argc, &i, &opt)) {
		bool is_mon = !known->monitor_objects && is_monitor_object(&opt);
		char *instead = is_mon ? as_mon(opt.value) : in_known_unit(&opt, known);

		if (!instead)
			continue;
		words_add(&r->notes, &r->note_count,
			  xasprintf("-%s %s is written as -%s %s, as the QEMU that is to run it has no such words", opt.name, opt.value,
				    is_mon ? "mon" : opt.name, instead));
		if (is_mon)
			kv_replace(&r->argv[i - 2], xstrdup("-mon"));
		kv_replace(&r->argv[i - 1], instead);
	}
}
