/* process-sockets.c: see process-sockets.h. */
#include "process-sockets.h"
#include "process.h"
#include "util.h"

#include <dirent.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LISTENS 10 /* TCP_LISTEN, in which a unix socket is, too */

/* ---- the kernel's table ---- */

bool process_may_have_socket(pid_t pid, const char *path)
{
	AUTO_FREE char *end = xasprintf(" %s\n", path);
	size_t cap = 0, n = strlen(end);
	char at[32], *line = NULL;
	bool yes = false;
	ssize_t len;
	FILE *f;

	snprintf(at, sizeof(at), "/proc/%d/net/unix", (int)pid);
	f = strchr(path, '\n') ? NULL : fopen(at, "re"); /* a path with a newline would be in two lines */
	if (!f)
		return true;
	while (!yes && (len = getline(&line, &cap, f)) >= 0)
		yes = (size_t)len > n && !strcmp(line + len - n, end);
	yes |= ferror(f) != 0;
	fclose(f);
	free(line);
	return yes;
}

/* A line of /proc/PID/net/unix: "Num: RefCount Protocol Flags Type St Inode Path", with the kernel's __SO_ACCEPTCON among the flags. */
struct unix_line {
	unsigned flags, type;
	unsigned long inode;
	const char *path;
};

/* The next line of the text that is one; false: there is none. The lines of the text are cut up by it. */
static bool next_unix_line(char **text, struct unix_line *l)
{
	char *line;
	int at;

	while ((line = strsep(text, "\n"))) {
		at = 0;
		if (sscanf(line, "%*x: %*x %*x %x %x %*x %lu %n", &l->flags, &l->type, &l->inode, &at) != 3 || !at)
			continue;
		l->path = line + at;
		return true;
	}
	return false;
}

/* The whole table of UNIX sockets that the process sees; NULL: it cannot be read. */
static char *unix_lines(pid_t pid)
{
	char at[32], *text = NULL;
	size_t cap = 0;
	FILE *f;

	snprintf(at, sizeof(at), "/proc/%d/net/unix", (int)pid);
	f = fopen(at, "re");
	if (f && getdelim(&text, &cap, '\0', f) < 0) {
		free(text);
		text = NULL;
	}
	if (f)
		fclose(f);
	return text;
}

/* ---- those of a process ---- */

struct own {
	struct one {
		unsigned long number;
		unsigned told; /* lines about it */
		bool is_named; /* at least one of these lines has the name that is looked for */
	} * v;		       /* sockets in the order of their numbers */
	size_t n;
	bool is_known; /* the process's sockets could be listed */
};

/* Numbers of sockets are those of all families, and others than unix sockets have no line there. True, too, where the kernel does not
 * say. */
static bool is_unix_socket(const char *fd)
{
	char protocol[32] = "";

	return getxattr(fd, "system.sockprotoname", protocol, sizeof(protocol) - 1) < 0 || !strncmp(protocol, "UNIX", 4);
}

static int compare_numbers(const void *a, const void *b)
{
	unsigned long x = ((const struct one *)a)->number, y = ((const struct one *)b)->number;

	return x < y ? -1 : x > y;
}

static struct one *own_of(const struct own *o, unsigned long number)
{
	const struct one want = {.number = number};

	return o->n ? bsearch(&want, o->v, o->n, sizeof(*o->v), compare_numbers) : NULL;
}

static void add_own(struct own *o, const char *fd)
{
	unsigned long number;
	char is[48] = "";

	if (readlink(fd, is, sizeof(is) - 1) < 0 || sscanf(is, "socket:[%lu]", &number) != 1 || !is_unix_socket(fd))
		return;
	o->v = xrealloc(o->v, (o->n + 1) * sizeof(*o->v));
	o->v[o->n++] = (struct one){.number = number};
}

/*
 * Finds the process's sockets once, instead of for each line of a table that others can make long. A name may contain newlines, so its
 * maker can forge further lines. A forged line about a socket comes beside that socket's own line: a socket with two lines is not
 * identified by them.
 */
static void find_own(struct own *o, pid_t pid, const char *lines)
{
	AUTO_FREE char *text = xstrdup(lines);
	char dir[32], *next = text;
	struct unix_line l;
	struct dirent *x;
	DIR *d;

	*o = (struct own){.n = 0};
	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	d = opendir(dir);
	o->is_known = d;
	while (d && (x = readdir(d))) {
		AUTO_FREE char *fd = xasprintf("%s/%s", dir, x->d_name);

		add_own(o, fd);
	}
	if (d)
		closedir(d);
	if (o->n)
		qsort(o->v, o->n, sizeof(*o->v), compare_numbers);
	while (next_unix_line(&next, &l)) {
		struct one *own = own_of(o, l.inode);

		if (own)
			own->told++;
	}
}

/* ---- where a socket is ---- */

