/* tap.c: see tap.h. */
#include "tap.h"
#include "fault.h"
#include "process.h"
#include "util.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAUSE_MS 2
#define BUSY_MS	 2000 /* a closed descriptor may keep the tap busy for a moment */
#define NO_TAP	 ""   /* name of a descriptor whose tap was removed */
#define TRIES	 3    /* another process may be quicker */

/* ---- the owner of a tap ---- */

/* "iff:\tNAME" in /proc/PID/fdinfo/FD; false: it is of no tap. */
static bool is_on(pid_t pid, int fd, const char *name)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/fdinfo/%d", (int)pid, fd);
	FILE *f = fopen(path, "re");
	char line[128];
	bool yes = false;

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		yes |= !strncmp(line, "iff:", 4) && !strcmp(line + 4 + strspn(line + 4, "\t "), name);
	}
	if (f)
		fclose(f);
	return yes;
}

static bool is_in_our_network(pid_t pid)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/ns/net", (int)pid);
	char ours[64] = "", theirs[64] = "";

	return readlink("/proc/self/ns/net", ours, sizeof(ours) - 1) > 0 && readlink(path, theirs, sizeof(theirs) - 1) > 0 &&
	       !strcmp(ours, theirs);
}

/* Counts the descriptors of a process on that tap, but not on a tap of the same name in another network namespace; *fd: one of them. */
static unsigned find(pid_t pid, const char *name, int *fd)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/fdinfo", (int)pid);
	DIR *d = opendir(path);
	struct dirent *x;
	unsigned n = 0;

	while (d && (x = readdir(d))) {
		if (!isdigit((unsigned char)*x->d_name) || !is_on(pid, atoi(x->d_name), name))
			continue;
		*fd = atoi(x->d_name);
		n++;
	}
	if (d)
		closedir(d);
	return n && is_in_our_network(pid) ? n : 0;
}

bool tap_is_of(pid_t pid, const char *name)
{
	int fd;

	return find(pid, name, &fd) > 0;
}

pid_t tap_owner(const char *name)
{
	DIR *d = opendir("/proc");
	struct dirent *x;
	pid_t pid = 0;

	while (d && !pid && (x = readdir(d)))
		if (isdigit((unsigned char)*x->d_name) && tap_is_of(atoi(x->d_name), name))
			pid = atoi(x->d_name);
	if (d)
		closedir(d);
	return pid;
}

static int flags_of(const char *name, short *flags, struct err *e)
{
	AUTO_FREE char *path = xasprintf("/sys/class/net/%s/tun_flags", name);
	FILE *f = strchr(name, '/') ? NULL : fopen(path, "re");
	unsigned read = 0;
	bool ok = f && fscanf(f, "%x", &read) == 1 && (read & IFF_TAP);

	if (f)
		fclose(f);
	*flags = (short)read;
	return ok ? 0 : err_set(e, ENODEV, "there is no tap device %s on this host", name);
}

bool bridge_is_here(const char *name)
{
	AUTO_FREE char *path = xasprintf("/sys/class/net/%s/bridge", name);

	return !strchr(name, '/') && !access(path, F_OK);
}

bool tap_has_queues(const char *name)
{
	struct err ignored;
	short flags;

	return !flags_of(name, &flags, &ignored) && (flags & IFF_MULTI_QUEUE);
}

int tap_examine(const char *name, bool *persists, struct err *e)
{
	short flags;
	int r = flags_of(name, &flags, e);

	*persists = !r && (flags & IFF_PERSIST);
	return r;
}

/* ---- its descriptors ---- */

/* The same open file as the process's. */
static int borrow(pid_t pid, int theirs, int *fd, struct err *e)
{
	AUTO_CLOSE int process = (int)syscall(SYS_pidfd_open, pid, 0);

	*fd = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, theirs, 0);
	return *fd < 0 ? err_sys(e, errno, "cannot borrow the descriptor of a tap from process %d", (int)pid) : 0;
}

static int attach(int fd, const char *name, short flags)
{
	struct ifreq ifr = {.ifr_flags = (short)(flags & ~IFF_PERSIST)};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(fd, TUNSETIFF, &ifr) ? -errno : 0;
}

/* Opens a tap that no process has open. */
static int open_tap(const char *name, short flags, int *fd, struct err *e)
{
	int r;

	*fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return err_sys(e, errno, "cannot open /dev/net/tun");
	r = attach(*fd, name, flags);
	if (r) {
		close(*fd);
		*fd = -1;
	}
	return r ? err_sys(e, -r, "cannot open tap %s", name) : 0;
}

int tap_persist(const char *name, bool on, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	pid_t pid = tap_owner(name);
	short flags;
	int theirs, r = flags_of(name, &flags, e);

	if (r && !on) /* the tap has gone with its last user */
		return 0;
	if (r || !!(flags & IFF_PERSIST) == on)
		return r;
	r = pid && find(pid, name, &theirs) ? borrow(pid, theirs, &fd, e) : open_tap(name, flags, &fd, e);
	return !r && ioctl(fd, TUNSETPERSIST, on) ? err_sys(e, errno, "cannot let tap %s %s", name, on ? "stay" : "go with who has it open")
						  : r;
}

int tap_try(const char *name, pid_t pid, struct err *e)
{
	AUTO_CLOSE int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	AUTO_CLOSE int fd = -1;
	int theirs;

	if (netlink < 0)
		return err_sys(e, errno, "cannot ask the kernel to remove a tap");
	return find(pid, name, &theirs) ? borrow(pid, theirs, &fd, e)
					: err_set(e, ENODEV, "process %d does not have tap %s", (int)pid, name);
}

