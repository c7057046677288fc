/* replica-whereabouts.c: see replica-whereabouts.h. */
#include "replica-whereabouts.h"
#include "journal.h"
#include "json-text.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- commands that are not over ---- */

static int check_journal(const char *path, const char *guest, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	json_t *begin;
	bool is_its;
	int r = journal_peek(path, id, &begin, e);

	if (r == -ENOENT) /* it has ended meanwhile */
		return 0;
	if (r)
		return err_prefix(e, "whether guest %s is being moved from here cannot be told", guest), -EBUSY;
	is_its = strcmp(json_text(begin, "how") ?: "", "replica") != 0 && !strcmp(json_text(begin, "guest") ?: "", guest);
	json_decref(begin);
	return is_its ? err_set(e, EBUSY, "a command that takes guest %s from here, or changes its disks, is not over (vmferry recover %s)",
				guest, id)
		      : 0;
}

static int check_journals(const char *state_dir, const char *guest, struct err *e)
{
	char **paths;
	size_t n, i;
	int r = journal_list(state_dir, &paths, &n, e);

	if (r)
		return r;
	for (i = 0; i < n && !r; i++)
		if (journal_path_is(paths[i], true))
			r = check_journal(paths[i], guest, e);
	journal_list_free(paths, n);
	return r;
}

/* ---- what is remembered ---- */

/* By their names, and with links followed, as those are called that a move has carried. */
static json_t *overlays_of(const struct points *p)
{
	const struct point *any = points_newest(p);
	char real[PATH_MAX];
	json_t *out = json_array();
	size_t i;

	for (i = 0; any && point_disk(any, i); i++) {
		json_array_append_new(out, json_sprintf("%s/run/disk%zu.qcow2", p->dir, i));
		if (realpath(p->dir, real))
			json_array_append_new(out, json_sprintf("%s/run/disk%zu.qcow2", real, i));
	}
	return out;
}

int replica_check_stayed(const char *state_dir, const char *guest, const struct points *p, struct err *e)
{
	AUTO_FREE char *path = whereabouts_path(state_dir, guest);
	json_t *all, *overlays;
	const json_t *newest;
	bool shared;
	int r = check_journals(state_dir, guest, e) ?: whereabouts_read(path, &all, e);

	if (r)
		return r;
	overlays = overlays_of(p);
	newest = whereabouts_of_disks(all, overlays, &shared);
	if (json_text(newest, "gone_to"))
		r = err_set(
			e, EREMOTE,
			"guest %s went on from here to %s, which has what it has written since, so its primary must not go on. What is left "
			"of it here is removed by vmferry replica remove %s",
			guest, json_text(newest, "gone_to"), guest);
	json_decref(overlays);
	json_decref(all);
	return r;
}

static bool are_here(const json_t *disks)
{
	json_t *disk;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)disks, i, disk)
		if (access(json_string_value(disk) ?: "", F_OK))
			return false;
	return json_array_size(disks) > 0;
}

int replica_check_came(const char *state_dir, const char *guest, const struct points *p, struct err *e)
{
	AUTO_FREE char *path = whereabouts_path(state_dir, guest);
	const struct point *point = points_newest(p);
	const json_t *newest;
	json_t *all;
	int r = whereabouts_read(path, &all, e);

	if (r)
		return r;
	newest = json_array_size(all) ? json_array_get(all, json_array_size(all) - 1) : NULL;
	if (point && json_text(newest, "came_from") && are_here(json_object_get(newest, "disks")) &&
	    (int64_t)json_integer_value(json_object_get(newest, "at")) >= point->at_ms / 1000)
		r = err_set(e, EEXIST, "guest %s itself came to this host from %s, after its newest point was made", guest,
			    json_text(newest, "came_from"));
	json_decref(all);
	return r;
}
