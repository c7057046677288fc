/* record-answers.c: what a recorded script is answered to calls that write, look or reach somebody; see record-private.h. seccomp_unotify(2). */
#include "record-private.h"
#include "record.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/un.h>
#include <unistd.h>

#define WAITS	  40	       /* looks for what is not there: a loop that waits for it */
#define COPY_MAX  (256 * 1024) /* bytes of a file that is written to in memory */
#define COMM_MAX  32
#define WORDS_MAX (PATH_MAX + 64)

#define NONE NO_ARGUMENT

static const struct answered_call calls[] = {
	{SCMP_SYS(mkdir), ANSWER_MAKE, 0, NONE, NONE},	  {SCMP_SYS(mkdirat), ANSWER_MAKE, 1, 0, NONE},
	{SCMP_SYS(creat), ANSWER_OPEN, 0, NONE, NONE},	  {SCMP_SYS(open), ANSWER_OPEN, 0, NONE, 1},
	{SCMP_SYS(openat), ANSWER_OPEN, 1, 0, 2},	  {SCMP_SYS(access), ANSWER_MAY_WRITE, 0, NONE, 1},
	{SCMP_SYS(faccessat), ANSWER_MAY_WRITE, 1, 0, 2}, {SCMP_SYS(faccessat2), ANSWER_MAY_WRITE, 1, 0, 2},
	{SCMP_SYS(rename), ANSWER_RENAME, 1, NONE, NONE}, {SCMP_SYS(renameat), ANSWER_RENAME, 3, 2, NONE},
	{SCMP_SYS(renameat2), ANSWER_RENAME, 3, 2, NONE}, {SCMP_SYS(stat), ANSWER_LOOK, 0, NONE, NONE},
	{SCMP_SYS(lstat), ANSWER_LOOK, 0, NONE, NONE},	  {SCMP_SYS(newfstatat), ANSWER_LOOK, 1, 0, 3},
	{SCMP_SYS(statx), ANSWER_LOOK, 1, 0, 2},	  {SCMP_SYS(socket), ANSWER_SOCKET, NONE, NONE, 1},
	{SCMP_SYS(connect), ANSWER_REACH, 1, NONE, 2},	  {SCMP_SYS(sendto), ANSWER_SEND, 4, NONE, 5},
};

const struct answered_call *answered_call(size_t i)
{
	return i < ARRAY_LEN(calls) ? &calls[i] : NULL;
}

static const struct answered_call *called(const struct seccomp_notif *asked)
{
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if (calls[i].call == asked->data.nr)
			return &calls[i];
	return NULL;
}

/* ---- what the caller says ---- */

