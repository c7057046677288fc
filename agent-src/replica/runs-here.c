/* runs-here.c: see runs-here.h. */
#include "runs-here.h"
#include "json-text.h"
#include "own-file.h"
#include "qemu-discover.h"
#include "replica-conf.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* ---- disks that are noted ---- */

static void add_disks(json_t *out, const json_t *disks)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)disks, i, one)
		if (json_string_value(one) && *json_string_value(one) == '/')
			json_array_append(out, one);
}

/* Disks of the guest's last point, and those of its newest entry, if it came. */
static int list_disks(const char *state_dir, const char *guest, json_t **out, struct err *e)
{
	AUTO_FREE char *path = whereabouts_path(state_dir, guest);
	json_auto_t *state = NULL, *all = NULL;
	const json_t *newest;
	int r = whereabouts_read(path, &all, e);

	if (r)
		return r;
	*out = json_array();
	state = replica_state_load(state_dir, guest);
	newest = json_array_size(all) ? json_array_get(all, json_array_size(all) - 1) : NULL;
	add_disks(*out, json_object_get(state, "disks"));
	if (json_text(newest, "came_from"))
		add_disks(*out, json_object_get(newest, "disks"));
	return 0;
}

/* ---- a QEMU's command line ---- */

const char *runs_here_uuid(char *const *argv, size_t argc)
{
	for (size_t i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "-uuid") || !strcmp(argv[i], "--uuid"))
			return argv[i + 1];
	return NULL;
}

static bool is_file(const char *path, const struct stat *file)
{
	struct stat st;

	return !stat(path, &st) && st.st_dev == file->st_dev && st.st_ino == file->st_ino;
}

/* A word has its paths between its options, or in JSON. */
static bool word_names(const struct guest *g, const char *word, const struct stat *file)
{
	AUTO_FREE char *copy = xstrdup(word);
	char *rest = copy, *part;

	while ((part = strsep(&rest, ",=\"{}")) != NULL) {
		AUTO_FREE char *path = *part ? guest_path(g, part) : NULL,
			       *bare = path ? guest_path(g, strrchr(part, ':') ? strrchr(part, ':') + 1 : part) : NULL;

		if (path && (is_file(path, file) || is_file(bare, file)))
			return true;
	}
	return false;
}

static bool line_names(const struct guest *g, const char *disk)
{
	struct stat file;

	if (stat(disk, &file))
		return false;
	for (size_t i = 1; i < g->line.expanded_count; i++)
		if (word_names(g, g->line.expanded[i], &file))
			return true;
	return false;
}

static int check_guest(const struct guest *g, const json_t *disks, const char *uuid, struct err *e)
{
	const char *its = g->line.argv ? runs_here_uuid(g->line.argv, g->line.argc) : NULL;
	json_t *one;
	size_t i;

	if (uuid && its && !strcasecmp(uuid, its))
		return err_set(e, EBUSY, "guest %s (pid %d) runs here, and has its UUID: it may be it", g->name, (int)g->pid);
	json_array_foreach((json_t *)(uintptr_t)disks, i, one)
		if (line_names(g, json_string_value(one)))
			return err_set(e, EBUSY, "guest %s (pid %d) runs here on its disk %s: it may be it", g->name, (int)g->pid,
				       json_string_value(one));
	return 0;
}

static int check_guests(const json_t *disks, const char *uuid, struct err *e)
{
	AUTO_FREE struct guest *list = NULL;
	size_t count, i;
	bool cut_off; /* other users' processes were cut off: nothing of their command lines is believed */
	int r = guest_list(&list, &count, &cut_off, e);

	if (r)
		return r;
	for (i = 0; i < count; i++) {
		r = r ?: check_guest(&list[i], disks, uuid, e);
		guest_fini(&list[i]);
	}
	return r;
}

/* ---- open files ---- */

static int check_open(const json_t *disks, struct err *e)
{
	struct stat st;
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)disks, i, one) {
		if (stat(json_string_value(one), &st) && (errno == ENOENT || errno == ENOTDIR))
			continue;
		if (own_file_unused(json_string_value(one), e))
			return err_prefix(e, "it may run already, perhaps by another name");
	}
	return 0;
}

int runs_here_check(const char *state_dir, const char *guest, const char *uuid, struct err *e)
{
	json_auto_t *disks = NULL;

	return list_disks(state_dir, guest, &disks, e) ?: check_guests(disks, uuid, e) ?: check_open(disks, e);
}
