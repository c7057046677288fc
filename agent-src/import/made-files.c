/* made-files.c: see made-files.h. */
#include "made-files.h"
#include "draft.h"
#include "durable-file.h"
#include "fault.h"
#include "life.h"
#include "log.h"
#include "own-file.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DRAFT_LOCK   (1LL << 43) /* behind every file, and before what image-mark.c may lock; QEMU's locks are at 100 */
#define NUMBER_CHARS 8
/* middle of a draft's name; a destination's, or storage's, own drafts have an attempt's id there */
#define DRAFT_BETWEEN ".vmferry-draft-"
#define DRAFT_MARK    "user.vmferry.draft" /* an extended attribute of a draft's: a name can be anybody's */

void made_init(struct made *m)
{
	*m = (struct made){.n = 0};
	if (getrandom(&m->number, sizeof(m->number), 0) != sizeof(m->number))
		abort();
}

/* ---- what was left ---- */

static bool lock_draft(int fd)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = DRAFT_LOCK, .l_len = 1};

	return !fcntl(fd, F_OFD_SETLK, &l);
}

void made_remove_stale(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	AUTO_FREE char *shown = text_shown(path);
	struct stat st, now;
	char size[24];

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || !lock_draft(fd))
		return;
	if (fgetxattr(fd, DRAFT_MARK, NULL, 0) < 0)
		return;
	if (!lstat(path, &now) && now.st_dev == st.st_dev && now.st_ino == st.st_ino && !unlink(path))
		life_notice(life_now(), "removed %s (%s), which one that was killed had left", shown,
			    format_bytes(size, (uint64_t)st.st_blocks * 512));
}

static bool is_draft_of(const char *name, const char *base)
{
	static const char between[] = DRAFT_BETWEEN;
	size_t n = strlen(base);

	return name[0] == '.' && !strncmp(name + 1, base, n) && text_starts_with(name + 1 + n, between) &&
	       strspn(name + 1 + n + strlen(between), "0123456789abcdef") == NUMBER_CHARS &&
	       name[1 + n + strlen(between) + NUMBER_CHARS] == '\0';
}

static void remove_stale_drafts(const char *dir, const char *base)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (is_draft_of(entry->d_name, base)) {
			AUTO_FREE char *path = xasprintf("%s/%s", dir, entry->d_name);

			made_remove_stale(path);
		}
	if (d)
		closedir(d);
}

/* ---- what is made ---- */

/* Creates and marks a file. Where there are no locks or no extended attributes nobody removes files that others have left. */
static int create(struct made_file *f, struct err *e)
{
	struct stat st;

	f->fd = open(f->draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (f->fd < 0)
		return err_sys(e, errno, "cannot create %s", f->draft);
	if ((!lock_draft(f->fd) && errno == EAGAIN) || fstat(f->fd, &st) || !st.st_nlink)
		return err_set(e, EBUSY,
			       "%s has been taken for one that was left behind, by another vmferry that has just begun: try again",
			       f->draft);
	fsetxattr(f->fd, DRAFT_MARK, "", 0, 0);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	return 0;
}

static void file_fini(struct made_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f->draft);
}

int made_add(struct made *m, const char *path, const char **draft, struct err *e)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir = xasprintf("%.*s", (int)(slash - path), path);
	struct made_file f = {.path = xstrdup(path), .fd = -1};

	remove_stale_drafts(*dir ? dir : "/", slash + 1);
	f.draft = xasprintf("%s/.%s" DRAFT_BETWEEN "%0*x", dir, slash + 1, NUMBER_CHARS, m->number);
	if (life_own(life_now(), MADE_DRAFT, json_pack("{s:s}", "path", f.draft), e) || create(&f, e)) {
		file_fini(&f);
		return -e->code;
	}
	m->files = xrealloc(m->files, (m->n + 1) * sizeof(*m->files));
	m->files[m->n++] = f;
	*draft = f.draft;
	fault_point("made-%zu", m->n);
	return 0;
}

/* Journals what each will be known by under its name, and that all is made when the last of them is there. */
static int know_all(const struct made *m, struct err *e)
{
	json_t *known = NULL;
	int r = 0;

	for (size_t i = 0; i < m->n && !r; i++) {
		json_decref(known);
		r = own_file_know_contents(m->files[i].draft, m->files[i].path, &known, e);
		r = r ?: life_own(life_now(), MADE_FILE, json_incref(known), e);
	}
	if (!r && m->n)
		r = life_journal_note(life_now(), MADE_LAST, json_incref(known), e);
	json_decref(known);
	return r;
}

