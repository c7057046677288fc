/* made.c: see made.h. */
#include "made.h"
#include "draft.h"
#include "durable-file.h"
#include "in-place.h"
#include "json-text.h"
#include "log.h"
#include "own-file.h"
#include "points.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int made_own(struct attempt *a, const char *kind, const char *path, struct err *e)
{
	return attempt_own(a, kind, json_pack("{s:s}", "path", path), e);
}

/* The journal knows the final name only with what the file is known by, so that no rollback can remove another's file. */
int made_publish(struct attempt *a, const char *temp, const char *path, struct err *e)
{
	json_t *final;
	int r = own_file_know(temp, path, &final, e);

	if (r)
		return r;
	r = attempt_own(a, "file", final, e);
	r = r ? r : draft_publish(temp, path, e); /* if that fails nothing but our file is removed there */
	if (!r)
		attempt_disown(a, "file", json_pack("{s:s}", "path", temp));
	return r ?: sync_parent_dir(path, e);
}

static int own_if_new(struct target *t, const char *path, struct err *e)
{
	struct stat st;

	return lstat(path, &st) && errno == ENOENT ? made_own(t->part.a, "made-by-qemu", path, e) : 0;
}

/* Journals the files that QEMU is about to make: sockets, logs and the like that do not exist yet. QEMU's own log has its pid in place of
 * %d. */
int made_own_what_qemu_makes(struct target *t, pid_t pid, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < t->args.file_count && !r; i++) {
		const struct args_file *f = &t->args.files[i];
		const char *number;

		if (!args_role_is_made(f->role) || !f->to || *f->to != '/')
			continue;
		r = own_if_new(t, f->to, e);
		number = strcmp(f->option, "D") && strcmp(f->option, "trace") ? NULL : strstr(f->to, "%d");
		if (number && !r) {
			AUTO_FREE char *path = xasprintf("%.*s%d%s", (int)(number - f->to), f->to, (int)pid, number + 2);

			r = own_if_new(t, path, e);
		}
	}
	return r;
}

static bool qemu_has(const struct target *t, const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return false;
	return S_ISSOCK(st.st_mode) ? process_may_have_socket(t->qemu.pid, path) : process_has_open(t->qemu.pid, path);
}

/* Makes the files known by more than their name. found: they are an earlier life's QEMU's, say; then only those that it has open are its
 * own. */
void made_know_what_qemu_made(struct target *t, bool found)
{
	json_t *owned, *entry, *known;
	struct err e;
	size_t i;

	if (journal_owned(t->part.a->journal, &owned))
		return;
	json_array_foreach(owned, i, entry) {
		json_t *detail = json_object_get(entry, "detail");
		const char *kind = json_text(entry, "kind"), *path = json_text(detail, "path");

		if (!kind || !path || strcmp(kind, "made-by-qemu") || (found && !qemu_has(t, path)) ||
		    own_file_know(path, path, &known, &e))
			continue;
		if (attempt_own(t->part.a, "file", known, &e))
			log_error("%s", e.msg);
		else
			attempt_disown(t->part.a, kind, json_incref(detail));
	}
	json_decref(owned);
}

/* ---- of other moves ---- */

static bool is_owned(const char *journal, const char *path)
{
	json_t *owned, *entry;
	struct journal *j;
	struct err ignored;
	bool yes = false;
	size_t i;

	if (journal_look(&j, journal, &ignored))
		return false;
	if (!journal_owned(j, &owned)) {
		json_array_foreach(owned, i, entry)
			yes |= !strcmp(json_text(json_object_get(entry, "detail"), "path") ?: "", path);
		json_decref(owned);
	}
	journal_close(j);
	return yes;
}

int made_by_another(const char *state_dir, const char *path, struct err *e)
{
	size_t count, i;
	char **journals;
	bool owned = false;
	int r = journal_list(state_dir, &journals, &count, e);

	if (r)
		return r;
	for (i = 0; i < count && !owned; i++)
		owned = journal_path_is(journals[i], false) && is_owned(journals[i], path);
	journal_list_free(journals, count);
	return owned;
}

/* ---- undoing ---- */

/* Our QEMU has ended: what anybody uses is not its own. */
static int remove_unknown(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(e, errno, "cannot look at %s", path);
	if (S_ISSOCK(st.st_mode) ? process_may_have_socket(getpid(), path) : process_that_opened(path, 0) > 0) {
		log_info("%s is another's", path);
		return 0;
	}
	return err_set(e, EUCLEAN, "cannot tell whether the QEMU of this move made %s: if it is not needed, delete it", path);
}

bool made_is_rebooted(const struct target *t)
{
	return !is_this_boot(json_text(journal_begin(t->part.a->journal), "boot_id"));
}

/* True if the entry belongs to the guest that runs here: any but the hidden name of its script once the script has its own. */
static bool is_the_guests(const struct target *t, const json_t *detail)
{
	return json_object_get(detail, "inode") || !journal_last_note(t->part.a->journal, "start-script");
}

/* A point's directory is renamed when it is whole, and removed when it is not. */
static bool is_of_a_draft(const char *path)
{
	return strstr(path, POINT_TMP "/") != NULL;
}

int made_undo_file(struct target *t, const json_t *detail, struct err *e)
{
	int r = t->keep_guest && is_the_guests(t, detail) ? 0 : own_file_remove(detail, made_is_rebooted(t), e);

	return r || t->keep_guest || is_of_a_draft(json_text(detail, "path") ?: "") ? r : own_file_has_lost_its_directory(detail, e);
}

int made_undo_unknown(struct target *t, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path") ?: "";

	/* a file that was there before is put back over this one */
	return t->keep_guest || in_place_knows(t, path) ? 0 : remove_unknown(path, e);
}
