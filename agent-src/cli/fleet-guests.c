/* fleet-guests.c: whom a drain takes: all that run here, and those that are shut down, as far as they are asked for. See fleet-command.h. */
#include "fleet-command.h"
#include "guest-at-rest.h"
#include "guest-of-libvirt.h"
#include "json-text.h"
#include "libvirt-find.h"
#include "qemu-discover.h"
#include "util.h"
#include "words.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void fleet_add_guest(struct fleet_command *c, const char *name)
{
	words_add(&c->guests, &c->guest_count, xstrdup(name));
}

/* ---- who runs here ---- */

/* True if a drain moves the guest: not if it is another user's, unless libvirt runs it. */
static bool is_for_a_drain(const struct guest *g)
{
	return (!g->foreign || guest_is_run_by_libvirt(g)) && !guest_is_arriving(g);
}

/* The value is that name, or has it between commas. */
static bool has_name(const char *value, const char *name)
{
	size_t n = strlen(name);
	const char *at;

	for (at = value; n && (at = strstr(at, name)); at += n)
		if ((at == value || at[-1] == ',') && (!at[n] || at[n] == ','))
			return true;
	return false;
}

static bool is_kept(const struct fleet_command *c, const char *name, const char *other)
{
	for (unsigned i = 0; i < c->f.keep.count; i++)
		if (has_name(c->f.keep.at[i], name) || has_name(c->f.keep.at[i], other))
			return true;
	return false;
}

/* The reason why the guest stays here; NULL: it goes. */
static const char *why_it_stays(const struct fleet_command *c, const char *name, const char *other)
{
	return is_kept(c, name, other) ? "--keep" : rules_stay(&c->rules, name);
}

const struct off_guest *fleet_off(const struct fleet_command *c, const char *word)
{
	for (size_t i = 0; i < c->off_count; i++)
		if (c->offs[i].word == word)
			return &c->offs[i];
	return NULL;
}

enum kind_of_guest { RUNS, LIBVIRTS, STARTED_BY }; /* the latter two are shut down */

/* A guest that runs, one that libvirt has defined and what starts another may have one name. */
static bool is_added(const struct fleet_command *c, const char *name, enum kind_of_guest kind)
{
	for (size_t i = 0; i < c->guest_count; i++) {
		const struct off_guest *off = fleet_off(c, c->guests[i]);

		if ((!off ? RUNS : off->is_libvirts ? LIBVIRTS : STARTED_BY) == kind && !strcmp(c->guests[i], name))
			return true;
	}
	return false;
}

/* True if that name of a guest that is to go shut down would be taken for what starts another. */
static bool is_word_for_another(const struct fleet_command *c, const char *name)
{
	struct stat st;

	return (c->o.how == HOW_COLD || c->f.allow) && (!stat(name, &st) || guest_is_unit(name));
}

/* The word for a guest: its name, or its pid if several guests have that name, or the name cannot be passed on. */
static char *call(const struct fleet_command *c, const struct guest *list, size_t count, size_t which)
{
	bool unique = text_is_utf8(list[which].name) && !is_word_for_another(c, list[which].name);

	for (size_t k = 0; k < count; k++)
		unique &= k == which || strcmp(list[which].name, list[k].name) != 0;
	return unique ? xstrdup(list[which].name) : xasprintf("%d", (int)list[which].pid);
}

/* A guest that has gone may have been started again here, from its old disks: a drain does not pass that over. */
static void look_at_added(struct fleet_command *c, const struct guest *g)
{
	AUTO_FREE char *shown = text_shown(g->name);
	json_auto_t *gone = NULL;
	struct err e;

	if (fleet_read_gone(c, g->name, &gone, &e)) {
		fprintf(stderr, "vmferry: cannot tell whether guest %s, which runs here (process %d), has gone: %s\n", shown, (int)g->pid,
			e.msg);
		c->incomplete = true;
	} else if (gone) {
		fprintf(stderr,
			"vmferry: guest %s runs here (process %d), though it has gone to %s, where it may run, too: see which is to live, and end the "
			"other, and what has started it\n",
			shown, (int)g->pid, json_text(gone, "gone_to"));
		c->incomplete = true;
	}
}

static void take_running(struct fleet_command *c, const struct guest *list, size_t count)
{
	const char *why;

	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *shown = text_shown(list[i].name);
		AUTO_FREE char *name = call(c, list, count, i);
		AUTO_FREE char *pid = xasprintf("%d", (int)list[i].pid);

		if (guest_is_arriving(&list[i])) {
			fprintf(stderr, "%s is arriving here: it can go once it is here, by the same command\n", shown);
			c->incomplete = true;
		}
		if (is_for_a_drain(&list[i]) && is_added(c, name, RUNS))
			look_at_added(c, &list[i]);
		if (!is_for_a_drain(&list[i]) || is_added(c, name, RUNS))
			continue;
		why = why_it_stays(c, list[i].name, pid);
		if (!why)
			fleet_add_guest(c, name);
		else if (!c->told)
			fprintf(stderr, "%s stays here: %s\n", shown, why);
	}
	c->told = true;
}

int fleet_find_running(struct fleet_command *c, struct err *e)
{
	AUTO_FREE struct guest *list = NULL;
	size_t count, i;
	bool cut_off;
	int r = guest_list(&list, &count, &cut_off, e);

	if (r)
		return r;
	if (cut_off) {
		fprintf(stderr, "vmferry: more than %d processes of other users call themselves QEMU: not all guests are known\n",
			GUESTS_FOREIGN_MAX);
		c->incomplete = true;
	}
	take_running(c, list, count);
	for (i = 0; i < count; i++)
		guest_fini(&list[i]);
	return 0;
}

/* ---- who is shut down ---- */

static void add_off(struct fleet_command *c, const char *word, bool is_libvirts)
{
	const char *why = why_it_stays(c, word, path_base(word));

	if (is_added(c, word, is_libvirts ? LIBVIRTS : STARTED_BY))
		return;
	if (why) {
		AUTO_FREE char *shown = text_shown(word);

		fprintf(stderr, "%s stays here: %s\n", shown, why);
		return;
	}
	fleet_add_guest(c, word);
	c->offs = xrealloc(c->offs, (c->off_count + 1) * sizeof(*c->offs));
	c->offs[c->off_count++] = (struct off_guest){c->guests[c->guest_count - 1], is_libvirts};
}

static bool add_libvirts(struct fleet_command *c)
{
	AUTO_FREE struct guest *guests = NULL;
	size_t count, i;
	AUTO_FREE char **whys = NULL;
	struct err e;
	int r = libvirt_list(&guests, &whys, &count, &e);

	if (r)
		fprintf(stderr, "libvirt's guests that are shut down are not known: %s\n", e.msg);
	for (i = 0; i < count; i++) {
		add_off(c, guests[i].name, true); /* why a guest cannot move is found out when hosts are asked */
		guest_fini(&guests[i]);
		free(whys[i]);
	}
	return !r;
}

bool fleet_find_off(struct fleet_command *c)
{
	bool known = !c->f.with_off || add_libvirts(c);

	for (unsigned i = 0; i < c->f.off.count; i++)
		add_off(c, c->f.off.at[i], false);
	return known;
}
