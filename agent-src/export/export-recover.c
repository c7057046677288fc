/* export-recover.c: what an export or an import that was cut off has made is removed, by its journal. */
#include "export.h"
#include "exit-code.h"
#include "first-start.h"
#include "guest-agent.h"
#include "json-text.h"
#include "made-files.h"
#include "own-file.h"
#include "process.h"
#include "qemu-discover.h"
#include "qemu-names.h"
#include "spool.h"
#include "ticket.h"
#include "util.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OPEN_MS 5000

/* A QEMU with mounts of its own (a container) has its monitor where no name of ours leads: no export from here has spoken to it. */
static bool is_out_of_reach(const struct guest *g)
{
	AUTO_FREE char *there = g->qmp.path ? xasprintf("/proc/%d/root%s", (int)g->pid, g->qmp.path) : NULL;

	return there && !access(there, F_OK) && !process_sees(g->pid, g->qmp.path);
}

int export_recover(const char *vm, unsigned *removed, struct err *e)
{
	struct loop *l = NULL;
	struct qmp *q = NULL;
	struct err ignored;
	struct guest g;
	int r = 0;

	*removed = 0;
	if (!guest_find(&g, vm, &ignored) && !guest_check_user(&g, &ignored) && !is_out_of_reach(&g)) {
		r = loop_new(&l, 64, e) ?: guest_open_qmp(&g, &q, l, OPEN_MS, NULL, NULL, e) ?: qemu_undo_dead(q, l, removed, e);
		qmp_close(q);
		if (l)
			loop_free(l);
	}
	guest_fini(&g);
	return r;
}

struct recovery {
	struct life life;
	json_t *owned;
	bool has_told_of_directory;
	bool rebooted, whole; /* whole: all that it was to make has its name */
};

/* A file of an import that is not whole may have been taken over by hand: one that was written to since is not ours any more. */
static void remove_file(struct recovery *v, const json_t *known)
{
	struct err e;

	if (v->whole || !own_file_is_there(known, v->rebooted))
		return;
	if (!own_file_is_unwritten(known))
		life_note(&v->life, "%s was written to since, and stays", json_text(known, "path"));
	else if (own_file_remove(known, v->rebooted, &e)) /* fails also if a process has it open */
		life_leftover(&v->life, "%s", e.msg);
}

/* A draft or spool that is still there is left for people: without locks or extended attributes nothing tells whether another command makes it. */
static void tell_if_left(struct recovery *v, const json_t *detail)
{
	const char *path = json_text(detail, "path");

	if (path && !access(path, F_OK))
		life_leftover(&v->life, "cannot tell whether another command is making %s; delete it if none does", path);
}

static bool is_below(const char *dir, const char *path)
{
	size_t n = dir ? strlen(dir) : 0;

	return n && path && !strncmp(path, dir, n) && path[n] == '/';
}

/* Removes a stream's directory. A bundle in it was not sent to its end, however complete its files are. */
static void remove_spool(struct recovery *v, const json_t *detail)
{
	const json_t *last = journal_last_note(v->life.journal, MADE_LAST);

	if (json_text(detail, "path"))
		spool_remove_stale(json_text(detail, "path"));
	tell_if_left(v, detail);
	if (is_below(json_text(detail, "path"), json_text(last, "path")))
		v->whole = false;
}

/* The directory of a stream goes with all that is in it, by whoever made the next one. */
static bool is_in_spool(const struct recovery *v, const char *path)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(v->owned, i, entry)
		if (!strcmp(json_text(entry, "kind") ?: "", SPOOL) && is_below(json_text(json_object_get(entry, "detail"), "path"), path))
			return true;
	return false;
}

/* Reports the directory once, as a command makes everything in one. We cannot tell whether a person has deleted it, which is most
 * likely. */
static void tell_of_directory(struct recovery *v, const char *path)
{
	if (!v->has_told_of_directory)
		life_note(&v->life,
			  "the directory of %s is gone: if it was renamed, and not deleted, what was made is in it still; delete it then",
			  path);
	v->has_told_of_directory = true;
}

