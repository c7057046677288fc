/*
 * move-monitors.c: until the guest is ours nobody but this agent gives orders to its QEMU.
 *
 * Theory of operation. QEMU makes the guest's own monitors and consoles when it starts, and cannot be told to wait with that.
 * A `cont` there would start the guest beside the source's: at once, or as soon as it is loaded. So as soon as QEMU is up its
 * listening unix sockets are moved into a directory that nobody else may enter (kind "hidden" in the journal), and back
 * under their names once STARTED is durable. The sockets themselves do not change: QEMU and its command line know them by
 * their names. A monitor on a TCP port takes one client at a time: that is we. What came in before is undone by `stop`, which
 * takes back an early `cont`. Monitors of other kinds cannot be closed; a guest that is resumed all the same is ended at
 * once (move.c), before it was promised or as NOVM.
 */
#include "move.h"
#include "json-text.h"
#include "log.h"
#include "paths.h"
#include "qemu-props.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define CONNECT_MS 2000

/* ---- what query-chardev says ---- */

/* Where the text ends in that, or NULL. */
static const char *suffix(const char *text, const char *end)
{
	size_t n = strlen(text), k = strlen(end);

	return n >= k && !strcmp(text + n - k, end) ? text + n - k : NULL;
}

/* "disconnected:unix:/run/a.qmp,server=on", "tcp:127.0.0.1:4444,server=on <-> 127.0.0.1:53412" (QEMU: chardev/char-socket.c) */
bool monitors_parse(const char *filename, struct chardev_socket *out)
{
	static const char idle[] = "disconnected:", listens[] = ",server=on";
	const char *end;

	*out = (struct chardev_socket){.connected = strncmp(filename, idle, strlen(idle))};
	filename += out->connected ? 0 : strlen(idle);
	out->is_unix = !strncmp(filename, "unix:", 5);
	end = out->is_unix ? suffix(filename, listens) : strstr(filename, listens);
	if (!end)
		return false;
	if (!out->is_unix && strncmp(filename, "tcp:", 4) && strncmp(filename, "telnet:", 7))
		return false;
	filename = strchr(filename, ':') + 1;
	if (end - filename < 1 || (size_t)(end - filename) >= sizeof(out->address))
		return false;
	snprintf(out->address, sizeof(out->address), "%.*s", (int)(end - filename), filename);
	snprintf(out->peer, sizeof(out->peer), "%s", strstr(end, "<-> ") ? strstr(end, "<-> ") + 4 : "");
	return true;
}

/* QEMU's own names for what -monitor, -qmp and -serial mon: make, or what a -mon names. */
static bool is_monitor(const struct move *m, const char *label)
{
	bool yes = !strncmp(label, "compat_monitor", strlen("compat_monitor"));
	size_t i;

	for (i = 1; i + 1 < m->args.argc && !yes; i++) {
		const char *chardev;
		struct props p;

		if (strcmp(m->args.argv[i], "-mon"))
			continue;
		props_parse(&p, m->args.argv[i + 1]);
		chardev = kv_get(&p.l, "chardev", "chardev");
		yes = chardev && !strcmp(chardev, label);
		props_fini(&p);
	}
	return yes;
}

static int query(struct move *m, json_t **out, struct err *e)
{
	return qmp_call(m->qmp, "query-chardev", NULL, out, e);
}

/* ---- unix sockets ---- */

static char *hidden_dir(const struct move *m)
{
	char id[2 * ATTEMPT_ID_LEN + 1];

	return xasprintf("%s/" HIDDEN_DIR_PREFIX "%.8s", m->dir, attempt_id_format(m->attempt, id));
}

static int make_hidden_dir(struct move *m, const char *dir, struct err *e)
{
	json_t *detail = json_pack("{s:s}", "path", dir);
	int r = journal_own(m->journal, "hidden", detail, e);

	json_decref(detail);
	if (!r && mkdir(dir, 0700))
		r = err_sys(e, errno, "cannot create %s", dir);
	return r;
}

static bool is_socket(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && S_ISSOCK(st.st_mode);
}

/* Those of the agent's own directory, its monitor among them, stay. */
static int hide_one(struct move *m, const char *dir, const char *path, struct err *e)
{
	size_t n = strlen(m->dir);
	const char *base = strrchr(path, '/');
	AUTO_FREE char *to = NULL;

	if (strncmp(path, m->dir, n) || base != path + n || !is_socket(path))
		return 0;
	to = xasprintf("%s%s", dir, base);
	return rename(path, to) ? err_sys(e, errno, "cannot move %s away until the guest is here", path) : 0;
}

static int hide_sockets(struct move *m, const json_t *chardevs, struct err *e)
{
	AUTO_FREE char *dir = hidden_dir(m);
	struct chardev_socket s;
	json_t *one;
	size_t i;
	int r = make_hidden_dir(m, dir, e);

	json_array_foreach((json_t *)chardevs, i, one)
		if (!r && json_text(one, "filename") && monitors_parse(json_text(one, "filename"), &s) && s.is_unix)
			r = hide_one(m, dir, s.address, e);
	return r;
}

