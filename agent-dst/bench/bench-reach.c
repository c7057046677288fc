/* bench-reach.c: joins standard input and output to a unix socket. See bench-host.h. */
#include "bench-host.h"
#include "paths.h"
#include "unix-socket.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define RETRY_MS    5
#define PIECE_BYTES 65536

/* Waits for RETRY_MS at most; true if the process that reads our output has gone. */
static bool left(void)
{
	struct pollfd p = {.fd = 1};

	return poll(&p, 1, RETRY_MS) > 0 && (p.revents & (POLLERR | POLLHUP));
}

static int join(const char *path)
{
	AUTO_FREE char *real = path_maybe_hidden(path);

	return real ? unix_connect(real, 0) : -ENOENT;
}

/* Waits for the socket as long as somebody waits for us. Connected to it, or -errno. */
static int reach(const char *path)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};
	char byte;
	int fd;

	while ((fd = join(path)) < 0) {
		if ((fd != -ENOENT && fd != -ECONNREFUSED && fd != -EAGAIN) || left())
			return fd;
		if (poll(&in, 1, 0) > 0 && recv(0, &byte, 1, MSG_PEEK) == 0)
			return fd;
	}
	return fd;
}

static bool pass(int from, int to)
{
	char piece[PIECE_BYTES];
	ssize_t n = read(from, piece, sizeof(piece)), done, put;

	for (done = 0; done < n; done += put) {
		put = write(to, piece + done, (size_t)(n - done));
		if (put <= 0)
			return false;
	}
	return n > 0;
}

int bench_reach(const char *path)
{
	int fd = reach(path);
	struct pollfd p[] = {{.fd = 0, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

	if (fd < 0) {
		fprintf(stderr, "cannot connect to %s: %s\n", path, strerror(-fd));
		return 1;
	}
	for (;;) {
		if (poll(p, ARRAY_LEN(p), -1) < 0 && errno != EINTR)
			return 1;
		if (p[0].revents && !pass(0, fd))
			return 0;
		if (p[1].revents && !pass(fd, 1))
			return 0;
	}
}