static void remove_draft(struct recovery *v, const json_t *detail)
{
	const char *path = json_text(detail, "path") ?: "";
	AUTO_FREE char *dir = xstrdup(path);

	made_remove_stale(path);
	tell_if_left(v, detail);
	if (!v->whole && *path && access(dirname(dir), F_OK) && !is_in_spool(v, path))
		tell_of_directory(v, path);
}

/* A directory that somebody has put something into is theirs, and stays. */
static void remove_directory(struct recovery *v, const json_t *detail)
{
	const char *path = json_text(detail, "path");

	if (!v->whole && path && rmdir(path) && errno != ENOENT && errno != ENOTEMPTY && errno != ENOTDIR)
		life_leftover(&v->life, "%s: %s", path, strerror(errno));
}

static void clear_qemu(struct recovery *v)
{
	unsigned removed;
	struct err e;

	if (v->life.subject.guest && export_recover(v->life.subject.guest, &removed, &e))
		life_leftover(&v->life, "in the guest's QEMU, which it does not harm: %s", e.msg);
}

/* A QEMU that an import has started may run the guest: the user decides what becomes of it. */
static void tell_of_qemu(struct recovery *v, const json_t *detail)
{
	pid_t pid = (pid_t)json_integer_value(json_object_get(detail, "pid"));

	if (!v->rebooted && qemu_is_alive(pid, (uint64_t)json_integer_value(json_object_get(detail, "start_time"))))
		life_note(&v->life, "the guest's QEMU was started, process %d: if the guest waits in it, `cont` at its monitor lets it run",
			  (int)pid);
}

static void thaw(struct recovery *v, const json_t *detail)
{
	struct err e;

	if (!v->rebooted && freeze_settle(detail, &e))
		life_leftover(&v->life, "%s", e.msg);
}

static void undo_one(struct recovery *v, const char *kind, const json_t *detail)
{
	if (!strcmp(kind, MADE_DRAFT))
		remove_draft(v, detail);
	else if (!strcmp(kind, MADE_FILE))
		remove_file(v, detail);
	else if (!strcmp(kind, SPOOL))
		remove_spool(v, detail);
	else if (!strcmp(kind, EXPORT_DIRECTORY))
		remove_directory(v, detail);
	else if (!strcmp(kind, EXPORT_QEMU))
		clear_qemu(v);
	else if (!strcmp(kind, EXPORT_FREEZE))
		thaw(v, detail);
	else if (!strcmp(kind, FIRST_QEMU))
		tell_of_qemu(v, detail);
}

static void undo(struct recovery *v)
{
	const json_t *entry;
	size_t i;

	if (journal_owned(v->life.journal, &v->owned))
		return;
	json_array_foreach(v->owned, i, entry)
		undo_one(v, json_text(entry, "kind") ?: "", json_object_get(entry, "detail"));
	json_decref(v->owned);
}

int export_recover_by_journal(const struct life_options *o, struct journal *j)
{
	struct recovery v = {.whole = false};
	struct err why;
	size_t left;
	int code;

	if (life_take_up(&v.life, j, o, &why)) {
		fprintf(stderr, "vmferry: %s\n", why.msg);
		return EXIT_UNDECIDED;
	}
	v.rebooted = !is_this_boot(json_text(journal_begin(v.life.journal), "boot_id"));
	v.whole = made_is_whole(v.life.journal, v.rebooted);
	undo(&v);
	if (o->runtime_dir)
		ticket_sweep(o->runtime_dir, "in"); /* the turn of an import that was cut off */
	err_set(&why, EINTR, "what it had made when it was cut off cannot be removed");
	left = life_leftovers(&v.life);
	code = life_end(&v.life, left ? LIFE_FAILED : LIFE_RECOVERED, left ? &why : NULL,
			json_pack("{s:s,s:s}", "title",
				  v.whole ? "recovered: all was made before it was cut off, and stays"
					  : "recovered: what it had made when it was cut off is removed",
				  "guest_text", "what is left is listed"));
	life_fini(&v.life);
	return code;
}
