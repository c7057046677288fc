/* preflight.c: see preflight.h. */
#include "preflight.h"
#include "json-text.h"
#include "qemu-cpu.h"
#include "qemu-helper.h"
#include "qemu-opts.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MISSING_SHOWN 24
#define HELPER_MIB    "256" /* memory that any machine is content with (pseries needs it for its firmware); none of it is touched */

static void add_note(json_t *notes, char *words /* freed */)
{
	json_array_append_new(notes, json_string(words));
	free(words);
}

/* ---- the options that a machine and its CPUs depend on (-smp, too: it shows in CPUID) ---- */

struct words {
	char **v;
	size_t n;
};

static void free_words(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
}

/* Type and accelerator; the rest names objects that this QEMU does not have. */
static void add_machine(struct words *w, const char *value)
{
	AUTO_KV struct kv_list l;
	const char *type, *accel;

	kv_parse(&l, value);
	type = kv_get(&l, "type", "type");
	accel = kv_get(&l, "accel", NULL);
	if (type) {
		words_add(&w->v, &w->n, xstrdup("-machine"));
		words_add(&w->v, &w->n, accel ? xasprintf("%s,accel=%s", type, accel) : xstrdup(type));
	}
}

static struct words options_of(const struct preflight *p)
{
	static const char *const kept[] = {"L", "accel", "cpu", "enable-kvm", "smp"};
	struct words w = {NULL, 0};
	struct qemu_opt opt;
	size_t i = 1, k;

	while (qemu_opt_next(p->argv, p->argc, &i, &opt)) {
		if ((!strcmp(opt.name, "machine") || !strcmp(opt.name, "M")) && opt.value && *opt.value != '{')
			add_machine(&w, opt.value);
		for (k = 0; k < ARRAY_LEN(kept); k++) {
			if (strcmp(opt.name, kept[k]))
				continue;
			words_add(&w.v, &w.n, xasprintf("-%s", opt.name));
			if (opt.value)
				words_add(&w.v, &w.n, xstrdup(opt.value));
		}
	}
	words_add(&w.v, &w.n, xstrdup("-m"));
	words_add(&w.v, &w.n, xstrdup(HELPER_MIB));
	return w;
}

/* ---- what it tells ---- */

static int check_accelerator(const struct preflight *p, struct qmp *q, json_t *notes, struct err *e)
{
	const char *here = json_text(p->description, "accel");
	json_t *kvm;
	bool has;
	int r = qmp_call(q, "query-kvm", NULL, &kvm, e);

	if (r)
		return r;
	has = json_is_true(json_object_get(kvm, "enabled"));
	json_decref(kvm);
	if (here && !strcmp(here, "kvm") && !has)
		return err_set(e, ENOTSUP,
			       "the guest uses KVM, and QEMU at the destination cannot (is /dev/kvm there, and may this user use it?)");
	if (here && !strcmp(here, "tcg") && has)
		return err_set(e, ENOTSUP,
			       "the guest is emulated (TCG), and would run under KVM at the destination: a running guest does not "
			       "survive that. Start it with `-accel tcg` alone");
	add_note(notes, xasprintf("accelerator there: %s", has ? "KVM" : "TCG (emulation)"));
	return 0;
}

static char *list(const json_t *names)
{
	char *all = xstrdup(""), *longer;
	json_t *name;
	size_t i;

	json_array_foreach((json_t *)names, i, name) {
		if (i == MISSING_SHOWN)
			break;
		longer = xasprintf("%s%s%s", all, i ? ", " : "", json_string_value(name));
		free(all);
		all = longer;
	}
	if (json_array_size(names) > MISSING_SHOWN) {
		longer = xasprintf("%s and %zu more", all, json_array_size(names) - MISSING_SHOWN);
		free(all);
		all = longer;
	}
	return all;
}

static int compare_cpus(struct preflight *p, const json_t *guest, const json_t *there, struct err *e)
{
	const char *vendor = json_text(guest, "vendor"), *other = json_text(there, "vendor");
	json_auto_t *missing = NULL;
	int r = 0;

	if (!vendor || !other || strcmp(vendor, other))
		return err_set(e, ENOTSUP,
			       "the guest's CPU is of %s, and there it would be of %s: it would not survive the change. Start "
			       "it with a CPU model of its own (-cpu), not with that of the host",
			       vendor ? vendor : "?", other ? other : "?");
	missing = qemu_cpu_missing(guest, there);
	if (json_array_size(missing)) {
		AUTO_FREE char *names = list(missing);

		p->wants_names = !json_object_get(guest, "features");
		r = err_set(e, ENOTSUP,
			    "the CPU at the destination lacks what the guest's has: %s. Start the guest with a CPU model that both "
			    "hosts have (-cpu)",
			    names);
	}
	return r;
}

static int check_cpu(struct preflight *p, struct qmp *q, json_t *notes, struct err *e)
{
	const json_t *guest = json_object_get(p->description, "cpu");
	const json_t *features = json_object_get(guest, "features");
	json_t *there;
	int r;

	if (!json_is_object(guest))
		return 0;
	r = qemu_cpu(q, &there, e);
	if (r)
		return r;
	if (features)
		r = qemu_cpu_names(q, features, there, e);
	r = r ?: compare_cpus(p, guest, there, e);
	json_decref(there);
	if (!r)
		add_note(notes, xstrdup("CPU there: all features of the guest's"));
	return r;
}