static bool ask_kernel(int fd, unsigned long number)
{
	struct {
		struct nlmsghdr head;
		struct unix_diag_req ask;
	} m = {.head = {.nlmsg_len = sizeof(m), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
	       .ask = {.sdiag_family = AF_UNIX,
		       .udiag_states = ~0u,
		       .udiag_ino = (uint32_t)number,
		       .udiag_show = UDIAG_SHOW_VFS,
		       .udiag_cookie = {~0u, ~0u}}};

	return send(fd, &m, sizeof(m), 0) == sizeof(m);
}

static const struct unix_diag_vfs *vfs_of(const struct nlmsghdr *h, size_t n)
{
	const struct unix_diag_msg *said = NLMSG_DATA(h);
	const struct nlattr *a = (const void *)(said + 1);

	if (!NLMSG_OK(h, n) || h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof(*said)) ||
	    (said->udiag_type == SOCK_STREAM && said->udiag_state != LISTENS))
		return NULL;
	for (size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*said)); left >= sizeof(*a) && a->nla_len >= sizeof(*a) && a->nla_len <= left;
	     left -= MIN(NLA_ALIGN((size_t)a->nla_len), left), a = (const void *)((const char *)a + NLA_ALIGN(a->nla_len)))
		if (a->nla_type == UNIX_DIAG_VFS && a->nla_len >= NLA_HDRLEN + sizeof(struct unix_diag_vfs))
			return (const void *)((const char *)a + NLA_HDRLEN);
	return NULL;
}

/*
 * True if the path leads us to that socket, and it listens if it is a stream's: the kernel reports the file of its name, whatever names
 * others have. False, too, if that cannot be told (the kernel has no such interface, or the socket is in another network namespace).
 */
static bool leads_to(const char *path, unsigned long number)
{
	AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	union {
		struct nlmsghdr head;
		char bytes[1024];
	} answer;
	const struct unix_diag_vfs *vfs;
	struct stat st;
	ssize_t n;

	if (fd < 0 || stat(path, &st) || !ask_kernel(fd, number))
		return false;
	n = recv(fd, &answer, sizeof(answer), 0); /* the answer is here already */
	vfs = n > 0 ? vfs_of(&answer.head, (size_t)n) : NULL;
	return vfs && vfs->udiag_vfs_ino == (uint32_t)st.st_ino &&
	       makedev(vfs->udiag_vfs_dev >> 20, vfs->udiag_vfs_dev & 0xfffff) == st.st_dev;
}

/* ---- ---- */

static bool is_end_of(const char *name, const char *path)
{
	size_t n = strlen(name), k = strlen(path);

	return *name && *name != '/' && *name != '@' && n < k && path[k - n - 1] == '/' && !strcmp(path + k - n, name);
}

/* Connections of a stream's have its name, too. */
static bool is_bound(const struct unix_line *l)
{
	return l->type != SOCK_STREAM || l->flags & 0x10000;
}

/* lines: the table. */
static bool has_socket(const char *lines, const struct own *own, const char *path)
{
	AUTO_FREE char *text = xstrdup(lines);
	bool yes = false, others = false;
	struct unix_line l;
	char *next = text;

	for (size_t i = 0; i < own->n; i++)
		own->v[i].is_named = false;
	while (next_unix_line(&next, &l)) {
		struct one *one = own_of(own, l.inode);
		bool same = !strcmp(l.path, path);

		if ((!same && !is_end_of(l.path, path)) || !is_bound(&l))
			continue;
		if (one)
			one->is_named = true;
		else
			others |= same;
	}
	for (size_t i = 0; i < own->n && !yes; i++)
		yes = own->v[i].is_named && ((own->v[i].told == 1 && !others) || leads_to(path, own->v[i].number));
	return yes;
}

bool process_has_socket(pid_t pid, const char *path)
{
	AUTO_FREE char *lines = unix_lines(pid);
	struct own own;
	bool yes;

	find_own(&own, pid, lines);
	yes = has_socket(lines, &own, path);
	free(own.v);
	return yes;
}

bool process_may_listen_at(pid_t pid, const char *path)
{
	AUTO_FREE char *lines = unix_lines(pid);
	struct unix_line l;
	char *next = lines;
	struct own own;
	bool yes;

	find_own(&own, pid, lines);
	yes = !lines || !own.is_known || strchr(path, '\n');
	while (!yes && next_unix_line(&next, &l))
		yes = !strcmp(l.path, path) && is_bound(&l) && own_of(&own, l.inode);
	free(own.v);
	return yes;
}

bool process_serves_client(pid_t pid, const char *path)
{
	AUTO_FREE char *lines = unix_lines(pid);
	struct unix_line l;
	char *next = lines;
	bool yes = false;
	struct own own;

	find_own(&own, pid, lines);
	while (!yes && next_unix_line(&next, &l))
		yes = !is_bound(&l) && (!strcmp(l.path, path) || is_end_of(l.path, path)) && own_of(&own, l.inode);
	free(own.v);
	return yes;
}

char *process_socket_called(pid_t pid, const char *base)
{
	AUTO_FREE char *lines = unix_lines(pid), *text = xstrdup(lines);
	char *next = text, *found = NULL;
	struct unix_line l;
	struct own own;

	find_own(&own, pid, lines);
	while (!found && next_unix_line(&next, &l)) {
		const char *slash = strrchr(l.path, '/');
		const struct one *one = *l.path == '/' && !strcmp(slash + 1, base) && l.type == SOCK_STREAM ? own_of(&own, l.inode) : NULL;

		/* a name needs no walk through the table for a socket with two lines */
		if (one && (one->told == 1 ? has_socket(lines, &own, l.path) : leads_to(l.path, one->number)))
			found = xstrdup(l.path);
	}
	free(own.v);
	return found;
}
