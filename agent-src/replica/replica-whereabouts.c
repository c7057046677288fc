/* replica-whereabouts.c: see replica-whereabouts.h. */
#include "replica-whereabouts.h"
#include "guest-at-rest.h"
#include "guest-of-libvirt.h"
#include "journal.h"
#include "json-text.h"
#include "newest-copy.h"
#include "point-run.h"
#include "qemu-discover.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
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

	if (r == -ENOENT) /* the move has ended meanwhile */
		return 0;
	if (r)
		return err_prefix(e, "cannot tell whether guest %s is being moved from here", guest), -EBUSY;
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

/* Paths of the overlays, by their own names and with links followed, as the paths that a move has carried are. */
static json_t *overlays_of(const struct points *p)
{
	const struct point *any = points_newest(p);
	char real[PATH_MAX];
	json_t *out = json_array();

	for (size_t i = 0; any && point_disk(any, i); i++) {
		json_array_append_new(out, json_sprintf("%s/run/disk%zu.qcow2", p->dir, i));
		if (realpath(p->dir, real))
			json_array_append_new(out, json_sprintf("%s/run/disk%zu.qcow2", real, i));
	}
	return out;
}

int replica_check_stayed(const char *state_dir, const char *guest, const struct points *p, struct err *e)
{
	AUTO_FREE char *path = whereabouts_path(state_dir, guest);
	json_auto_t *all = NULL, *overlays = NULL;
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
	return r;
}

/* list: texts, or objects of pairs. */
static bool is_in(const json_t *list, const char *text)
{
	return json_find(list, NULL, text) || json_find(list, "pair", text);
}

/* A run from its replica is noted with the pair in an attempt's place. What came before a point was made is known to that: no clock is asked. */
static bool came_before(const struct points *p, const struct point *point, const json_t *entry)
{
	const char *attempt = json_text(entry, "attempt") ?: "";
	int64_t at_s = (int64_t)json_integer_value(json_object_get(entry, "at"));

	if (!json_object_get(point->json, "known")) /* an earlier vmferry made the point */
		return at_s < point->at_ms / 1000;
	return !strcmp(attempt, json_text(p->replica, "pair") ?: "") || is_in(json_object_get(p->replica, "past"), attempt) ||
	       is_in(json_object_get(point->json, "known"), attempt);
}

int replica_check_came(const char *state_dir, const char *guest, const struct points *p, struct err *e)
{
	AUTO_FREE char *path = whereabouts_path(state_dir, guest);
	const struct point *point = points_newest(p);
	const json_t *newest;
	json_auto_t *all = NULL;
	int r = whereabouts_read(path, &all, e);

	if (r)
		return r;
	newest = json_array_size(all) ? json_array_get(all, json_array_size(all) - 1) : NULL;
	if (point && json_text(newest, "came_from") && !came_before(p, point, newest))
		r = err_set(e, EEXIST,
			    "guest %s itself came to this host from %s since its newest point was made, so it lies here with what it has "
			    "written since: start that. (If it left by other means than vmferry: remove %s)",
			    guest, json_text(newest, "came_from"), path);
	return r;
}

/* ---- whether it runs here ---- */

int replica_check_no_guest_runs(const char *guest, struct err *e)
{
	AUTO_FREE struct guest *list = NULL;
	size_t count, i;
	bool cut_off; /* other users' processes were cut off: anybody may give a process such a name */
	int r = guest_list(&list, &count, &cut_off, e);

	if (r)
		return r;
	for (i = 0; i < count; i++) {
		if (!r && !strcmp(list[i].name ?: "", guest) && (!list[i].foreign || guest_is_run_by_libvirt(&list[i])))
			r = err_set(e, EBUSY, "a guest %s runs here already (pid %d)", guest, (int)list[i].pid);
		guest_fini(&list[i]);
	}
	return r;
}

int replica_check_absent(const char *state_dir, const char *guest, const struct points *p, struct err *e)
{
	const struct newest_question q = {.state_dir = state_dir, .guest = guest};

	return newest_copy_is_not_moving(&q, e) ?: replica_check_no_guest_runs(guest, e) ?: replica_check_came(state_dir, guest, p, e);
}

/* ---- what would start it again ---- */

static bool has_disk(const struct guest *g, const char *path)
{
	char real[PATH_MAX];

	for (size_t i = 0; realpath(path, real) && i < g->disk_count; i++)
		if (!strcmp(g->disks[i].real_path ?: "", real))
			return true;
	return false;
}

int replica_check_script(const char *script, char *const *overlays, size_t count, struct err *e)
{
	AUTO_FREE char *found = NULL;
	struct guest g;
	int r;

	if (access(script, F_OK))
		return err_set(e, EREMOTE, "%s, which started it here, is gone: a move may have taken it to another host", script);
	r = guest_at_rest(&g, script, NULL, 0, &found, e);
	for (size_t i = 0; i < count && !r; i++)
		if (!has_disk(&g, overlays[i]))
			r = err_set(e, EREMOTE,
				    "%s, which starts it here, names other disks than %s: what it has written since is on those", script,
				    overlays[i]);
	guest_fini(&g);
	return r;
}

/* ---- a run from a point ---- */

void replica_note_here(const struct run *r, const char *state_dir)
{
	AUTO_FREE char *path = whereabouts_path(state_dir, r->guest);
	json_t *disks = json_array(), *entry;
	struct err e;

	for (size_t i = 0; point_disk(r->point, i); i++) {
		AUTO_FREE char *disk = run_overlay(r, i);

		json_array_append_new(disks, json_string(disk));
	}
	entry = json_pack("{s:s,s:s,s:s,s:o}", "guest", r->guest, "attempt", json_text(r->store.replica, "pair") ?: "", "came_from",
			  json_text(r->store.replica, "from") ?: "its primary", "disks", disks);
	if (whereabouts_add(path, entry, &e))
		fprintf(stderr, "vmferry: cannot note that guest %s is here now: %s\n", r->guest, e.msg);
	json_decref(entry);
}
