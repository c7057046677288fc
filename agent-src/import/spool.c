/* spool.c: see spool.h. */
#include "spool.h"
#include "life.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RANDOM_CHARS 6		      /* characters that mkdtemp(3) chooses */
#define MARK	     ".vmferry-spool" /* a file in it: what has none is not one of ours, whatever it is called */

static int open_directory(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static DIR *list(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);

	if (!d && copy >= 0)
		close(copy);
	return d;
}

/* Removes the directory and the files in it. A spool has no subdirectories: with one in it, it is left. */
static int remove_whole(const char *path, int fd)
{
	DIR *d = list(fd);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		unlinkat(fd, entry->d_name, 0);
	if (d)
		closedir(d);
	return rmdir(path) ? -errno : 0;
}

void spool_remove_stale(const char *path)
{
	AUTO_CLOSE int fd = open_directory(path);
	AUTO_FREE char *shown = text_shown(path);
	struct stat st, mark;

	if (fd < 0 || fstat(fd, &st) || st.st_uid != geteuid() || st.st_mode & 077 || fstatat(fd, MARK, &mark, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(mark.st_mode) || flock(fd, LOCK_EX | LOCK_NB))
		return;
	if (!remove_whole(path, fd))
		life_notice(life_now(), "removed %s, which one that was killed had left", shown);
}

static void remove_all_stale(const char *template)
{
	size_t dir_chars = (size_t)(strrchr(template, '/') - template), name_chars = strlen(template + dir_chars + 1);
	AUTO_FREE char *above = xasprintf("%.*s/", (int)dir_chars, template);
	DIR *d = opendir(above);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		AUTO_FREE char *path = NULL;

		if (strlen(entry->d_name) != name_chars || strncmp(entry->d_name, template + dir_chars + 1, name_chars - RANDOM_CHARS) != 0)
			continue;
		path = xasprintf("%s%s", above, entry->d_name);
		spool_remove_stale(path);
	}
	if (d)
		closedir(d);
}

/* Makes a spool directory. Where directories cannot be locked nobody removes what others have left. */
int spool_make(struct spool *s, const char *template, struct err *e)
{
	struct stat st;
	int mark, r;

	remove_all_stale(template);
	life_keep_journal(life_now());
	*s = (struct spool){.path = xstrdup(template), .fd = -1};
	if (!mkdtemp(s->path)) {
		err_sys(e, errno, "cannot make a directory %s", template);
		spool_fini(s);
		return -e->code;
	}
	s->fd = open_directory(s->path);
	if (s->fd < 0 && errno != ENOENT) {
		err_sys(e, errno, "cannot open %s, which was made a moment ago", s->path);
		rmdir(s->path);
		spool_fini(s);
		return -e->code;
	}
	if (s->fd < 0 || (flock(s->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) || fstat(s->fd, &st) || !st.st_nlink) {
		err_set(e, EBUSY, "%s has been taken for one that was left behind, by another vmferry that has just begun: try again",
			s->path);
		spool_fini(s);
		return -e->code;
	}
	r = life_own(life_now(), SPOOL, json_pack("{s:s}", "path", s->path), e);
	if (r) {
		spool_remove(s);
		return r;
	}
	mark = openat(s->fd, MARK, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (mark < 0) {
		err_sys(e, errno, "cannot create a file in %s", s->path);
		spool_remove(s);
		return -e->code;
	}
	close(mark);
	return 0;
}

int spool_make_in(struct spool *s, const char *dir, struct err *e)
{
	AUTO_FREE char *template = xasprintf("%s/.vmferry-import-XXXXXX", dir);

	return spool_make(s, template, e);
}

size_t spool_remove(struct spool *s)
{
	int r = s->path ? remove_whole(s->path, s->fd) : 0;

	if (r)
		life_leftover(life_now(), "%s: %s", s->path, strerror(-r));
	spool_fini(s);
	return r != 0;
}

void spool_fini(struct spool *s)
{
	if (s->path && s->fd >= 0)
		close(s->fd);
	free(s->path);
	*s = (struct spool){.path = NULL};
}
