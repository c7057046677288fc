/* sockets.h: pairs of connected sockets, and how much one takes; for unit tests, after cmocka.h. */
#ifndef VMFERRY_TEST_SOCKETS_H
#define VMFERRY_TEST_SOCKETS_H

#include "util.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static inline void unix_pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

/* A socket of this name, at which nobody listens yet. */
static inline int unix_bound(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(strlen(path) < sizeof(a.sun_path));
	strcpy(a.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* A socket of this name that takes one client. */
static inline int unix_listening(const char *path)
{
	int fd = unix_bound(path);

	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static inline void tcp_pair(int fd[2])
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(l, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&sa, &len), 0);
	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd[0], (struct sockaddr *)&sa, sizeof(sa)), 0);
	fd[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd[1] >= 0);
	close(l);
}

/* How many of n bytes are taken before nobody takes more. */
static inline size_t taken(int fd, size_t n)
{
	static const uint8_t zeros[64 * KIB];
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	size_t done = 0;
	ssize_t r;

	while (done < n && poll(&p, 1, 1000) == 1) {
		r = send(fd, zeros, MIN(n - done, sizeof(zeros)), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r < 0)
			break;
		done += (size_t)r;
	}
	return done;
}

#endif