static ssize_t read_caller(const struct seccomp_notif *asked, uint64_t at, void *to, size_t n)
{
	AUTO_FREE char *memory = xasprintf("/proc/%u/mem", asked->pid);
	AUTO_CLOSE int fd = open(memory, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : pread(fd, to, n, (off_t)at);
}

/* The path of what the caller has at /proc/PID/WHAT; malloc'ed, or NULL. */
static char *link_of(const struct seccomp_notif *asked, const char *what)
{
	AUTO_FREE char *link = xasprintf("/proc/%u/%s", asked->pid, what);
	char path[PATH_MAX];
	ssize_t n = readlink(link, path, sizeof(path) - 1);

	return n > 0 && *path == '/' ? xstrndup(path, (size_t)n) : NULL;
}

/* The path that the caller names, absolute; NULL: it cannot be read. malloc'ed. */
static char *path_asked(const struct seccomp_notif *asked, const struct answered_call *k)
{
	char text[PATH_MAX] = "";
	ssize_t n = read_caller(asked, asked->data.args[k->path], text, sizeof(text));
	int at = k->dir == NO_ARGUMENT ? AT_FDCWD : (int)asked->data.args[k->dir];
	AUTO_FREE char *what = at == AT_FDCWD ? xstrdup("cwd") : xasprintf("fd/%d", at), *dir = NULL;

	if (n <= 0 || !memchr(text, 0, (size_t)n) || !*text)
		return NULL;
	if (*text == '/')
		return xstrdup(text);
	dir = link_of(asked, what);
	return dir ? xasprintf("%s/%s", dir, strncmp(text, "./", 2) ? text : text + 2) : NULL;
}

static unsigned flags_of(const struct answered_call *k, const struct seccomp_notif *asked)
{
	return k->how == NO_ARGUMENT ? O_WRONLY | O_CREAT | O_TRUNC : (unsigned)asked->data.args[k->how];
}

/* ---- what is told of it ---- */

static void tell(const struct record_watch *w, const struct seccomp_notif *asked, const char *kind, const char *words)
{
	AUTO_FREE char *path = xasprintf("/proc/%u/comm", asked->pid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char comm[COMM_MAX] = "", record[sizeof(RECORD_NOTE) + WORDS_MAX + COMM_MAX + 16];
	ssize_t n = fd < 0 ? 0 : read(fd, comm, sizeof(comm) - 1);
	int bytes;

	comm[n > 0 ? (size_t)n - 1 : 0] = '\0'; /* the text ends with a newline */
	/* mark, kind, program, nobody else as user, words: in one piece, as others write there, too */
	bytes = snprintf(record, sizeof(record), RECORD_NOTE "%c%s%c%s%c%c%s", 0, kind, 0, comm, 0, 0, words) + 1;
	if (bytes > 0 && (size_t)bytes <= sizeof(record) && write(w->output, record, (size_t)bytes) != bytes)
		return; /* the reader has ended */
}

static struct record_path *find(struct record_path *list, size_t count, const char *path)
{
	size_t i;

	for (i = 0; i < count && list[i].path; i++)
		if (!strcmp(list[i].path, path))
			return &list[i];
	return i < count ? &list[i] : NULL;
}

/* A device has nothing that was written to it, and what is in /proc and /dev/fd is another file for each that looks. */
static bool keeps_what_is_written(const char *path)
{
	return strncmp(path, "/proc/", 6) != 0 && (strncmp(path, "/dev/", 5) != 0 || !strncmp(path, "/dev/shm/", 9));
}

static void remember_written(struct record_watch *w, const char *path)
{
	struct record_path *p = keeps_what_is_written(path) ? find(w->written, ARRAY_LEN(w->written), path) : NULL;

	if (p && !p->path)
		p->path = xstrdup(path);
}

/* The script looks for a file that it has written itself; the recorder kept no contents of it. */
static void note_look(struct record_watch *w, const struct seccomp_notif *asked, const char *path)
{
	struct record_path *p = find(w->written, ARRAY_LEN(w->written), path);

	if (p && p->path && !p->times++)
		tell(w, asked, RECORD_READ, path);
}

/* A file in a directory of PATH, where a shell looks for a program time and again. */
static bool is_of_programs(const char *path)
{
	const char *list = getenv("PATH") ?: "", *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0, each;

	if (!strncmp(path, RECORD_DIR "/", strlen(RECORD_DIR "/")))
		return true;
	for (; *list; list += each + (list[each] == ':')) {
		each = strcspn(list, ":");
		if (each == n && !strncmp(list, path, n))
			return true;
	}
	return false;
}

static void note_missing(struct record_watch *w, const struct seccomp_notif *asked, const char *path)
{
	struct record_path *p;
	struct stat st;

	if (!lstat(path, &st) || is_of_programs(path))
		return;
	p = find(w->missing, ARRAY_LEN(w->missing), path);
	if (p && !p->path)
		p->path = xstrdup(path);
	if (p && ++p->times == WAITS)
		tell(w, asked, RECORD_WAITED, path);
}

/* ---- files ---- */

/* May a script write to a file? Where it can do nothing the kernel says no of each, and it would give up: so its mode says. */
static bool is_writable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
	       (st.st_mode & (st.st_uid == geteuid() ? S_IWUSR : S_IWOTH));
}

/* The file system is told by the directory, as the file may not be there. */
static bool where_it_is(const char *path, struct statfs *fs)
{
	AUTO_FREE char *dir = xstrdup(path);
	size_t n = strlen(dir);
	char *slash;

	while (n > 1 && dir[n - 1] == '/')
		dir[--n] = '\0';
	slash = strrchr(dir, '/');
	if (!slash)
		return false;
	slash[slash == dir] = '\0';
	return !statfs(dir, fs);
}

/* Directories that a script may write to in there are layers of their own, or in its own /run. */
static bool is_on_layer(const char *path)
{
	struct statfs fs;

	return where_it_is(path, &fs) && !(fs.f_flags & ST_RDONLY);
}

/* A small file on a layer is written to in memory, so that the script reads what it has written. */
static bool is_written_in_memory(const char *path, unsigned flags)
{
	struct statfs fs;
	struct stat st;

	if (!where_it_is(path, &fs) || fs.f_flags & ST_RDONLY || fs.f_type != OVERLAYFS_SUPER_MAGIC)
		return false;
	return lstat(path, &st) ? flags & O_CREAT : S_ISREG(st.st_mode) && (flags & O_TRUNC || st.st_size <= COPY_MAX);
}

/* A recorder whose descriptors were closed opens RECORD_PIPE. */
static void give_file(struct record_watch *w, const struct seccomp_notif *asked, const char *path, unsigned flags,
		      struct seccomp_notif_resp *answer)
{
	struct seccomp_notif_addfd add = {.id = asked->id, .srcfd = (uint32_t)w->null, .newfd_flags = flags & O_CLOEXEC};
	int fd;

	if (path && !strcmp(path, RECORD_PIPE))
		add.srcfd = (uint32_t)w->output;
	else if (path)
		remember_written(w, path);
	fd = ioctl(w->asks, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	answer->error = fd < 0 ? -EROFS : 0;
	answer->val = fd < 0 ? 0 : fd;
}

static void answer_open(struct record_watch *w, const struct seccomp_notif *asked, const char *path, unsigned flags,
			struct seccomp_notif_resp *answer)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT;

	if (writes && (!path || !is_written_in_memory(path, flags))) {
		give_file(w, asked, path, flags, answer);
		return;
	}
	if (!writes && path)
		note_look(w, asked, path);
	answer->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
}

/* ---- sockets ---- */

union address {
	struct sockaddr any;
	struct sockaddr_un local;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Daemons that programs ask for the name of a user, or tell what goes into a log: nothing of a guest depends on these. */
static bool is_asked_by_libraries(const char *path)
{
	static const char *const names[] = {"/dev/log",
					    "/run/nscd/",
					    "/var/run/nscd/",
					    "/run/systemd/userdb/",
					    "/run/systemd/journal/",
					    "/run/systemd/notify",
					    "/var/lib/sss/pipes/",
					    "/run/samba/winbindd/",
					    "/var/lib/samba/winbindd"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strncmp(path, names[i], strlen(names[i])))
			return true;
	return false;
}

static bool is_this_host(const union address *a)
{
	if (a->any.sa_family == AF_INET)
		return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127 || !a->v4.sin_addr.s_addr;
	return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr) && a->v6.sin6_addr.s6_addr[12] == 127);
}

