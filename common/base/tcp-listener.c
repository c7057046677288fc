/* tcp-listener.c: see tcp-listener.h. */
#include "tcp-listener.h"
#include "same-file.h"
#include "util.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* TCP_ESTABLISHED and TCP_LISTEN, as /proc/net/tcp has them */
#define CONNECTED 0x01
#define LISTENS	  0x0a

/* True if that process and we are in the same network namespace. */
static bool is_in_our_network(pid_t pid)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/ns/net", (int)pid);

	return paths_lead_to_one(path, "/proc/self/ns/net");
}

static bool has_socket(pid_t pid, unsigned long inode)
{
	AUTO_FREE char *dir = xasprintf("/proc/%d/fd", (int)pid);
	AUTO_FREE char *want = xasprintf("socket:[%lu]", inode);
	DIR *d = opendir(dir);
	struct dirent *x;
	bool yes = false;

	while (d && !yes && (x = readdir(d))) {
		char is[64];
		ssize_t n = readlinkat(dirfd(d), x->d_name, is, sizeof(is) - 1);

		yes = n > 0 && (size_t)n == strlen(want) && !memcmp(is, want, (size_t)n);
	}
	if (d)
		closedir(d);
	return yes;
}

/* An address of /proc/net/tcp: words of 32 bits in hexadecimal, each in this machine's order. All addresses become the loopback one. */
static void take_address(struct sockaddr_storage *at, const char *hex, unsigned port)
{
	uint32_t words[4] = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)at;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)at;

	memset(at, 0, sizeof(*at));
	for (size_t i = 0; i < strlen(hex) / 8; i++)
		sscanf(hex + 8 * i, "%8x", &words[i]);
	if (strlen(hex) == 8) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		v4->sin_addr.s_addr = words[0] ? words[0] : htonl(INADDR_LOOPBACK);
		return;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	memcpy(&v6->sin6_addr, words, sizeof(words));
	if (IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
		v6->sin6_addr = in6addr_loopback;
}

/* The inode of a socket of the process with that port and state in a table, /proc/PID/net/tcp or tcp6; 0: none. pid 0: whichever process has it, in
 * our network namespace. */
static unsigned long look_in(pid_t pid, const char *table, unsigned port, unsigned wanted, struct sockaddr_storage *at)
{
	AUTO_FREE char *path = pid ? xasprintf("/proc/%d/net/%s", (int)pid, table) : xasprintf("/proc/self/net/%s", table);
	FILE *f = fopen(path, "re");
	unsigned long found = 0, inode;
	unsigned local, state;
	char line[512], hex[33];

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu", hex, &local, &state, &inode) !=
			    4 ||
		    local != port || state != wanted || !inode || (strlen(hex) != 8 && strlen(hex) != 32) ||
		    (pid && !has_socket(pid, inode)))
			continue;
		take_address(at, hex, port);
		found = inode;
	}
	if (f)
		fclose(f);
	return found;
}

unsigned long tcp_listener_of(pid_t pid, unsigned port, struct sockaddr_storage *at)
{
	unsigned long inode;

	if (!port || port > 65535 || !is_in_our_network(pid))
		return 0;
	inode = look_in(pid, "tcp", port, LISTENS, at);
	return inode ? inode : look_in(pid, "tcp6", port, LISTENS, at);
}

bool tcp_is_listened_at(unsigned port)
{
	struct sockaddr_storage at;

	return access("/proc/self/net/tcp", R_OK) || look_in(0, "tcp", port, LISTENS, &at) || look_in(0, "tcp6", port, LISTENS, &at);
}

bool tcp_serves_client(pid_t pid, unsigned port)
{
	struct sockaddr_storage at;

	return look_in(pid, "tcp", port, CONNECTED, &at) || look_in(pid, "tcp6", port, CONNECTED, &at);
}

socklen_t tcp_address_bytes(const struct sockaddr_storage *at)
{
	return at->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}
