/* newest-copy.c: see newest-copy.h. */
#include "newest-copy.h"
#include "journal.h"
#include "json-text.h"
#include "moment.h"
#include "own-file.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- journals ---- */

/* True if the journal is of a copy of the guest's disks, made while it stays where it is: a host that was lost meanwhile starts it again. */
static bool is_of_a_copy(const struct journal *j)
{
	const char *how = json_text(journal_begin(j), "how") ?: "";

	return !strcmp(how, "replica") || (!strcmp(how, "disks") && !handoff_state_of_role(journal_last_state(j), HO_DESTINATION));
}

/* True if the journal is of a move of this guest, or of a change of its disks. */
static bool is_of_guest(const struct newest_question *q, const struct journal *j)
{
	const json_t *begin = journal_begin(j);
	bool moves = json_object_get(begin, "dest") || json_object_get(begin, "storage") ||
		     handoff_state_of_role(journal_last_state(j), HO_DESTINATION);

	return moves && !is_of_a_copy(j) && !strcmp(json_text(begin, "guest") ?: "", q->guest);
}

/* Decides by one journal: -errno if the guest is another host's, or that is not known. A journal kept only for leftovers counts as over. */
static int judge(const struct newest_question *q, const struct journal *j, struct newest_answer *a, struct err *e)
{
	enum handoff_state state = journal_last_state(j);
	const char *to = json_text(journal_begin(j), "dest") ?: "another host";
	bool over = journal_last_note(j, "over"), revertible = json_is_true(json_object_get(journal_begin(j), "revertible"));

	if (state == HO_SRC_RELEASED) {
		a->gone_to = xstrdup(to);
		return err_set(e, EBUSY, "it has gone to %s", to);
	}
	if (over || state == HO_DST_DONE || (state == HO_DST_STARTED && !revertible))
		return 0;
	if (state == HO_DST_STARTED)
		return err_set(e, EAGAIN, "the guest came here, and its source can still take it back: vmferry revert or keep, there");
	a->unsettled = true;
	if (handoff_state_of_role(state, HO_DESTINATION))
		return err_set(e, EAGAIN, "a move of it to this host is not over (%s): vmferry-dst recover", handoff_state_name(state));
	return err_set(e, EAGAIN, "%s is not over (%s): vmferry recover %s",
		       json_object_get(journal_begin(j), "dest") ? "its move to another host" : "a change of its disks",
		       handoff_state_name(state), q->guest);
}

/* Points of its replica are none of its moves. */
static int judge_open(const struct newest_question *q, const struct journal *j, bool destination, struct err *e)
{
	if (journal_last_note(j, "over") || journal_last_state(j) == HO_SRC_RELEASED ||
	    !strcmp(json_text(journal_begin(j), "how") ?: "", "replica"))
		return 0;
	return destination
		       ? err_set(e, EBUSY,
				 "guest %s itself came, or is on its way here, by a move that is not over (%s): vmferry recover at its source, "
				 "or, if that host is lost for good, vmferry-dst recover here",
				 q->guest, handoff_state_name(journal_last_state(j)))
		       : err_set(e, EBUSY,
				 "guest %s itself is here, and a command that changes that is not over: vmferry recover %s (with "
				 "--peer-is-fenced, if its other host is lost for good)",
				 q->guest, q->guest);
}

static int refuse_open(const struct newest_question *q, const char *path, struct newest_answer *a, struct err *e)
{
	struct journal *j;
	int r = journal_look(&j, path, e);

	(void)a;
	if (r == -ENOENT)
		return 0;
	if (r)
		return err_prefix(e, "%s is a journal that cannot be read, perhaps of a move of guest %s", path, q->guest);
	r = strcmp(json_text(journal_begin(j), "guest") ?: "", q->guest) ? 0 : judge_open(q, j, !journal_path_is(path, true), e);
	journal_close(j);
	return r;
}

static int judge_file(const struct newest_question *q, const char *path, struct newest_answer *a, struct err *e)
{
	struct journal *j;
	int r = journal_look(&j, path, e);

	if (r == -ENOENT) /* ended by now, and its result is remembered */
		return 0;
	if (r)
		return err_prefix(e, "%s is a journal that cannot be read, perhaps of a move of it", path);
	r = is_of_guest(q, j) ? judge(q, j, a, e) : 0;
	journal_close(j);
	return r;
}

typedef int look(const struct newest_question *q, const char *path, struct newest_answer *a, struct err *e);

