/* made.c: see made.h. */
#include "made.h"
#include "durable-file.h"
#include "fault.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define DRAFT_LOCK   (1LL << 43) /* behind every file, and before what image-mark.c may lock; QEMU's locks are at 100 */
#define NUMBER_CHARS 8

static const char between[] = ".vmferry-"; /* in a draft: the file's name with a dot before it, this, and a number */

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

/* By who makes it, or by a QEMU: all that anybody locks but this descriptor. */
static bool is_used(int fd)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_GETLK, &l) || l.l_type != F_UNLCK;
}

static bool is_at(const struct stat *st, const char *path)
{
	struct stat now;

	return !lstat(path, &now) && now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}

/* Of all drafts with that number one has no other name yet: who made them was killed before they all had theirs. */
static bool are_unfinished(const char *dir, const char *number)
{
	size_t n = strlen(between), k;
	DIR *d = opendir(dir);
	struct dirent *entry;
	bool found = false;
	struct stat st;

	while (d && !found && (entry = readdir(d))) {
		k = strlen(entry->d_name);
		found = entry->d_name[0] == '.' && k > n + NUMBER_CHARS && !strcmp(entry->d_name + k - NUMBER_CHARS, number) &&
			!strncmp(entry->d_name + k - NUMBER_CHARS - n, between, n) &&
			!fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) && st.st_nlink == 1;
	}
	if (d)
		closedir(d);
	return found;
}

/* A draft that has its own name, too, though others of its kind have not. */
static bool is_half_done(int fd, const char *dir, const char *draft, const char *path)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 2 && is_at(&st, path) && !is_used(fd) &&
	       are_unfinished(dir, draft + strlen(draft) - NUMBER_CHARS);
}

static void remove_one(const char *path, const struct stat *st)
{
	AUTO_FREE char *shown = text_shown(path);
	char size[24];

	if (is_at(st, path) && !unlink(path))
		fprintf(stderr, "vmferry: removed %s (%s), which one that was killed had left\n", shown,
			format_bytes(size, (uint64_t)st->st_blocks * 512));
}

/* A regular file of ours, of which nobody who makes it is alive. path: what it was to be called. */
static void remove_stale(const char *dir, const char *draft, const char *path)
{
	AUTO_CLOSE int fd = open(draft, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || !lock_draft(fd))
		return;
	if (is_half_done(fd, dir, draft, path))
		remove_one(path, &st);
	remove_one(draft, &st);
}

static bool is_draft_of(const char *name, const char *base)
{
	size_t n = strlen(base);

	return name[0] == '.' && !strncmp(name + 1, base, n) && !strncmp(name + 1 + n, between, strlen(between)) &&
	       strspn(name + 1 + n + strlen(between), "0123456789abcdef") == NUMBER_CHARS &&
	       name[1 + n + strlen(between) + NUMBER_CHARS] == '\0';
}

static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

/* With every draft of that file, until one says true. */
static bool each_draft(const char *path, bool (*one)(const char *dir, const char *draft, const char *path))
{
	AUTO_FREE char *dir = dir_of(path);
	DIR *d = opendir(dir);
	struct dirent *entry;
	bool yes = false;

	while (d && !yes && (entry = readdir(d)))
		if (is_draft_of(entry->d_name, strrchr(path, '/') + 1)) {
			AUTO_FREE char *draft = xasprintf("%s/%s", dir, entry->d_name);

			yes = one(dir, draft, path);
		}
	if (d)
		closedir(d);
	return yes;
}

static bool remove_if_stale(const char *dir, const char *draft, const char *path)
{
	remove_stale(dir, draft, path);
	return false;
}

static bool is_left(const char *dir, const char *draft, const char *path)
{
	AUTO_CLOSE int fd = open(draft, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0 && is_half_done(fd, dir, draft, path);
}

bool made_is_half_done(const char *path)
{
	return each_draft(path, is_left);
}

/* ---- what is made ---- */

/* Where there are no locks nobody removes what others have left. */
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
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->has_draft = true;
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
	struct made_file f = {.path = xstrdup(path), .fd = -1};

	each_draft(path, remove_if_stale);
	f.draft = xasprintf("%.*s/.%s%s%0*x", (int)(slash - path), path, slash + 1, between, NUMBER_CHARS, m->number);
	if (create(&f, e)) {
		file_fini(&f);
		return -e->code;
	}
	m->files = xrealloc(m->files, (m->n + 1) * sizeof(*m->files));
	m->files[m->n++] = f;
	*draft = f.draft;
	fault_point("made-%zu", m->n);
	return 0;
}

/* Until all have theirs they have both, by which the next one knows what is to be removed. */
int made_name(struct made *m, struct err *e)
{
	size_t i;

	for (i = 0; i < m->n; i++) {
		if (link(m->files[i].draft, m->files[i].path))
			return err_sys(e, errno, "cannot give %s its name", m->files[i].path);
		m->files[i].is_named = true;
		fault_point("named-%zu", i + 1);
	}
	for (i = 0; i < m->n; i++) {
		if (unlink(m->files[i].draft))
			return err_sys(e, errno, "cannot remove %s", m->files[i].draft);
		m->files[i].has_draft = false;
	}
	return m->n ? sync_parent_dir(m->files[0].path, e) : 0;
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
	fprintf(stderr, "vmferry: left behind: %s: %s\n", shown,
		st.st_dev == f->dev && st.st_ino == f->ino ? strerror(errno) : "it is another file by now");
	return 1;
}

size_t made_undo(struct made *m)
{
	size_t left = 0, i;

	for (i = m->n; i-- > 0;) {
		const struct made_file *f = &m->files[i];

		if (f->is_named)
			left += remove_ours(f, f->path);
		if (f->has_draft)
			left += remove_ours(f, f->draft);
	}
	return left;
}

void made_fini(struct made *m)
{
	while (m->n)
		file_fini(&m->files[--m->n]);
	free(m->files);
}
