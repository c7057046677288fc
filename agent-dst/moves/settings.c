/* settings.c: see settings.h. */
#include "settings.h"
#include "host-settings.h"
#include "json-text.h"
#include "paths.h"
#include "promise.h"
#include "promised.h"
#include "room.h"
#include "tap.h"
#include "arriving-transfer.h"
#include "util.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>

#define CHOICES_MAX 4

/* ---- directories ---- */

/* Free bytes of the directory, or of the one in which it is to be made; 0: neither is there. */
static uint64_t room_of(const char *dir)
{
	AUTO_FREE char *copy = xstrdup(dir);
	struct room room;

	return !room_get(dir, &room) || !room_get(dirname(copy), &room) ? room.disk : 0;
}

/* Chooses the directory with most room after what other guests were promised. Malloc'ed; NULL: no directory can be used. If all room is
 * promised it is the first directory: the plan says to whom the room is promised. */
static char *roomiest(const struct host_settings *s, const char *guest, const json_t *others)
{
	uint64_t most = 0, room, promised;
	char *best = NULL;

	for (size_t i = 0; i < s->disk_dir_count; i++) {
		AUTO_FREE char *dir = path_with_name(s->disk_dirs[i], guest);

		room = room_of(dir);
		promised = promised_room(others, dir);
		room = room && room <= promised ? 1 : room - MIN(room, promised);
		if (room <= most)
			continue;
		most = room;
		free(best);
		best = xstrdup(dir);
	}
	return best;
}

static uint64_t bytes_of_disks(const json_t *description)
{
	uint64_t bytes = 0;
	json_t *disk;
	size_t i;

	json_array_foreach(json_object_get(description, "disks"), i, disk) {
		json_int_t n = json_integer_value(json_object_get(disk, "allocated"));

		bytes += n > 0 ? (uint64_t)n : 0;
	}
	return bytes;
}

/* True if an earlier move has left that disk, or brought some of it, where it would go: it is not carried once more. */
static bool is_begun(const struct transfer *t, const struct partials *ps, const char *dir, const json_t *disk)
{
	const json_t *d = t->target.description;
	AUTO_FREE char *copy = xstrdup(json_text(disk, "real_path") ?: "-");
	AUTO_FREE char *place = xasprintf("%s/%s", dir, basename(copy));
	json_auto_t *kind = partial_kind(d, disk);
	struct partial found = {NULL, NULL};
	bool yes;

	if (kind)
		partial_find(&found, ps, place, kind, !strcmp(json_text(disk, "format") ?: "", "raw"));
	yes = partial_bytes(&found) || (!strcmp(json_text(disk, "reuse") ?: "", "auto") &&
					old_copy_was_left(t->cfg->state_dir, json_text(d, "name") ?: "guest", place));
	partial_fini(&found);
	return yes;
}

static bool are_begun(const struct transfer *t, const struct partials *ps, const char *dir)
{
	json_t *disk;
	size_t i;

	json_array_foreach(json_object_get(t->target.description, "disks"), i, disk)
		if (!json_text(disk, "path") && is_begun(t, ps, dir, disk)) /* the user may say where it goes instead */
			return true;
	return false;
}

/* Malloc'ed, or NULL: nothing of its disks is in any. */
static char *begun(struct transfer *t, const struct host_settings *s, const char *guest)
{
	struct partials ps = {NULL, 0};
	char *dir = NULL;

	if (target_keep_partial_s(&t->target))
		partials_open(&ps, t->cfg->state_dir, guest);
	for (size_t i = 0; i < s->disk_dir_count && !dir; i++) {
		dir = path_with_name(s->disk_dirs[i], guest);
		if (are_begun(t, &ps, dir))
			break;
		free(dir);
		dir = NULL;
	}
	partials_close(&ps);
	return dir;
}

/* Malloc'ed, or NULL. A choice is told to others, and is another one if they have told theirs meanwhile. */
static char *choose(struct transfer *t, const struct host_settings *s)
{
	const char *guest = json_text(t->target.description, "name") ?: "guest";
	char *best = begun(t, s, guest), *before;
	unsigned tries = CHOICES_MAX;
	bool again;

	if (best) {
		json_decref(promise_choice(t, best, bytes_of_disks(t->target.description)));
		return best;
	}
	do {
		json_t *others = promise_choice(t, best, bytes_of_disks(t->target.description));

		before = best;
		best = roomiest(s, guest, others);
		again = best && (!before || strcmp(best, before) != 0);
		free(before);
		json_decref(others);
	} while (again && --tries);
	return best;
}

static int choose_dir(struct transfer *t, const struct host_settings *s, struct err *e)
{
	AUTO_FREE char *best = NULL;

	if (strcmp(json_text(t->target.description, "disk_dir") ?: "", "auto") != 0)
		return 0;
	best = choose(t, s);
	if (!best)
		return err_set(
			e, ENOENT,
			"--disk-dir auto: /etc/vmferry/host at the destination names no directory that is there (a line of it would be: "
			"disk-dir /srv/vm/%%n)");
	json_object_set_new(t->target.description, "disk_dir", json_string(best));
	return 0;
}

/* ---- bridges ---- */

static const char *bridge_labelled(const struct host_settings *s, const char *label)
{
	for (size_t i = 0; i < s->net_count; i++)
		if (!strcmp(s->nets[i].label, label))
			return s->nets[i].bridge;
	return NULL;
}

/* Bridges of the guest that are not here by their names, and are by their labels. */
static void find_bridges(struct transfer *t, const struct host_settings *s)
{
	const char *bridge, *here;
	json_t *label;

	json_decref(t->line.bridges);
	t->line.bridges = json_object();
	json_object_foreach(json_object_get(t->target.description, "bridge_labels"), bridge, label) {
		here = json_is_string(label) && !bridge_is_here(bridge) ? bridge_labelled(s, json_string_value(label)) : NULL;
		if (here && bridge_is_here(here))
			json_object_set_new(t->line.bridges, bridge, json_string(here));
	}
}

int settings_apply(struct transfer *t, struct err *e)
{
	struct host_settings s;
	int r = host_settings_read(&s, e);

	if (r)
		return r;
	r = choose_dir(t, &s, e);
	find_bridges(t, &s);
	t->keep_memory = s.keep_memory;
	host_settings_fini(&s);
	return r;
}