static int look_at_journals(const struct newest_question *q, look *at, struct newest_answer *a, struct err *e)
{
	char **paths;
	size_t n, i;
	int r = journal_list(q->state_dir, &paths, &n, e);

	if (r)
		return r;
	for (i = 0; i < n && !r; i++)
		r = at(q, paths[i], a, e);
	journal_list_free(paths, n);
	return r;
}

/* ---- what is remembered ---- */

static const json_t *newest_of_name(const struct newest_question *q, const json_t *all)
{
	for (size_t i = json_array_size(all); i > 0; i--)
		if (!strcmp(json_text(json_array_get(all, i - 1), "guest") ?: "", q->guest))
			return json_array_get(all, i - 1);
	return NULL;
}

/* The disks of a guest that came back have an entry of their own, so the last word on each disk counts. */
static const json_t *entry_of_gone(const struct newest_question *q, const json_t *all, bool *shared)
{
	const json_t *found = NULL, *entry;
	json_t *disk, *one;
	bool is_shared;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)q->disks, i, disk) {
		one = json_pack("[O]", disk);
		entry = whereabouts_of_disks(all, one, &is_shared);
		json_decref(one);
		if (!json_text(entry, "gone_to") || (found && !*shared))
			continue;
		found = entry;
		*shared = is_shared;
	}
	return found;
}

static int refuse_gone(const char *path, const json_t *entry, bool shared, struct newest_answer *a, struct err *e)
{
	char at[MOMENT_TEXT];
	const char *to = json_text(entry, "gone_to");

	a->gone_to = xstrdup(to);
	a->gone_at = json_integer_value(json_object_get(entry, "at"));
	a->shared = shared;
	moment_text(at, (time_t)a->gone_at);
	return shared ? err_set(e, EBUSY,
				"it went to %s (%s) with disks that both hosts see: it may run there. If it certainly does not: --peer-is-fenced",
				to, at)
		      : err_set(e, EBUSY,
				"it went to %s (%s): what lies here is the old copy of then. If it was brought back by other means than vmferry, "
				"remove %s",
				to, at, path);
}

static int look_at_disks(const json_t *disks, struct err *e)
{
	json_t *disk;
	size_t i;

	if (!json_array_size(disks))
		return err_set(e, ENOENT, "it has no disk by which that could be told");
	json_array_foreach((json_t *)(uintptr_t)disks, i, disk) {
		const char *path = json_string_value(disk) ?: "";

		if (access(path, F_OK))
			return err_sys(e, errno, "its disk %s", path);
		if (own_file_unused(path, e))
			return err_prefix(e, "it may run already");
	}
	return 0;
}

/* Malloc'ed. */
static char *say_known(const json_t *entry)
{
	char at[MOMENT_TEXT];

	if (!json_text(entry, "came_from"))
		return xstrdup("no move has taken it away from here");
	return xasprintf("it came from %s (%s)", json_text(entry, "came_from"),
			 moment_text(at, (time_t)json_integer_value(json_object_get(entry, "at"))));
}

static int judge_entries(const struct newest_question *q, const char *path, const json_t *all, struct newest_answer *a, struct err *e)
{
	bool shared = false;
	const json_t *newest = q->disks ? whereabouts_of_disks(all, q->disks, &shared) : newest_of_name(q, all);
	const json_t *gone = q->disks ? entry_of_gone(q, all, &shared) : json_text(newest, "gone_to") ? newest : NULL;
	int r;

	if (!q->disks && !newest)
		return err_set(e, ENOENT, "no record of a guest of that name; give its script or unit instead");
	if (!q->disks)
		shared = gone && !json_array_size(json_object_get(gone, "disks"));
	if (gone && !(shared && q->fenced))
		return refuse_gone(path, gone, shared, a, e);
	r = look_at_disks(q->disks ?: json_object_get(newest, gone ? "shared" : "disks"), e);
	if (!r) {
		a->known = say_known(newest);
		a->came_at = json_text(newest, "came_from") ? json_integer_value(json_object_get(newest, "at")) : 0;
	}
	return r;
}

int newest_copy_is_here(const struct newest_question *q, struct newest_answer *a, struct err *e)
{
	AUTO_FREE char *path = whereabouts_path(q->state_dir, q->guest);
	json_auto_t *all = NULL;

	return look_at_journals(q, judge_file, a, e) ?: whereabouts_read(path, &all, e) ?: judge_entries(q, path, all, a, e);
}

int newest_copy_is_not_moving(const struct newest_question *q, struct err *e)
{
	return look_at_journals(q, refuse_open, NULL, e);
}

void newest_answer_fini(struct newest_answer *a)
{
	free(a->known);
	free(a->gone_to);
	*a = (struct newest_answer){.known = NULL};
}
