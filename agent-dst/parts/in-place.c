/* in-place.c: see in-place.h. */
#include "in-place.h"
#include "fault.h"
#include "json-text.h"
#include "made.h"
#include "unix-socket.h"
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

bool in_place_is_taken(const struct args_file *f)
{
	return (f->role == ARGS_LISTEN || f->role == ARGS_PIDFILE) && f->to && *f->to == '/';
}

static int set_one_aside(struct target *t, const char *path, struct err *e)
{
	AUTO_FREE char *aside = attempt_id_name(t->part.a->id, path);
	struct stat st;
	int r;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", path);
	if (!S_ISSOCK(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(e, EEXIST, "%s, which the guest's QEMU would make, is neither a socket nor a file", path);
	r = attempt_own(t->part.a, "aside", json_pack("{s:s,s:s}", "path", path, "aside", aside), e);
	return !r && rename(path, aside) ? err_sys(e, errno, "cannot set %s aside", path) : r;
}

int in_place_set_aside(struct target *t, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < t->args.file_count && !r; i++)
		if (in_place_is_taken(&t->args.files[i]))
			r = set_one_aside(t, t->args.files[i].to, e);
	fault_point("dst-set-aside");
	return r;
}

static bool somebody_listens(const char *path)
{
	int fd = unix_connect(path, SOCK_NONBLOCK);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN;
}

static bool are_one(const char *a, const char *b)
{
	struct stat x, y;

	return !lstat(a, &x) && !lstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What a QEMU of ours has left at the name goes; never what is in use. */
static int clear_name(const char *path, const char *aside, struct err *e)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", path);
	if (S_ISSOCK(st.st_mode) && somebody_listens(path))
		return err_set(e, EEXIST, "%s is in use, and what the guest's QEMU had there is %s", path, aside);
	return unlink(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path) : 0;
}

static int give_name(const char *path, const char *aside, struct err *e)
{
	int r = are_one(path, aside) ? 0 : clear_name(path, aside, e);

	if (!r && !are_one(path, aside) && link(aside, path))
		r = err_sys(e, errno, "cannot give %s its name back; it is %s", path, aside);
	return r;
}

/* Whose it is has not ended meanwhile, and removed it rightly. */
static bool is_in_use(const char *path, const struct stat *st)
{
	FILE *f = S_ISSOCK(st->st_mode) ? NULL : fopen(path, "re");
	int pid = 0;

	if (S_ISSOCK(st->st_mode))
		return somebody_listens(path);
	if (f && fscanf(f, "%d", &pid) != 1)
		pid = 0;
	if (f)
		fclose(f);
	return pid > 0 && (!kill(pid, 0) || errno == EPERM);
}

int in_place_undo(const struct target *t, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path") ?: "", *aside = json_text(detail, "aside") ?: "";
	struct stat st;
	int r;

	if (lstat(aside, &st))
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", aside);
	r = t->keep_guest || !is_in_use(aside, &st) ? 0 : give_name(path, aside, e);
	return !r && unlink(aside) ? err_sys(e, errno, "cannot remove %s", aside) : r;
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

bool in_place_knows(const struct target *t, const char *path)
{
	json_t *owned, *entry;
	bool yes = false;
	size_t i;

	if (journal_owned(t->part.a->journal, &owned))
		return false;
	json_array_foreach(owned, i, entry)
		yes |= is_aside(entry) && !strcmp(json_text(json_object_get(entry, "detail"), "path") ?: "", path);
	json_decref(owned);
	return yes;
}
