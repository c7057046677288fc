/*
 * bench-side.c: a side of a bench that is this machine, in a network namespace or not: its processes, folders and images. The
 * other host's are in bench-ssh.c.
 */
#include "bench.h"
#include "paths.h"
#include "process.h"
#include "same-file.h"
#include "scratch.h"
#include "unix-socket.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define END_MS	     20000
#define WORDS_MAX    128
#define REMOVE_TRIES 50

/* ---- files ---- */

int remove_when_we_end(const char *dir, struct err *e)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
	int ends[2];
	char byte;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return err_sys(e, errno, "cannot make a pipe");
	pid = fork();
	if (pid < 0)
		return err_sys(e, errno, "cannot start a process");
	if (pid) {
		close(ends[0]); /* the other end stays open for as long as we live */
		return 0;
	}
	setsid();
	prctl(PR_SET_NAME, "bench-remove"); /* whoever ends all that is called vmferry does not mean this one, */
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN); /* nor who asks the whole session to end */
	close(ends[1]);
	/* closed, so that a process that waits for the end of our output need not wait for the child */
	close(0), close(1), close(2);
	while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
		;
	for (size_t i = 0; i < REMOVE_TRIES && !access(dir, F_OK); i++, poll(NULL, 0, 100))
		folder_remove(dir); /* again, if someone who has not ended yet makes a file */
	_exit(0);
}

static int here_folder(struct side *s, const char *path, struct err *e)
{
	(void)s;
	return mkdir(path, 0700) ? err_sys(e, errno, "cannot make %s", path) : 0;
}

static int here_file(struct side *s, const char *path, const char *text, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	(void)s;
	return fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ? err_sys(e, errno, "cannot make %s", path) : 0;
}

static int here_image(struct side *s, const char *path, uint64_t bytes, bool *direct, struct err *e)
{
	int r = scratch_image(path, bytes, direct);

	(void)s;
	return r ? err_sys(e, -r, "cannot make %s", path) : 0;
}

static uint64_t here_allocated(struct side *s, const char *path)
{
	(void)s;
	return path_allocated(path);
}

static void here_tail(struct side *s, const char *path, char *text, size_t room)
{
	(void)s;
	scratch_tail(path, text, room);
	text_make_printable(text, true);
}

static void here_remove(struct side *s, pid_t pid, const char *folder)
{
	uint64_t born;
	struct err e;

	(void)s;
	if (pid && !process_start_time(pid, &born))
		process_end(pid, born, END_MS, &e);
	if (folder)
		folder_remove(folder);
}

/* ---- processes and sockets ---- */

static int here_spawn(struct side *s, char *const *argv, int out_fd, const char *log, pid_t *pid, struct err *e)
{
	char *words[WORDS_MAX] = {"ip", "netns", "exec", (char *)s->namespace};
	size_t n = s->namespace ? 4 : 0;
	pid_t child;

	while (*argv && n + 1 < ARRAY_LEN(words))
		words[n++] = *argv++;
	if (*argv)
		return err_set(e, E2BIG, "a command has more than %zu words", n);
	words[n] = NULL;
	child = scratch_spawn(words, out_fd, log);
	if (child < 0)
		return err_sys(e, -child, "cannot start %s, which writes to %s", words[0], log);
	*pid = child;
	return 0;
}

static int here_reach(struct side *s, const char *path, int *out, struct err *e)
{
	AUTO_FREE char *real = path_maybe_hidden(path);
	int fd;

	(void)s;
	if (!real)
		return err_set(e, ENOENT, "there is no %s", path);
	fd = unix_connect(real, 0);
	if (fd == -ENAMETOOLONG)
		return err_set(e, ENAMETOOLONG, "%s is too long for a socket: choose a shorter --dir", path);
	if (fd < 0)
		return err_sys(e, fd == -ECONNREFUSED ? ENOENT : -fd, "cannot connect to %s", path); /* bound, but does not listen yet */
	*out = fd;
	return 0;
}

/* QEMU itself finds a free one. */
static int here_port(struct side *s, unsigned usual, unsigned *port, struct err *e)
{
	(void)s, (void)e;
	*port = usual;
	return 0;
}

const struct side_ops side_here = {
	.spawn = here_spawn,
	.folder = here_folder,
	.file = here_file,
	.image = here_image,
	.allocated = here_allocated,
	.tail = here_tail,
	.reach = here_reach,
	.port = here_port,
	.remove = here_remove,
};
