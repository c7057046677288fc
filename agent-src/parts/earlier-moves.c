/* earlier-moves.c: see earlier-moves.h. */
#include "earlier-moves.h"
#include "image-held.h"
#include "journal.h"
#include "json-text.h"
#include "util.h"

#include <errno.h>
#include <string.h>

/* Left by a move that was over, in this QEMU: what has its own name is in nobody's way. */
static bool only_names_are_left(const struct journal *j)
{
	json_t *owned, *entry;
	bool yes = true;
	size_t i;

	if (journal_owned(j, &owned))
		return false;
	json_array_foreach(owned, i, entry)
		yes &= !strcmp(json_string_value(json_object_get(entry, "kind")), "bitmaps");
	json_decref(owned);
	return yes;
}

static bool has_a_disk_of(const struct guest *g, const json_t *begin)
{
	json_t *path;
	size_t i, k;

	json_array_foreach(json_object_get(begin, "disks"), i, path)
		for (k = 0; k < g->disk_count; k++)
			if (json_is_string(path) && g->disks[k].real_path && !strcmp(json_string_value(path), g->disks[k].real_path))
				return true;
	return false;
}

/* True if a journal that begins so speaks of this very QEMU, or, if the guest has none, of its disks. */
static bool is_ours(const struct guest *g, const json_t *begin)
{
	if (!g->pid)
		return has_a_disk_of(g, begin);
	return json_integer_value(json_object_get(begin, "pid")) == g->pid &&
	       (uint64_t)json_integer_value(json_object_get(begin, "start_time")) == g->start_time;
}

static int check_journal(const struct guest *g, const struct journal *j, struct err *e)
{
	if (!is_ours(g, journal_begin(j)))
		return 0;
	if (!journal_last_note(j, "over") && json_object_get(journal_begin(j), "keep_partial_s"))
		return err_set(
			e, EBUSY,
			"an earlier move of this guest was cut off: `vmferry recover %s --resume` goes on with what has arrived of it; "
			"`vmferry recover %s` settles it, and removes that",
			g->name, g->name);
	if (!journal_last_note(j, "over"))
		return err_set(e, EBUSY, "an earlier move of this guest was cut off; settle it first: vmferry recover %s", g->name);
	if (only_names_are_left(j))
		return 0;
	return err_set(e, EBUSY,
		       "an earlier move could not undo all that it had changed in this guest's QEMU, which is in the way of another: "
		       "`vmferry recover %s` tries that again, and says what stands in its way",
		       g->name);
}

/* A journal that cannot be read may be this guest's: refused, unless its beginning is readable and names another QEMU. */
static int check_unreadable(const struct guest *g, struct report *report, const char *path, const struct err *why, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	json_t *b;
	struct err ignored;
	bool other;

	if (!journal_peek(path, id, &b, &ignored)) {
		other = !is_ours(g, b);
		json_decref(b);
		if (other) {
			report_notice(report, "%s (it is of another guest's move)", why->msg);
			return 0;
		}
	}
	return err_set(e, EBUSY,
		       "%s. It may be of an earlier move of this guest, so another is not begun. `vmferry journal %s` shows what of it "
		       "can be read; if that move is not to be settled any more, move the file to another directory",
		       why->msg, path);
}

/* The journal is open: by an agent, whose control socket may be in another runtime directory, or by a guard, which has none. */
static int check_in_hand(const struct guest *g, const char *path, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	json_t *b;
	struct err ignored;
	bool ours;

	if (journal_peek(path, id, &b, &ignored))
		return 0; /* finished just now, or another guest's that is just begun */
	ours = is_ours(g, b);
	json_decref(b);
	return ours ? err_set(e, EBUSY,
			      "a move of this guest is under way, or one that was cut off is just being settled (journal %s): wait for it",
			      path)
		    : 0;
}

/* True if that move has brought this guest. The disks decide: a guest that is shut down has no process, and one that was started again
 * has another. */
static bool has_brought(const struct journal *j, const struct guest *g)
{
	const json_t *qemu = journal_last_note(j, "qemu");
	json_t *owned, *entry;
	bool yes = false;
	size_t i, k;

	if (g->pid && json_integer_value(json_object_get(qemu, "pid")) == g->pid &&
	    (uint64_t)json_integer_value(json_object_get(qemu, "start_time")) == g->start_time)
		return true;
	if (journal_owned(j, &owned))
		return true;
	json_array_foreach(owned, i, entry) {
		const char *path = json_text(json_object_get(entry, "detail"), "path");

		for (k = 0; k < g->disk_count && path; k++)
			yes |= g->disks[k].real_path && !strcmp(g->disks[k].real_path, path);
	}
	json_decref(owned);
	return yes;
}

/* A guest that came here by a revertible move must stay: if its source took it back after a further move, it would run twice. */
static int check_stays_here(const struct guest *g, const char *path, struct err *e)
{
	enum handoff_state state;
	struct journal *j;
	struct err ignored;
	bool may_go_back;

	if (journal_look(&j, path, &ignored))
		return 0;
	state = journal_last_state(j);
	may_go_back = (state == HO_DST_START || state == HO_DST_STARTED) && json_is_true(json_object_get(journal_begin(j), "revertible")) &&
		      has_brought(j, g);
	journal_close(j);
	return may_go_back
		       ? err_set(e, EBUSY,
				 "the host that this guest came from holds it, and may have it back (--revert-within): let it stay here first: "
				 "vmferry keep %s, there",
				 g->name)
		       : 0;
}

/* The same, whichever state directory the agent that brought it has. */
static int check_images(const struct guest *g, struct err *e)
{
	for (size_t i = 0; i < g->disk_count; i++)
		if (g->disks[i].real_path && image_is_held(g->disks[i].real_path)) {
			AUTO_FREE char *mark = image_held_path(g->disks[i].real_path);

			return err_set(
				e, EBUSY,
				"the host that this guest came from holds it, and may have it back (--revert-within; %s says so): let it "
				"stay here first: vmferry keep %s, there. If that host is gone for good: vmferry-dst recover %s "
				"--peer-is-fenced, here",
				mark, g->name, g->name);
		}
	return 0;
}

int earlier_moves_check(const char *state_dir, const struct guest *g, struct report *report, struct err *e)
{
	struct journal *j;
	char **paths;
	size_t n, i;
	struct err je;
	int r = journal_list(state_dir, &paths, &n, e);

	if (r)
		return r;
	for (i = 0; i < n && !r; i++) {
		if (!journal_path_is(paths[i], true)) {
			r = check_stays_here(g, paths[i], e);
			continue;
		}
		r = journal_open(&j, paths[i], &je);
		if (!r) {
			r = check_journal(g, j, e);
			journal_close(j);
		} else if (r == -EBUSY) {
			r = check_in_hand(g, paths[i], e);
		} else if (r == -ENOENT) {
			r = 0; /* just finished */
		} else {
			r = check_unreadable(g, report, paths[i], &je, e);
		}
	}
	journal_list_free(paths, n);
	return r ?: check_images(g, e);
}
