/* whereabouts.c: see whereabouts.h. */
#include "whereabouts.h"
#include "durable-file.h"
#include "json-text.h"
#include "moment.h"
#include "open-regular.h"
#include "paths.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define BYTES_MAX (4 * MIB)
#define NAME_LONG 200 /* a file's name has room for no more */

char *whereabouts_path(const char *state_dir, const char *guest)
{
	AUTO_FREE char *shorter = xasprintf("%.*s", NAME_LONG, guest);
	AUTO_FREE char *name = NULL;

	text_make_utf8(shorter);
	name = path_with_name("%n.json", shorter);
	return xasprintf("%s/guests/%s", state_dir, name);
}

static int read_file(const char *path, char **text, struct err *e)
{
	AUTO_CLOSE int fd = open_regular(path);
	size_t n;
	int r = fd < 0 ? fd : read_regular(fd, BYTES_MAX, text, &n);

	return r && r != -ENOENT ? err_sys(e, -r, "cannot read %s", path) : r;
}

int whereabouts_read(const char *path, json_t **out, struct err *e)
{
	AUTO_FREE char *text = NULL;
	json_t *all, *one;
	size_t i;
	int r = read_file(path, &text, e);

	if (r && r != -ENOENT)
		return r;
	all = text ? json_loads(text, 0, NULL) : json_array();
	json_array_foreach(all, i, one)
		r = r == -EBADMSG || !json_is_object(one) ? -EBADMSG : 0;
	if (json_is_array(all) && r != -EBADMSG) {
		*out = all;
		return 0;
	}
	json_decref(all);
	return err_set(e, EBADMSG, "%s does not say where the guest is: it is damaged", path);
}

static char *gone_words(const json_t *entry, const char *guest)
{
	const char *to = json_text(entry, "gone_to");
	char at[MOMENT_TEXT];

	if (!to || strcmp(json_text(entry, "guest") ?: "", guest) != 0)
		return NULL;
	return xasprintf("%s went to %s (%s)", guest, to, moment_text(at, (time_t)json_integer_value(json_object_get(entry, "at"))));
}

char *whereabouts_gone(const char *state_dir, const char *guest)
{
	AUTO_FREE char *dir = NULL;
	AUTO_FREE char *path = NULL;
	json_t *all = NULL;
	struct err e;
	char *words;

	if (!text_is_utf8(guest) || state_dir_get(&dir, state_dir, &e))
		return NULL;
	path = whereabouts_path(dir, guest);
	if (whereabouts_read(path, &all, &e))
		return NULL;
	words = gone_words(json_array_get(all, json_array_size(all) - 1), guest);
	json_decref(all);
	return words;
}

/* True if one of the paths is in the list. */
static bool meet(const json_t *list, const json_t *paths)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)paths, i, one)
		if (json_is_string(one) && json_find(list, NULL, json_string_value(one)))
			return true;
	return false;
}

static bool entry_has(const json_t *entry, const json_t *paths, bool *shared)
{
	bool copied = meet(json_object_get(entry, "disks"), paths);

	*shared = !copied && meet(json_object_get(entry, "shared"), paths);
	return copied || *shared;
}

const json_t *whereabouts_of_disks(const json_t *all, const json_t *disks, bool *shared)
{
	for (size_t i = json_array_size(all); i > 0; i--)
		if (entry_has(json_array_get(all, i - 1), disks, shared))
			return json_array_get(all, i - 1);
	return NULL;
}

json_t *whereabouts_attempts(const json_t *all)
{
	json_t *out = json_array(), *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)all, i, one)
		if (json_text(one, "attempt"))
			json_array_append(out, json_object_get(one, "attempt"));
	return out;
}

bool whereabouts_has_left_since(const json_t *all, const json_t *entry)
{
	const json_t *known = json_object_get(entry, "known"), *disks = json_object_get(entry, "disks");
	const char *own = json_text(entry, "attempt") ?: ""; /* both of its agents may be on this host */
	json_t *one;
	bool ignored;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)all, i, one) {
		const char *attempt = json_text(one, "attempt") ?: "";

		if (known && json_text(one, "gone_to") && strcmp(attempt, own) != 0 && !json_find(known, NULL, attempt) &&
		    entry_has(one, disks, &ignored))
			return true;
	}
	return false;
}

/* The others that stay, and the new one; a new reference. */
static json_t *with_entry(const json_t *all, json_t *entry)
{
	json_t *out = json_array(), *one;
	bool ignored;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)all, i, one)
		if (!entry_has(one, json_object_get(entry, "disks"), &ignored) &&
		    !entry_has(one, json_object_get(entry, "shared"), &ignored))
			json_array_append(out, one);
	json_array_append(out, entry);
	while (json_array_size(out) > WHEREABOUTS_KEPT)
		json_array_remove(out, 0);
	return out;
}

/* The others, and before the newest of them the old copies that none of them names; a new reference. */
static json_t *with_old_entry(const json_t *all, json_t *entry)
{
	json_t *out = json_array(), *kept = json_array(), *disk, *alone;
	size_t i, n = json_array_size(all);
	bool ignored;

	json_array_foreach(json_object_get(entry, "disks"), i, disk) {
		alone = json_pack("[O]", disk);
		if (!whereabouts_of_disks(all, alone, &ignored))
			json_array_append(kept, disk);
		json_decref(alone);
	}
	json_array_extend(out, (json_t *)(uintptr_t)all);
	if (json_array_size(kept))
		json_array_insert(out, n ? n - 1 : 0, entry);
	json_object_set_new(entry, "disks", kept);
	while (json_array_size(out) > WHEREABOUTS_KEPT)
		json_array_remove(out, 0);
	return out;
}

static int lock_dir(const char *dir, int *fd, struct err *e)
{
	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_sys(e, errno, "cannot make %s", dir);
	*fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0 || flock(*fd, LOCK_EX))
		return err_sys(e, errno, "cannot lock %s", dir);
	return sync_parent_dir(dir, e);
}

static int add(const char *path, json_t *entry, json_t *(*with)(const json_t *all, json_t *entry), struct err *e)
{
	AUTO_FREE char *copy = xstrdup(path);
	AUTO_FREE char *text = NULL;
	AUTO_CLOSE int fd = -1;
	json_t *all, *now;
	int r = lock_dir(dirname(copy), &fd, e) ?: whereabouts_read(path, &all, e);

	if (r)
		return r;
	if (whereabouts_has_left_since(all, entry)) {
		json_decref(all);
		return 0;
	}
	json_object_set_new(entry, "at", json_integer((json_int_t)time(NULL)));
	now = with(all, entry);
	text = json_dumps(now, JSON_INDENT(1));
	json_decref(all);
	json_decref(now);
	return text ? replace_file(path, text, strlen(text), e) : err_set(e, EILSEQ, "cannot write %s: it would not be UTF-8 text", path);
}

int whereabouts_add(const char *path, json_t *entry, struct err *e)
{
	return add(path, entry, with_entry, e);
}

int whereabouts_add_old(const char *path, json_t *entry, struct err *e)
{
	return add(path, entry, with_old_entry, e);
}