static void note_version(const struct preflight *p, struct qmp *q, char **version)
{
	const char *here = json_text(p->description, "qemu_version");
	int major, minor, micro, was_major = 0, was_minor = 0;

	qmp_version(q, &major, &minor, &micro);
	*version = xasprintf("%d.%d.%d", major, minor, micro);
	if (!here || sscanf(here, "%d.%d", &was_major, &was_minor) != 2)
		return;
	if (major < was_major || (major == was_major && minor < was_minor))
		add_note(p->cautions,
			 xasprintf("QEMU %s there is older than %s here: it knows the machine type, so this should work, but newer to "
				   "older is less tested than the other way",
				   *version, here));
}

static int ask_words(struct preflight *p, struct qmp *q, struct err *e)
{
	json_auto_t *schema = NULL;
	int r;

	if (!args_has_changed_words(p->argv, p->argc))
		return 0;
	r = qmp_call(q, "query-qmp-schema", NULL, &schema, e);
	if (r)
		return r;
	args_words_known(&p->words, schema);
	p->has_words = true;
	return 0;
}

/* ---- a machine type that it does not have ---- */

/* Aliases of the newest machine type of each kind; a type of RHEL (pc-q35-rhel9.4.0) or Ubuntu (pc-q35-noble) is of these kinds, too. */
static const struct {
	const char *begin, *alias;
} kinds[] = {{"pc-q35-", "q35"}, {"pc-i440fx-", "pc"}, {"virt-", "virt"}};

static const char *alias_of_kind(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strncmp(type, kinds[i].begin, strlen(kinds[i].begin)))
			return kinds[i].alias;
	return NULL;
}

/* The machine type that an alias stands for on this host's QEMU; malloc'ed. NULL: none. */
static char *type_here(const struct preflight *p, struct loop *l, const char *alias)
{
	char *options[] = {"-machine", "none", NULL}, *name = NULL;
	json_t *types = NULL, *type;
	struct qemu_helper h;
	struct err ignored;
	size_t i;

	if (!alias || qemu_helper_start(&h, l, p->exe, p->env, p->work_dir, options, &ignored))
		return NULL;
	if (!qmp_call(h.qmp, "query-machines", NULL, &types, &ignored))
		json_array_foreach(types, i, type)
			if (!name && !strcmp(json_text(type, "alias") ?: "", alias) && json_text(type, "name"))
				name = xstrdup(json_text(type, "name"));
	json_decref(types);
	qemu_helper_end(&h);
	return name;
}

static int refuse_type(const struct preflight *p, struct loop *l, const char *type, struct err *e)
{
	const char *alias = alias_of_kind(type);
	AUTO_FREE char *there = type_here(p, l, alias), *said = xstrdup(e->msg);
	AUTO_FREE char *which = there ? xasprintf("%s, which is %s there", alias, there) : xstrdup("a type that it has");

	if (p->takes_state)
		return err_set(
			e, ENOTSUP,
			"QEMU at the destination (%s) does not take this guest's machine type, %s (%s). A guest that runs on needs the very "
			"same: install a QEMU there that has it and name it with --qemu, or let the guest boot there with another type, "
			"--how warm --machine TYPE (%s)",
			p->exe, type, said, which);
	return err_set(
		e, ENOTSUP,
		"QEMU at the destination (%s) does not take this guest's machine type, %s (%s). As the guest boots there, it can do so with "
		"another one: --machine TYPE (%s)",
		p->exe, type, said, which);
}

/* *e: QEMU's words. */
static int refuse(const struct preflight *p, struct loop *l, struct err *e)
{
	AUTO_FREE char *type = qemu_machine_type(p->argv, p->argc);

	if (type && strstr(e->msg, "unsupported machine type"))
		return refuse_type(p, l, type, e);
	err_prefix(e, "QEMU at the destination does not take this guest's machine (%s), accelerator or CPU", type ?: "?");
	e->code = ENOTSUP;
	return -ENOTSUP;
}

int preflight_qemu(struct preflight *p, struct loop *l, json_t **out, char **version, struct err *e)
{
	struct words w = options_of(p);
	json_t *notes = json_array();
	char *found = NULL;
	struct qemu_helper h;
	uint64_t from_ns = now_ns();
	int r = qemu_helper_start(&h, l, p->exe, p->env, p->work_dir, w.v, e);

	free_words(&w);
	if (r) {
		json_decref(notes);
		return refuse(p, l, e);
	}
	p->started = true;
	p->start_ms = (double)(now_ns() - from_ns) / 1e6;
	note_version(p, h.qmp, &found);
	r = ask_words(p, h.qmp, e) ?: check_accelerator(p, h.qmp, notes, e) ?: check_cpu(p, h.qmp, notes, e);
	qemu_helper_end(&h);
	if (r) {
		json_decref(notes);
		free(found);
		return r;
	}
	*out = notes;
	*version = found;
	return 0;
}
