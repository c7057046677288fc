/* in-place.c: see in-place.h. */
#include "in-place.h"
#include "file-number.h"
#include "durable-file.h"
#include "fault.h"
#include "json-text.h"
#include "log.h"
#include "process.h"
#include "unix-socket.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool in_place_is_taken(const struct args_file *f)
{
	return (f->role == ARGS_LISTEN || f->role == ARGS_PIDFILE) && f->to && *f->to == '/';
}

/* The file is of the guest's QEMU, and of nobody who has taken its name since. */
static bool is_of(pid_t qemu, const struct args_file *f, const struct stat *st)
{
	return f->role == ARGS_PIDFILE ? S_ISREG(st->st_mode) && (pid_t)file_number(f->to) == qemu
				       : S_ISSOCK(st->st_mode) && process_has_socket(qemu, f->to);
}

/* Looks at the file: 1: it is there, and may be set aside; 0: it is not there. */
static int look_at(const struct target *t, const struct args_file *f, struct err *e)
{
	pid_t qemu = (pid_t)json_integer_value(json_object_get(json_object_get(t->description, "in_place"), "pid"));
	struct stat st;

	if (lstat(f->to, &st))
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", f->to);
	return is_of(qemu, f, &st)
		       ? 1
		       : err_set(e, EEXIST,
				 "%s (-%s) does not belong to the guest's QEMU (process %d), or not to it alone, and the move would take "
				 "it away from another process",
				 f->to, f->option, (int)qemu);
}

int in_place_examine(const struct target *t, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < t->args.file_count && r >= 0; i++)
		if (in_place_is_taken(&t->args.files[i]))
			r = look_at(t, &t->args.files[i], e);
	return MIN(r, 0);
}

static int set_one_aside(struct target *t, const struct args_file *f, struct err *e)
{
	const json_t *from = json_object_get(t->description, "in_place");
	AUTO_FREE char *aside = attempt_id_name(t->part.a->id, f->to);
	AUTO_FREE char *boot = boot_id();
	int r = look_at(t, f, e);

	if (r <= 0)
		return r;
	r = attempt_own(t->part.a, "aside",
			json_pack("{s:s,s:s,s:O,s:O,s:s*}", "path", f->to, "aside", aside, "pid", json_object_get(from, "pid"),
				  "start_time", json_object_get(from, "start_time"), "boot_id", boot),
			e);
	return !r && rename(f->to, aside) ? err_sys(e, errno, "cannot set %s aside", f->to) : r;
}

int in_place_set_aside(struct target *t, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < t->args.file_count && !r; i++)
		if (in_place_is_taken(&t->args.files[i]))
			r = set_one_aside(t, &t->args.files[i], e);
	fault_point("dst-set-aside");
	return r;
}

static bool is_in_use(const char *path, const struct stat *st)
{
	pid_t pid = S_ISREG(st->st_mode) ? (pid_t)file_number(path) : 0;
	uint64_t start_time;

	return S_ISSOCK(st->st_mode) ? unix_is_bound(path)
				     : pid > 0 && !process_start_time(pid, &start_time) && qemu_is_alive(pid, start_time);
}

/* Removes what a QEMU of ours has left at the name, unless it is in use. */
static int clear_name(const char *path, const char *aside, struct err *e)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", path);
	if (is_in_use(path, &st))
		return err_set(e, EEXIST, "%s is in use, and what the guest's QEMU had there is %s", path, aside);
	return unlink(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path) : 0;
}

/* Gives a file its name back beside its second one; without hard links the name replaces the second one. */
static int give_name(const char *path, const char *aside, struct err *e)
{
	int r = are_one_file(path, aside) ? 0 : clear_name(path, aside, e);

	if (!r && !are_one_file(path, aside) && link(aside, path) && rename(aside, path))
		r = err_sys(e, errno, "cannot give %s its name back; it is %s", path, aside);
	return r;
}

/* True if the process lives that the file belongs to: it may have ended meanwhile, and removed it rightly. */
static bool has_owner(const json_t *detail)
{
	return is_this_boot(json_text(detail, "boot_id")) &&
	       qemu_is_alive((pid_t)json_integer_value(json_object_get(detail, "pid")),
			     (uint64_t)json_integer_value(json_object_get(detail, "start_time")));
}

static bool stays_here(const struct target *t)
{
	return t->keep_guest && t->part.a->handoff.qemu_alive;
}

int in_place_undo(const struct target *t, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path") ?: "", *aside = json_text(detail, "aside") ?: "";
	struct stat st;
	int r;

	if (lstat(aside, &st))
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", aside);
	r = stays_here(t) || !has_owner(detail) ? 0 : give_name(path, aside, e);
	/* the file then has only its own name again */
	return !r && unlink(aside) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", aside) : r;
}

static bool is_aside(const json_t *entry)
{
	return !strcmp(json_text(entry, "kind") ?: "", "aside");
}

int in_place_put_back(struct target *t, struct err *e)
{
	json_t *owned, *entry;
	size_t i;
	int r = 0;

	if (journal_owned(t->part.a->journal, &owned))
		return err_set(e, EIO, "the journal cannot be read");
	json_array_foreach(owned, i, entry) {
		const json_t *detail = json_object_get(entry, "detail");

		if (!r && is_aside(entry))
			r = give_name(json_text(detail, "path") ?: "", json_text(detail, "aside") ?: "", e);
	}
	json_decref(owned);
	return r;
}

/* True if the journal says that path was set aside; owned: for a QEMU that lives. */
static bool was_set_aside(const struct target *t, const char *path, bool owned)
{
	json_t *list, *entry;
	bool yes = false;
	size_t i;

	if (journal_owned(t->part.a->journal, &list))
		return false;
	json_array_foreach(list, i, entry) {
		const json_t *detail = json_object_get(entry, "detail");

		yes |= is_aside(entry) && !strcmp(json_text(detail, "path") ?: "", path) && (!owned || has_owner(detail));
	}
	json_decref(list);
	return yes;
}

bool in_place_knows(const struct target *t, const char *path)
{
	return was_set_aside(t, path, true);
}

/* True if path may be replaced. A file without a second name was given its only name back. */
bool in_place_may_replace(const struct target *t, const char *path)
{
	AUTO_FREE char *aside = attempt_id_name(t->part.a->id, path);
	struct stat st;

	return lstat(path, &st) || are_one_file(path, aside) || (lstat(aside, &st) && was_set_aside(t, path, false));
}

void in_place_give_rights(const struct target *t, const char *path, const char *hidden)
{
	AUTO_FREE char *aside = attempt_id_name(t->part.a->id, path);
	struct stat st;

	if (lstat(aside, &st))
		return;
	if (lchown(hidden, st.st_uid, st.st_gid) || chmod(hidden, st.st_mode & 07777))
		log_error("%s does not get the owner and the mode that it had: %s", path, strerror(errno));
}