static void note_internet(const struct record_watch *w, const struct seccomp_notif *asked, const union address *a)
{
	char text[INET6_ADDRSTRLEN] = "?", words[INET6_ADDRSTRLEN + 32];
	bool is_v4 = a->any.sa_family == AF_INET;

	inet_ntop(a->any.sa_family, is_v4 ? (const void *)&a->v4.sin_addr : &a->v6.sin6_addr, text, sizeof(text));
	snprintf(words, sizeof(words), "%s port %u", text, ntohs(is_v4 ? a->v4.sin_port : a->v6.sin6_port));
	tell(w, asked, is_this_host(a) ? RECORD_REACHED : RECORD_ABROAD, words);
}

static void note_reach(const struct record_watch *w, const struct seccomp_notif *asked, const struct answered_call *k,
		       struct seccomp_notif_resp *answer)
{
	union address a = {.any.sa_family = AF_UNSPEC};
	size_t n = MIN((size_t)asked->data.args[k->how], sizeof(a) - 1);
	struct stat st;

	answer->error = -ECONNREFUSED;
	if (read_caller(asked, asked->data.args[k->path], &a, n) != (ssize_t)n || n < offsetof(struct sockaddr_un, sun_path) + 1)
		return;
	if (a.any.sa_family == AF_INET || a.any.sa_family == AF_INET6) {
		note_internet(w, asked, &a);
	} else if (a.any.sa_family == AF_UNIX) {
		AUTO_FREE char *path = *a.local.sun_path ? xstrdup(a.local.sun_path) : xasprintf("@%s", a.local.sun_path + 1);

		if (*path != '@' && lstat(path, &st))
			answer->error = -ENOENT;
		if (!is_asked_by_libraries(path))
			tell(w, asked, RECORD_REACHED, path);
	}
}

