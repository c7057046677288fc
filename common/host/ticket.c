/* ticket.c: see ticket.h. */
#include "ticket.h"
#include "same-file.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_BYTES 16
#define NUMBER_MAX     99999999
#define TAKE_MS	       2000
#define PAUSE_MS       5

struct ticket {
	char *dir;
	unsigned number;
	int fd;
};

static void format_name(char name[NAME_MAX_BYTES], unsigned number)
{
	snprintf(name, NAME_MAX_BYTES, "t%08u", number);
}

/* 0: it is no ticket. */
static unsigned number_of(const char *name)
{
	char again[NAME_MAX_BYTES], *end;
	unsigned long n = *name == 't' ? strtoul(name + 1, &end, 10) : 0;

	if (!n || n > NUMBER_MAX)
		return 0;
	format_name(again, (unsigned)n);
	return strcmp(again, name) ? 0 : (unsigned)n;
}

/* ---- the directory ---- */

/* -EAGAIN: another process holds it, or has just removed it with the last ticket. */
static int lock_dir(const char *dir, int *fd, struct err *e)
{
	*fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd < 0)
		return err_sys(e, errno, "cannot open %s", dir);
	if (!flock(*fd, LOCK_EX | LOCK_NB) && file_has_name(*fd, dir))
		return 0;
	close(*fd);
	*fd = -1;
	return err_set(e, EAGAIN, "%s is locked by another vmferry", dir);
}

static int lock_new_dir(const char *dir, int *fd, struct err *e)
{
	uint64_t until = now_ns() + TAKE_MS * 1000000ULL;
	int r;

	do {
		if (mkdir(dir, 0700) && errno != EEXIST)
			return err_sys(e, errno, "cannot make %s", dir);
		r = lock_dir(dir, fd, e);
		if (r == -EAGAIN)
			poll(NULL, 0, PAUSE_MS);
	} while ((r == -EAGAIN || r == -ENOENT) && now_ns() < until);
	return r;
}

/* Calls tell() for every ticket; needs the lock. */
static int each_number(int dir_fd, void (*tell)(void *ctx, unsigned number), void *ctx)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *one;

	if (!d) {
		int r = -errno;

		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((one = readdir(d)))
		if (number_of(one->d_name))
			tell(ctx, number_of(one->d_name));
	closedir(d);
	return 0;
}

/* ---- tickets ---- */

static void note_highest(void *ctx, unsigned number)
{
	unsigned *highest = ctx;

	*highest = MAX(*highest, number);
}

static int make(struct ticket *t, int dir_fd, struct err *e)
{
	char name[NAME_MAX_BYTES];
	int r = each_number(dir_fd, note_highest, &t->number);

	if (r)
		return err_sys(e, -r, "cannot read %s", t->dir);
	if (t->number++ == NUMBER_MAX)
		return err_set(e, EOVERFLOW, "%s has no number left: remove it while no move is under way", t->dir);
	format_name(name, t->number);
	t->fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (t->fd < 0 || flock(t->fd, LOCK_EX | LOCK_NB))
		return err_sys(e, errno, "cannot make %s/%s", t->dir, name);
	return 0;
}

int ticket_take(struct ticket **out, const char *runtime_dir, const char *queue, struct err *e)
{
	struct ticket *t = xcalloc(1, sizeof(*t));
	int dir_fd, r;

	*t = (struct ticket){.dir = xasprintf("%s/%s", runtime_dir, queue), .fd = -1};
	r = lock_new_dir(t->dir, &dir_fd, e);
	if (!r) {
		r = make(t, dir_fd, e);
		close(dir_fd);
	}
	if (r)
		ticket_return(t);
	else
		*out = t;
	return r;
}

struct count {
	int dir_fd;
	unsigned below, held;
};

static void count_held(void *ctx, unsigned number)
{
	struct count *c = ctx;
	char name[NAME_MAX_BYTES];
	int fd;

	if (number >= c->below)
		return;
	format_name(name, number);
	fd = openat(c->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB))
		unlinkat(c->dir_fd, name, 0);
	else if (fd >= 0 || errno != ENOENT)
		c->held++;
	if (fd >= 0)
		close(fd);
}

