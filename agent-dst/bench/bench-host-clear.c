/* bench-host-clear.c: see bench-host-clear.h. */
#include "bench-host-clear.h"
#include "process.h"
#include "scratch.h"
#include "util.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define END_MS	      5000
#define LOOK_MS	      100
#define QUIET_LOOKS   15  /* number of looks in turn that found nobody */
#define PATIENT_LOOKS 200 /* number of looks before agents are ended, too */
#define LOOKS_MAX     300
#define TEXT_BYTES    (256 * KIB)

/* ---- processes ---- */

/* A file from its beginning, at most room bytes. */
static size_t file_read(const char *path, char *text, size_t room)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t n = 0;
	ssize_t got;

	while (fd >= 0 && n < room && (got = read(fd, text + n, room - n)) > 0)
		n += (size_t)got;
	return n;
}

/* True if the process has something there open for writing: a process that only looks there leaves nothing. */
static bool has_open(pid_t pid, const char *folder)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/fd", (int)pid);
	DIR *d = opendir(path);
	size_t n = strlen(folder);
	struct dirent *x;
	struct stat st;
	char target[512];
	bool yes = false;

	while (d && !yes && (x = readdir(d))) {
		ssize_t got = readlinkat(dirfd(d), x->d_name, target, sizeof(target));

		yes = got > (ssize_t)n && !memcmp(target, folder, n) && target[n] == '/' &&
		      !fstatat(dirfd(d), x->d_name, &st, AT_SYMLINK_NOFOLLOW) && (st.st_mode & S_IWUSR);
	}
	if (d)
		closedir(d);
	return yes;
}

/* An agent, as `vmferry migrate` and bench-ssh.c start it: all that can be seen of it is its command line, as it keeps itself to itself. */
static bool is_agent(const char *text, size_t n, const char *folder)
{
	static const char option[] = "--runtime-dir", reach[] = "--reach";
	const char *word, *next, *end = text + n;
	size_t length = strlen(folder);

	for (word = text; word < end; word = next) {
		next = word + strnlen(word, (size_t)(end - word)) + 1;
		if (next < end && (!strcmp(word, option) || !strcmp(word, reach)) && (size_t)(end - next) > length &&
		    !memcmp(next, folder, length) && next[length] == '/')
			return true;
	}
	return false;
}

/*
 * Anybody can name a folder, and look into it. What the bench has started names it and is a child of ours, an agent that works there, or (a QEMU that an
 * agent has started) writes there.
 */
static bool names(pid_t pid, const char *folder)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/cmdline", (int)pid);
	AUTO_FREE char *inside = xasprintf("%s/", folder), *text = xmalloc(TEXT_BYTES + 1);
	size_t n = file_read(path, text, TEXT_BYTES);

	text[n] = '\0';
	return memmem(text, n, inside, strlen(inside)) &&
	       (process_parent(pid) == getpid() || is_agent(text, n, folder) || has_open(pid, folder));
}

typedef bool (*is_fn)(pid_t pid, const char *folder);

/* Ends those that are so, or only counts them. */
static unsigned each(is_fn is, const char *folder, bool end)
{
	DIR *d = opendir("/proc");
	struct dirent *x;
	unsigned found = 0;
	uint64_t born;
	struct err e;

	while (d && (x = readdir(d))) {
		pid_t pid = (pid_t)atoi(x->d_name);

		if (pid <= 1 || pid == getpid() || process_is_ours(pid) != 1 || process_start_time(pid, &born) ||
		    !qemu_is_alive(pid, born) || !is(pid, folder))
			continue;
		found++;
		if (end)
			process_end(pid, born, END_MS, &e);
	}
	if (d)
		closedir(d);
	return found;
}

void processes_end(const char *folder)
{
	each(names, folder, true);
}

/* An agent whose source has gone takes back by itself what it did. */
static void all_end(const char *dir)
{
	unsigned looks, quiet = 0;

	for (looks = 0; looks < LOOKS_MAX && quiet < QUIET_LOOKS; looks++) {
		unsigned found = each(names, dir, true) + each(has_open, dir, looks > PATIENT_LOOKS);

		quiet = found ? 0 : quiet + 1;
		poll(NULL, 0, LOOK_MS);
	}
}

void clear_all(const char *dir)
{
	all_end(dir);
	folder_remove(dir);
}
