/* fleet-back.c: see fleet-back.h. */
#include "fleet-back.h"
#include "json-text.h"
#include "util.h"
#include "words.h"

#include <string.h>

/* True if the guest is shut down: its start script there starts it, whatever its name was here. */
static bool is_shut_down(const struct fleet_task *t)
{
	return t->is_off || (!strcmp(json_text(t->plan, "how") ?: "", "cold") && !json_integer_value(json_object_get(t->plan, "pid")));
}

char *fleet_back_guest(const struct fleet_task *t)
{
	const char *name = json_text(t->plan, "guest"), *script = json_text(t->result, "start_script");
	json_int_t pid = json_integer_value(json_object_get(t->result, "destination_pid"));

	if (t->found_done)
		return xstrdup(t->guest);
	if (t->state != FLEET_ENDED || t->code || !strcmp(json_text(t->result, "outcome") ?: "", "disks-copied"))
		return NULL;
	if (is_shut_down(t))
		return script && !t->only_off ? xstrdup(script) : strchr(t->guest, '/') ? NULL : xstrdup(t->guest);
	if (text_is_digits(t->guest)) /* a guest that shares its name here is called by its pid, which is another one there */
		return pid ? xasprintf("%lld", (long long)pid) : NULL;
	if (strchr(t->guest, '/')) /* a path of this host */
		return xstrdup(name);
	return xstrdup(t->guest);
}

static bool travels_elsewhere(const json_t *disk)
{
	const char *from = json_text(disk, "from"), *to = json_text(disk, "to");

	return from && to && *from == '/' && !strcmp(json_text(disk, "transfer") ?: "", "copy") && strcmp(from, to) != 0;
}

/* DIR of --disk-dir that has each disk where it lay, malloc'ed; NULL: there is none. */
static char *common_dir(const json_t *disks)
{
	AUTO_FREE char *dir = NULL;
	json_t *disk;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)disks, i, disk) {
		const char *from = json_text(disk, "from"), *to = json_text(disk, "to");
		size_t n;

		if (!from || !to || strcmp(json_text(disk, "transfer") ?: "", "copy") != 0)
			continue;
		n = (size_t)(path_base(from) - from);
		if (!n || strcmp(path_base(from), path_base(to)) != 0 || (dir && (strlen(dir) != n || strncmp(dir, from, n) != 0)))
			return NULL;
		if (!dir)
			dir = xstrndup(from, n);
	}
	return xstrdup(dir);
}

/* "/srv/vm/vm1/" of vm1 is /srv/vm/%n, so that guests of which each has a directory come back by one command. Malloc'ed. */
static char *with_name(char *dir, const char *guest)
{
	size_t n = strlen(dir), k = guest ? strlen(guest) : 0;

	while (n > 1 && dir[n - 1] == '/')
		dir[--n] = '\0';
	return k && n > k && dir[n - k - 1] == '/' && !strcmp(dir + n - k, guest) ? xasprintf("%.*s%%n", (int)(n - k), dir) : xstrdup(dir);
}

static void add_words(json_t *words, const char *option, const char *value)
{
	json_array_append_new(words, json_string(option));
	json_array_append_new(words, json_string(value));
}

static void add_each_disk(json_t *words, const json_t *disks)
{
	json_t *disk;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)disks, i, disk) {
		if (!travels_elsewhere(disk) || strchr(json_text(disk, "to"), '='))
			continue;
		AUTO_FREE char *pair = xasprintf("%s=%s", json_text(disk, "to"), json_text(disk, "from"));

		add_words(words, "--disk", pair);
	}
}

static bool some_travel_elsewhere(const json_t *disks)
{
	json_t *disk;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)disks, i, disk)
		if (travels_elsewhere(disk))
			return true;
	return false;
}

json_t *fleet_back_options(const struct fleet_task *t)
{
	const json_t *disks = json_object_get(t->plan, "disks");
	const char *how = t->is_off ? "cold" : json_text(t->plan, "how");
	AUTO_FREE char *dir = common_dir(disks);
	json_t *words = json_array();

	add_words(words, "--reuse", "auto");
	if (dir && some_travel_elsewhere(disks) && !strchr(dir, '%')) {
		AUTO_FREE char *named = with_name(dir, json_text(t->plan, "guest"));

		add_words(words, "--disk-dir", named);
	} else if (some_travel_elsewhere(disks)) {
		add_each_disk(words, disks);
	}
	if (how && strcmp(how, "live") != 0) /* the guest may not go otherwise */
		add_words(words, "--how", how);
	return words;
}