int ticket_ahead(const struct ticket *t, unsigned *n, struct err *e)
{
	struct count c = {.below = t->number};
	int r = lock_dir(t->dir, &c.dir_fd, e);

	if (r)
		return r;
	r = each_number(c.dir_fd, count_held, &c);
	close(c.dir_fd);
	if (r)
		return err_sys(e, -r, "cannot read %s", t->dir);
	*n = c.held;
	return 0;
}

/* ---- notes ---- */

#define NOTE_MAX (64 * 1024)

static int write_note(const struct ticket *t, const json_t *note, struct err *e)
{
	AUTO_FREE char *text = json_dumps(note, JSON_COMPACT);
	size_t n = text ? strlen(text) : 0;

	if (!n || n > NOTE_MAX)
		return err_set(e, E2BIG, "what it is about to take is too long for a ticket");
	if (ftruncate(t->fd, 0) || pwrite(t->fd, text, n, 0) != (ssize_t)n)
		return err_sys(e, errno ?: EIO, "cannot write to %s", t->dir);
	return 0;
}

struct notes {
	int dir_fd;
	unsigned own;
	json_t *list;
};

static void take_note(void *ctx, unsigned number)
{
	struct notes *notes = ctx;
	char name[NAME_MAX_BYTES];
	AUTO_FREE char *text = xmalloc(NOTE_MAX);
	AUTO_CLOSE int fd = -1;
	ssize_t n;

	format_name(name, number);
	fd = number == notes->own ? -1 : openat(notes->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || !flock(fd, LOCK_EX | LOCK_NB)) /* ours; or of one that has died */
		return;
	n = pread(fd, text, NOTE_MAX, 0);
	if (n > 0)
		json_array_append_new(notes->list, json_loadb(text, (size_t)n, 0, NULL));
}

static int note_locked(const struct ticket *t, struct notes *notes, const json_t *note, struct err *e)
{
	int r = t ? write_note(t, note, e) : 0;

	if (r)
		return r;
	r = each_number(notes->dir_fd, take_note, notes);
	return r ? err_sys(e, -r, "cannot read the tickets") : 0;
}

int ticket_note(const struct ticket *t, const char *runtime_dir, const char *queue, const json_t *note, json_t **others, struct err *e)
{
	AUTO_FREE char *dir = xasprintf("%s/%s", runtime_dir, queue);
	struct notes notes = {.own = t ? t->number : 0, .list = json_array()};
	int r = -ENOENT;

	if (t || !access(dir, F_OK)) {
		r = lock_new_dir(dir, &notes.dir_fd, e);
		if (!r) {
			r = note_locked(t, &notes, note, e);
			close(notes.dir_fd);
		}
	}
	if (r && r != -ENOENT) {
		json_decref(notes.list);
		return r;
	}
	*others = notes.list;
	return 0;
}

void ticket_return(struct ticket *t)
{
	char name[NAME_MAX_BYTES];
	struct err ignored;
	int dir_fd;

	if (!t)
		return;
	if (t->fd >= 0 && !lock_new_dir(t->dir, &dir_fd, &ignored)) {
		format_name(name, t->number);
		unlinkat(dir_fd, name, 0);
		rmdir(t->dir); /* succeeds if the ticket was the last */
		close(dir_fd);
	}
	if (t->fd >= 0) {
		flock(t->fd, LOCK_UN); /* others may have this descriptor, too */
		close(t->fd);
	}
	free(t->dir);
	free(t);
}

void ticket_sweep(const char *runtime_dir, const char *queue)
{
	AUTO_FREE char *dir = xasprintf("%s/%s", runtime_dir, queue);
	struct count c = {.below = NUMBER_MAX + 1U};
	struct err ignored;

	if (lock_dir(dir, &c.dir_fd, &ignored))
		return;
	each_number(c.dir_fd, count_held, &c);
	if (!c.held)
		rmdir(dir);
	close(c.dir_fd);
}