static bool are_one(const char *a, const char *b)
{
	struct stat sa, sb;

	return !lstat(a, &sa) && !lstat(b, &sb) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* Not over somebody else's file: that came meanwhile. */
static int show_one(const char *dir, const char *name, struct err *e)
{
	AUTO_FREE char *from = xasprintf("%s/%s", dir, name);
	AUTO_FREE char *to = xasprintf("%.*s/%s", (int)(strrchr(dir, '/') - dir), dir, name);

	if (link(from, to) && errno != ENOENT && !are_one(from, to)) /* an agent that died has done half of it */
		return err_sys(e, errno, "the guest's socket %s cannot get its name back; it is at %s", to, from);
	return unlink(from) ? err_sys(e, errno, "cannot remove %s", from) : 0;
}

static int remove_one(const char *dir, const char *name, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);

	return is_socket(path) && unlink(path) ? err_sys(e, errno, "cannot remove %s", path) : 0;
}

/* Every name in it, and then the directory. */
static int empty(const char *dir, int (*one)(const char *dir, const char *name, struct err *e), struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *x;
	struct err why;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot open %s", dir);
	while ((x = readdir(d)))
		if (strcmp(x->d_name, ".") && strcmp(x->d_name, "..") && one(dir, x->d_name, &why) && !r) {
			*e = why;
			r = -why.code;
		}
	closedir(d);
	return !r && rmdir(dir) ? err_sys(e, errno, "cannot remove %s", dir) : r;
}

int monitors_show(const char *dir, struct err *e)
{
	return empty(dir, show_one, e);
}

int monitors_remove(const char *dir, struct err *e)
{
	return empty(dir, remove_one, e);
}

/* ---- TCP ports ---- */

static int occupy(struct move *m, const char *address, struct err *e)
{
	bool brackets = *address == '[';
	const char *colon = strrchr(address, ':');
	AUTO_FREE char *host = NULL;
	int fd, r;

	if (!colon || colon - address < 2 * brackets)
		return err_set(e, EPROTO, "QEMU says that a monitor of its listens on '%s'", address);
	host = strndup(address + brackets, (size_t)(colon - address) - 2 * brackets);
	r = net_connect(*host ? host : "127.0.0.1", colon + 1, true, CONNECT_MS, &fd, e);
	if (r)
		return r;
	if (m->occupied_count == ARRAY_LEN(m->occupied)) {
		close(fd);
		return err_set(e, E2BIG, "more than %zu monitors on TCP ports", ARRAY_LEN(m->occupied));
	}
	m->occupied[m->occupied_count++] = fd;
	return 0;
}

void monitors_let_go(struct move *m)
{
	while (m->occupied_count)
		close(m->occupied[--m->occupied_count]);
}

static bool ends_with_our_port(const struct move *m, const char *peer)
{
	const char *colon = strrchr(peer, ':');
	unsigned i;

	for (i = 0; i < m->occupied_count && colon; i++)
		if (net_local_port(m->occupied[i]) == atoi(colon + 1))
			return true;
	return false;
}

static int occupy_ports(struct move *m, const json_t *chardevs, struct err *e)
{
	struct chardev_socket s;
	json_t *one;
	size_t i;
	int r = 0;

	json_array_foreach((json_t *)chardevs, i, one) {
		const char *label = json_text(one, "label"), *filename = json_text(one, "filename");

		if (!r && label && filename && is_monitor(m, label) && monitors_parse(filename, &s) && !s.is_unix)
			r = occupy(m, s.address, e);
	}
	return r;
}

/* ---- all of it ---- */

/* Somebody may have been quicker. */
static int check_alone(struct move *m, const json_t *chardevs, struct err *e)
{
	struct chardev_socket s;
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)chardevs, i, one) {
		const char *label = json_text(one, "label"), *filename = json_text(one, "filename");

		if (!label || !filename || !is_monitor(m, label) || !monitors_parse(filename, &s) || !strcmp(s.address, m->qmp_path))
			continue;
		if (s.is_unix ? s.connected : !ends_with_our_port(m, s.peer))
			return err_set(e, EBUSY, "somebody else is connected to the monitor %s of the QEMU that waits for the guest, and might start "
				       "it too early; end that connection, then move again", s.address);
	}
	return 0;
}

static int checked(struct move *m, struct err *e)
{
	json_t *chardevs;
	int r = query(m, &chardevs, e);

	if (r)
		return r;
	r = check_alone(m, chardevs, e);
	json_decref(chardevs);
	return r;
}

int monitors_hide(struct move *m, struct err *e)
{
	json_t *chardevs;
	int r = query(m, &chardevs, e);

	if (r)
		return r;
	r = hide_sockets(m, chardevs, e);
	if (!r)
		r = occupy_ports(m, chardevs, e);
	json_decref(chardevs);
	if (!r)
		r = checked(m, e);
	return r ? r : qmp_call(m->qmp, "stop", NULL, NULL, e);
}
