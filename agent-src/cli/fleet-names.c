/*
 * fleet-names.c: names that the user gives of guests are those of guests here. A wrong one would be obeyed without a word: the guest that was to stay would
 * leave, and the rule would bind nobody. See fleet-command.h.
 */
#include "fleet-command.h"
#include "dest-connect.h"
#include "guest-at-rest.h"
#include "libvirt-find.h"
#include "nearest.h"
#include "qemu-discover.h"
#include "util.h"
#include "words.h"
#include "whereabouts.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Names by which guests here may be called. */
struct known {
	char **names;
	size_t count;
	bool incomplete;
};

static int add_running(struct known *k, struct err *e)
{
	AUTO_FREE struct guest *list = NULL;
	size_t count, i;
	int r = guest_list(&list, &count, &k->incomplete, e);

	if (r)
		return r;
	for (i = 0; i < count; i++) {
		words_add(&k->names, &k->count, xstrdup(list[i].name));
		words_add(&k->names, &k->count, xasprintf("%d", (int)list[i].pid));
		guest_fini(&list[i]);
	}
	return 0;
}

/* Guests of libvirt's that are shut down. */
static void add_defined(struct known *k)
{
	AUTO_FREE struct guest *list = NULL;
	AUTO_FREE char **whys = NULL;
	size_t count, i;
	struct err e;

	k->incomplete |= libvirt_list(&list, &whys, &count, &e) != 0;
	for (i = 0; i < count; i++) {
		words_add(&k->names, &k->count, xstrdup(list[i].name));
		guest_fini(&list[i]);
		free(whys[i]);
	}
}

static void add_off(struct known *k, const struct option_list *off)
{
	for (unsigned i = 0; i < off->count; i++) {
		words_add(&k->names, &k->count, xstrdup(off->at[i]));
		words_add(&k->names, &k->count, xstrdup(path_base(off->at[i])));
	}
}

static bool is_known(const struct known *k, const char *word)
{
	return words_have(k->names, k->count, word);
}

/* gone: where it went, or NULL. code: as an errno. */
static int refuse(const struct known *k, int code, const char *option, const char *word, const char *gone, struct err *e)
{
	const char *meant = nearest_word(word, (const char *const *)k->names, k->count);

	if (gone)
		return err_set(e, code, "%s%sno guest %s runs here; %s", option, *option ? ": " : "", word, gone);
	return err_set(e, code, "%s%sno guest %s runs here%s%s%s", option, *option ? ": " : "", word, meant ? "; did you mean " : "",
		       meant ?: "", meant ? "?" : "");
}

/* Names with commas between them, or one that has some. A guest that has left is known by its name. */
static int check_option(const struct fleet_command *c, const struct known *k, const char *option, const struct option_list *list,
			struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < list->count && !r; i++) {
		AUTO_FREE char *copy = xstrdup(list->at[i]);
		char *rest = is_known(k, list->at[i]) ? NULL : copy, *word;

		while (!r && (word = strsep(&rest, ","))) {
			AUTO_FREE char *gone = whereabouts_gone(c->o.dirs.state, word);

			if (*word && !gone && !is_known(k, word) && k->incomplete)
				fprintf(stderr, "vmferry: %s: cannot tell whether there is a guest %s here\n", option, word);
			else if (*word && !gone && !is_known(k, word))
				r = refuse(k, EINVAL, option, word, NULL, e);
		}
	}
	return r;
}

/* A script or unit that starts a guest may have any name. */
static bool is_name(const char *word)
{
	struct stat st;

	return !strchr(word, '/') && !guest_is_unit(word) && stat(word, &st) != 0;
}

static int check_guests(const struct fleet_command *c, const struct known *k, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < c->guest_count && !r && !k->incomplete; i++)
		if (is_name(c->guests[i]) && !is_known(k, c->guests[i])) {
			AUTO_FREE char *gone = whereabouts_gone(c->o.dirs.state, c->guests[i]);

			r = refuse(k, ENOENT, "", c->guests[i], gone, e);
		}
	return r;
}

int fleet_check_names(const struct fleet_command *c, struct err *e)
{
	struct known k = {.names = NULL};
	int r = add_running(&k, e);

	if (!r) {
		add_defined(&k);
		add_off(&k, &c->f.off);
		r = check_guests(c, &k, e);
		for (size_t i = 0; i < c->guest_count; i++) /* a rule may have the same words */
			words_add(&k.names, &k.count, xstrdup(c->guests[i]));
	}
	r = r ?: check_option(c, &k, "--keep", &c->f.keep, e) ?: check_option(c, &k, "--apart", &c->f.apart, e);
	r = r ?: check_option(c, &k, "--together", &c->f.together, e);
	for (size_t i = 0; i < k.count; i++)
		free(k.names[i]);
	free(k.names);
	return r;
}

bool fleet_is_guest_as_host(const char *where, struct err *e)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct known k = {.names = NULL};
	struct addrinfo *found = NULL;
	bool is_guest;

	if (dest_kind(where) != DEST_SSH || strpbrk(where, "@:/"))
		return false;
	is_guest = !add_running(&k, e) && is_known(&k, where) && getaddrinfo(where, NULL, &hints, &found) != 0;
	for (size_t i = 0; i < k.count; i++)
		free(k.names[i]);
	free(k.names);
	if (found)
		freeaddrinfo(found);
	if (is_guest)
		err_set(e, EINVAL, "%s is a guest here, and no host: where to? (vmferry migrate VM... --to [USER@]HOST)", where);
	return is_guest;
}