int made_name(struct made *m, struct err *e)
{
	int r;

	if (know_all(m, e))
		return -e->code;
	for (size_t i = 0; i < m->n; i++) {
		struct made_file *f = &m->files[i];

		r = draft_publish(f->draft, f->path, e);
		f->is_named = r != -EEXIST; /* the rename may have happened in spite of an error */
		if (r)
			return r;
		fremovexattr(f->fd, DRAFT_MARK);
		fault_point("named-%zu", i + 1);
	}
	if (m->n && sync_parent_dir(m->files[0].path, e))
		return -e->code;
	m->is_whole = true; /* the files are the user's from now on, whatever becomes of their names */
	return life_journal_note(life_now(), MADE_WHOLE, json_true(), e);
}

/* A draft whose directory was renamed meanwhile is in it still. 1: it is told. */
static size_t tell_if_elsewhere(const struct made_file *f)
{
	AUTO_FREE char *name = f->fd < 0 ? NULL : xasprintf("/proc/self/fd/%d", f->fd);
	AUTO_FREE char *shown = NULL;
	char path[PATH_MAX];
	struct stat st;
	ssize_t n = name ? readlink(name, path, sizeof(path) - 1) : -1;

	if (n < 0 || fstat(f->fd, &st) || !st.st_nlink)
		return 0;
	path[n] = '\0';
	shown = text_shown(path);
	life_leftover(life_now(), "%s, as %s was called, or its directory, when it was made", shown, f->draft);
	return 1;
}

/* 1: it is still there. */
static size_t remove_ours(const struct made_file *f, const char *path)
{
	AUTO_FREE char *shown = text_shown(path);
	struct stat st;

	if (lstat(path, &st))
		return 0;
	if (st.st_dev == f->dev && st.st_ino == f->ino && !unlink(path))
		return 0;
	life_leftover(life_now(), "%s: %s", shown, st.st_dev == f->dev && st.st_ino == f->ino ? strerror(errno) : "another file by now");
	return 1;
}

/* A file that has its name can be seen: somebody may have started a guest from it. */
static bool is_used(struct made_file *f, struct err *e)
{
	if (!f->is_named)
		return false;
	if (f->fd >= 0)
		close(f->fd); /* an open descriptor would count as a use of the file */
	f->fd = -1;
	return own_file_unused(f->path, e) == -EBUSY;
}

/* Leaves a guest that somebody has started all of its files. Returns how many; 0: nobody uses any. */
static size_t leave_to_user(struct made *m)
{
	struct err e;
	size_t i;

	for (i = 0; i < m->n && !is_used(&m->files[i], &e); i++)
		;
	if (i == m->n)
		return 0;
	life_leftover(life_now(), "all files that import made, as a process uses one of them: %s", e.msg);
	for (i = 0; i < m->n; i++)
		life_leftover(life_now(), "%s", m->files[i].path);
	return m->n;
}

static size_t remove_named(struct made_file *f)
{
	struct err e;

	if (!is_used(f, &e))
		return remove_ours(f, f->path);
	life_leftover(life_now(), "%s", e.msg);
	return 1;
}

size_t made_undo(struct made *m)
{
	size_t left = m->is_whole ? leave_to_user(m) : 0, i;
	struct err e;

	if (left)
		return left;
	if (m->is_whole && life_journal_note(life_now(), MADE_WHOLE, json_false(), &e))
		log_error("%s", e.msg);
	for (i = m->n; i-- > 0;) {
		struct made_file *f = &m->files[i];

		left += remove_ours(f, f->draft) ?: f->is_named ? 0 : tell_if_elsewhere(f);
		if (f->is_named)
			left += remove_named(f);
	}
	return left;
}

/* ---- in a later life ---- */

bool made_is_whole(const struct journal *j, bool rebooted)
{
	const json_t *whole = journal_last_note(j, MADE_WHOLE), *last = journal_last_note(j, MADE_LAST);

	return json_is_boolean(whole) ? json_is_true(whole) : last && own_file_is_there(last, rebooted);
}

void made_fini(struct made *m)
{
	while (m->n)
		file_fini(&m->files[--m->n]);
	free(m->files);
}
