/* network-storage.c: see network-storage.h. */
#include "network-storage.h"
#include "log.h"
#include "qemu-helper.h"
#include "qemu-opts.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <string.h>

#define TRIED_MAX 16

/* The name behind a network that an option opens; malloc'ed, or NULL. An option that needs a secret says more than a name. */
static char *name_of(const struct qemu_opt *opt)
{
	static const char *const whole[] = {"cdrom", "hda", "hdb", "hdc", "hdd", "fda", "fdb", NULL};
	const char *name = NULL;
	AUTO_KV struct kv_list l = {.n = 0};
	char *out;

	if (word_index(whole, opt->name) >= 0)
		name = opt->value;
	if (opt->value && !strcmp(opt->name, "drive")) {
		kv_parse(&l, opt->value);
		name = kv_get(&l, "file", NULL);
	}
	out = name && strstr(name, "://") && qemu_is_network_storage(name) ? xstrdup(name) : NULL;
	return out;
}

/* QEMU's last word, which names the reason. */
static const char *last_word(const char *said)
{
	const char *p = strstr(said, " while starting: ");

	return p ? p + strlen(" while starting: ") : said;
}

static int try_one(const struct trial *t, struct loop *l, const char *name, struct err *e)
{
	struct kv_list parts = {.n = 0};
	AUTO_FREE char *value = NULL;
	struct qemu_helper h;
	int r;

	kv_append(&parts, "file", name);
	kv_append(&parts, "format", "raw");
	kv_append(&parts, "if", "none");
	kv_append(&parts, "readonly", "on");
	value = kv_print(&parts);
	kv_fini(&parts);
	r = qemu_helper_start(&h, l, t->exe, t->env, t->work_dir,
			      (char *[]){(char *)"-machine", (char *)"none", (char *)"-drive", value, NULL}, e);
	if (!r)
		qemu_helper_end(&h);
	return r;
}

json_t *network_storage_reasons(const struct trial *t, struct loop *l)
{
	json_t *reasons = json_array();
	struct qemu_opt opt;
	size_t i = 1, tried = 0;

	while (tried < TRIED_MAX && qemu_opt_next(t->argv, t->argc, &i, &opt)) {
		AUTO_FREE char *name = name_of(&opt);
		struct err e;
		int r = name ? try_one(t, l, name, &e) : 0;

		tried += name != NULL;
		if (r == -ECHILD)
			json_array_append_new(
				reasons,
				json_sprintf("the destination does not reach %s, which the guest's -%s names, and which is not copied: let "
					     "it be reached there (QEMU, tried there: %s)",
					     name, opt.name, last_word(e.msg)));
		else if (r)
			log_info("could not try whether %s is reached: %s", name, e.msg);
	}
	return reasons;
}