/* ---- from one to another ---- */

/* `ip link del`: by rtnetlink(7). */
static int remove_link(const char *name, struct err *e)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg link;
	} ask = {.h = {.nlmsg_len = sizeof(ask), .nlmsg_type = RTM_DELLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		 .link = {.ifi_family = AF_UNSPEC, .ifi_index = (int)if_nametoindex(name)}};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr error;
		char more[512];
	} answer = {.h = {.nlmsg_len = 0}};
	AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t n;

	if (!ask.link.ifi_index)
		return 0;
	if (fd < 0 || send(fd, &ask, sizeof(ask), 0) != (ssize_t)sizeof(ask))
		return err_sys(e, errno, "cannot ask the kernel to remove tap %s", name);
	n = recv(fd, &answer, sizeof(answer), 0);
	if (n < (ssize_t)(sizeof(answer.h) + sizeof(answer.error)) || answer.h.nlmsg_type != NLMSG_ERROR)
		return err_set(e, EPROTO, "the kernel does not say whether tap %s is removed", name);
	return answer.error.error ? err_sys(e, -answer.error.error, "cannot remove tap %s", name) : 0;
}

static bool has_let_go(const char *name, pid_t before, uint64_t start_time)
{
	return !qemu_is_alive(before, start_time) || !tap_is_of(before, name);
}

static int wait_until_let_go(const char *name, pid_t before, uint64_t start_time, unsigned timeout_ms, struct err *e)
{
	uint64_t until = now_ns() + timeout_ms * 1000000ULL;

	while (!has_let_go(name, before, start_time)) {
		if (now_ns() > until)
			return err_set(e, ETIMEDOUT, "process %d, which had the guest, has tap %s open still", (int)before, name);
		poll(NULL, 0, PAUSE_MS);
	}
	return 0;
}

/* The settings that QEMU has made on its tap, read from the descriptor. */
struct settings {
	short flags;
	int header; /* bytes before each packet; 0: not known, and as it is */
};

/* Reads the settings. If the descriptor is on no tap, those of the real tap count: the other QEMU, which had the same guest, has left them
 * there. */
static int settings_of(int fd, const char *name, struct settings *s, struct err *e)
{
	struct ifreq ifr;

	*s = (struct settings){.header = 0};
	if (ioctl(fd, TUNGETIFF, &ifr))
		return flags_of(name, &s->flags, e);
	s->flags = ifr.ifr_flags;
	return ioctl(fd, TUNGETVNETHDRSZ, &s->header) ? err_sys(e, errno, "cannot ask what QEMU has set of its tap") : 0;
}

static int put_on(int fd, const char *name, const struct settings *s)
{
	int r = attach(fd, name, s->flags);

	if (!r && s->header && ioctl(fd, TUNSETVNETHDRSZ, &s->header))
		r = -errno;
	return r;
}

/* Opens the tap to see that it is free: its last user's descriptor may be closed a moment late, and the new QEMU should not be without a
 * tap meanwhile. */
static int wait_until_free(const char *name, short flags, struct err *e)
{
	uint64_t until = now_ns() + BUSY_MS * 1000000ULL;
	int fd, r;

	do {
		r = open_tap(name, flags, &fd, e);
		if (fd >= 0)
			close(fd);
		if (r == -EBUSY)
			poll(NULL, 0, PAUSE_MS);
	} while (r == -EBUSY && now_ns() < until);
	return r == -EBUSY ? err_set(e, EBUSY, "tap %s is open in process %d", name, (int)tap_owner(name)) : r;
}

/*
 * Exchanges the stand-in for the tap. In between the descriptor is on no tap, and a guest that resets its NIC then ends QEMU (abort() in
 * tap-linux.c, where a size cannot be set): so that time is kept short, and any failure ends with the stand-in.
 */
static int exchange(int fd, const char *name, const char *stand_in, const struct settings *s, struct err *e)
{
	int r = remove_link(stand_in, e);

	fault_point("dst-tap-removed");
	if (r)
		return r;
	r = if_nametoindex(name) ? put_on(fd, name, s) : -ENODEV; /* otherwise it would be created */
	if (r)
		put_on(fd, stand_in, s);
	return r ? err_sys(e, -r, "cannot give tap %s to the guest's QEMU", name) : 0;
}

int tap_take(const char *name, const char *stand_in, pid_t pid, pid_t before, uint64_t start_time, unsigned timeout_ms, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct settings s;
	short flags;
	int theirs, r;

	if (tap_is_of(pid, name))
		return 0;
	if (find(pid, stand_in, &theirs) != 1 && find(pid, NO_TAP, &theirs) != 1)
		return err_set(e, ENODEV, "process %d does not have tap %s, which stands in for %s", (int)pid, stand_in, name);
	r = flags_of(name, &flags, e) ?: wait_until_let_go(name, before, start_time, timeout_ms, e) ?: borrow(pid, theirs, &fd, e);
	for (unsigned i = 0; !r && i < TRIES && !tap_is_of(pid, name); i++) {
		r = settings_of(fd, name, &s, e) ?: wait_until_free(name, s.flags, e);
		if (!r && exchange(fd, name, stand_in, &s, e) && (e->code != EBUSY || i + 1 == TRIES))
			r = -e->code;
	}
	return r && tap_is_of(pid, name) ? 0 : r; /* another vmferry was quicker */
}