/* The script gets one end of a pair whose other end is closed: nothing can be reached by it. */
static void give_socket(const struct record_watch *w, const struct seccomp_notif *asked, struct seccomp_notif_resp *answer)
{
	int domain = (int)asked->data.args[0], type = (int)asked->data.args[1], pair[2], fd = -1;
	struct seccomp_notif_addfd add = {.id = asked->id, .newfd_flags = type & SOCK_CLOEXEC ? O_CLOEXEC : 0};

	if ((domain == AF_UNIX || domain == AF_INET || domain == AF_INET6) &&
	    !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (type & SOCK_NONBLOCK), 0, pair)) {
		add.srcfd = (uint32_t)pair[0];
		fd = ioctl(w->asks, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
		close(pair[0]);
		close(pair[1]);
	}
	answer->error = fd < 0 ? -EPERM : 0;
	answer->val = fd < 0 ? 0 : fd;
}

/* ---- all of it ---- */

static void decide(struct record_watch *w, const struct answered_call *k, const struct seccomp_notif *asked,
		   struct seccomp_notif_resp *answer)
{
	AUTO_FREE char *path = k->kind <= ANSWER_LOOK ? path_asked(asked, k) : NULL;

	switch (k->kind) {
	case ANSWER_MAKE:
		answer->flags =
			path && is_on_layer(path) ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0; /* otherwise it succeeds, and nothing is there */
		break;
	case ANSWER_OPEN:
		answer_open(w, asked, path, flags_of(k, asked), answer);
		break;
	case ANSWER_MAY_WRITE:
		answer->flags = path && is_writable(path) ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE; /* the kernel says it */
		break;
	case ANSWER_RENAME: /* the call succeeds, and nothing has another name */
		if (path)
			remember_written(w, path);
		break;
	case ANSWER_LOOK:
		if (path)
			note_look(w, asked, path);
		if (path)
			note_missing(w, asked, path);
		answer->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		break;
	case ANSWER_SOCKET:
		give_socket(w, asked, answer);
		break;
	case ANSWER_REACH:
	case ANSWER_SEND:
		note_reach(w, asked, k, answer);
		break;
	}
}

void record_answer(struct record_watch *w)
{
	struct seccomp_notif asked;
	struct seccomp_notif_resp answer = {.error = 0};
	const struct answered_call *k;

	memset(&asked, 0, sizeof(asked)); /* the kernel insists */
	if (ioctl(w->asks, SECCOMP_IOCTL_NOTIF_RECV, &asked))
		return; /* the caller has ended */
	answer.id = asked.id;
	k = called(&asked);
	if (k)
		decide(w, k, &asked, &answer);
	else
		answer.error = -ENOSYS;
	ioctl(w->asks, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}
