/*
 * monitors.c: until the guest is ours nobody but this agent gives orders to its QEMU.
 *
 * Theory of operation. QEMU makes the guest's own monitors and consoles when it starts, and cannot be told to wait with that.
 * A `cont` there would start the guest beside the source's: at once, or as soon as it is loaded. So as soon as QEMU is up its listening
 * unix sockets are moved into a directory that nobody else may enter (kind "hidden" in the journal), beside each, and back under their
 * names once STARTED is durable (in place, over those of the QEMU that had the guest before: in-place.h). The sockets themselves do not
 * change: QEMU and its command line know them by their names. A monitor on a TCP port takes one client at a time: that is we, and where it
 * wants a WebSocket handshake first we make one, as QEMU does not say before whom it serves. What came in before is undone by `stop`, which
 * takes back an early `cont`. Every monitor must be one of these, or of a kind that leads to nobody but us and root (qemu-args-monitors.c,
 * which also refuses others when a move is planned). A guest that is resumed all the same is ended at once (arriving-move.c), before it was promised
 * or as NOVM.
 */
#include "monitors.h"
#include "durable-file.h"
#include "fault.h"
#include "in-place.h"
#include "json-text.h"
#include "log.h"
#include "net.h"
#include "paths.h"
#include "qemu-opts.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define CONNECT_MS 2000
#define PAUSE_MS   5

/* ---- what query-chardev says ---- */

/* Place in text at which it ends in `end`, or NULL. */
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

	*out = (struct chardev_socket){.connected = !text_starts_with(filename, idle)};
	filename += out->connected ? 0 : strlen(idle);
	out->is_unix = !strncmp(filename, "unix:", 5);
	end = out->is_unix ? suffix(filename, listens) : strstr(filename, listens);
	if (!end)
		return false;
	out->is_websocket = !strncmp(filename, "websocket:", 10);
	if (!out->is_unix && !out->is_websocket && strncmp(filename, "tcp:", 4) && strncmp(filename, "telnet:", 7))
		return false;
	filename = strchr(filename, ':') + 1;
	if (end - filename < 1 || (size_t)(end - filename) >= sizeof(out->address))
		return false;
	snprintf(out->address, sizeof(out->address), "%.*s", (int)(end - filename), filename);
	snprintf(out->peer, sizeof(out->peer), "%s", strstr(end, "<-> ") ? strstr(end, "<-> ") + 4 : "");
	return true;
}

/* -mon CHARDEV or an object with it, or "chardev:LABEL" where a monitor is defined in another way. */
static bool is_named(const struct args_result *line, const char *label)
{
	static const char *const others[] = {"monitor", "qmp", "qmp-pretty", "gdb"};
	struct qemu_opt opt;
	bool yes = false;
	size_t i = 1, k;

	while (!yes && qemu_opt_next(line->argv, line->argc, &i, &opt)) {
		struct args_monitor m;

		if (!opt.value)
			continue;
		if (args_monitor_of(&m, opt.name, opt.value)) {
			yes = !strcmp(m.chardev, label);
			free(m.chardev);
		}
		for (k = 0; k < ARRAY_LEN(others) && !yes; k++)
			yes = !strcmp(opt.name, others[k]) && !strncmp(opt.value, "chardev:", 8) && !strcmp(opt.value + 8, label);
	}
	return yes;
}

/* "LABEL-base" is behind LABEL, a mux (chardev/char.c: qemu_chr_new_from_opts): `mon:` makes one, and others may have a monitor, too. */
static bool is_shared(const json_t *chardevs, const char *label)
{
	size_t n = strlen(label), i;
	json_t *one;

	if (n < 5 || strcmp(label + n - 5, "-base"))
		return false;
	json_array_foreach((json_t *)chardevs, i, one) {
		const char *other = json_text(one, "label"), *filename = json_text(one, "filename");

		if (other && filename && strlen(other) == n - 5 && !strncmp(other, label, n - 5) && !strcmp(filename, "mux"))
			return true;
	}
	return false;
}

/* True if the character device is a monitor's. QEMU itself names those of -monitor, -qmp and -gdb. */
bool monitors_has(const struct args_result *line, const json_t *chardevs, const char *label)
{
	return text_starts_with(label, "compat_monitor") || !strcmp(label, "gdb") || is_shared(chardevs, label) || is_named(line, label);
}

static int query(struct target *t, json_t **out, struct err *e)
{
	return qmp_call(t->qmp, "query-chardev", NULL, out, e);
}

/* ---- unix sockets ---- */

/* The directory that hides files of `dir`, beside it on the same file system. */
static char *hidden_dir(const struct target *t, const char *dir)
{
	char id[2 * ATTEMPT_ID_LEN + 1];

	return xasprintf("%s/" HIDDEN_DIR_PREFIX "%.8s", dir, attempt_id_format(t->part.a->id, id));
}

static int make_hidden_dir(struct target *t, const char *dir, struct err *e)
{
	json_t *detail = json_pack("{s:s,s:b}", "path", dir, "replaces", target_is_in_place(t));
	int r = journal_own(t->part.a->journal, "hidden", detail, e);

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

/* The path at which this socket is hidden, malloc'ed; NULL: it is the agent's own. */
static char *hidden_name(const struct target *t, const char *path)
{
	const char *base = strrchr(path, '/');
	AUTO_FREE char *in = base ? xstrndup(path, (size_t)(base - path)) : NULL;
	AUTO_FREE char *dir = in ? hidden_dir(t, in) : NULL;

	return !in || !strcmp(in, t->run_dir) ? NULL : xasprintf("%s%s", dir, base);
}

/* Moves one socket away. dirs: the hidden directories that were made for others already. */
static int hide_one(struct target *t, json_t *dirs, const char *path, struct err *e)
{
	AUTO_FREE char *to = hidden_name(t, path);
	AUTO_FREE char *dir = to ? xstrndup(to, (size_t)(strrchr(to, '/') - to)) : NULL;
	int r = !to || json_object_get(dirs, dir) ? 0 : make_hidden_dir(t, dir, e);

	if (r || !to)
		return r;
	json_object_set_new(dirs, dir, json_true());
	return rename(path, to) ? err_sys(e, errno, "cannot move %s away until the guest is here", path) : 0;
}

static int hide_sockets(struct target *t, const json_t *chardevs, struct err *e)
{
	json_auto_t *dirs = json_object();
	json_t *one;
	struct chardev_socket s;
	size_t i;
	int r = 0;

	json_array_foreach((json_t *)chardevs, i, one)
		if (!r && json_text(one, "filename") && monitors_parse(json_text(one, "filename"), &s) && s.is_unix && is_socket(s.address))
			r = hide_one(t, dirs, s.address, e);
	return r;
}

/* Hides each file beside the place where it is to be, in the directory for what was set aside there. */
static int hide_in_place(struct target *t, struct err *e)
{
	json_t *dirs = json_object();
	struct stat st;
	int r = 0;

	for (size_t i = 0; i < t->args.file_count && !r; i++) {
		const struct args_file *f = &t->args.files[i];

		if (!in_place_is_taken(f) || lstat(f->to, &st))
			continue;
		r = hide_one(t, dirs, f->to, e);
		if (!r) {
			AUTO_FREE char *hidden = hidden_name(t, f->to);

			in_place_give_rights(t, f->to, hidden);
		}
	}
	json_decref(dirs);
	fault_point("dst-hidden-in-place");
	return r ?: in_place_put_back(t, e);
}

static char *shown_name(const char *dir, const char *name)
{
	return xasprintf("%.*s/%s", (int)(strrchr(dir, '/') - dir), dir, name);
}

/* Gives a socket its name back, but never replaces a file that another process has made there meanwhile. */
static int show_one(const struct target *t, const char *dir, const char *name, struct err *e)
{
	AUTO_FREE char *from = xasprintf("%s/%s", dir, name);
	AUTO_FREE char *to = shown_name(dir, name);

	(void)t;
	if (link(from, to) && errno != ENOENT && !are_one_file(from, to)) /* an agent that died has done half of it */
		return err_sys(e, errno, "the guest's socket %s cannot get its name back; it is at %s", to, from);
	return unlink(from) ? err_sys(e, errno, "cannot remove %s", from) : 0;
}

/* Shows the socket in place of the one of the QEMU that had the guest, and of nothing else. */
static int show_instead(const struct target *t, const char *dir, const char *name, struct err *e)
{
	AUTO_FREE char *from = xasprintf("%s/%s", dir, name);
	AUTO_FREE char *to = shown_name(dir, name);

	if (!in_place_may_replace(t, to))
		return err_set(e, EEXIST, "another program made %s meanwhile; the file of the guest's QEMU is %s", to, from);
	return rename(from, to) ? err_sys(e, errno, "%s of the guest's QEMU cannot get its name; it is %s", to, from) : 0;
}

static int remove_one(const struct target *t, const char *dir, const char *name, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);

	(void)t;
	return unlink(path) && errno != EISDIR ? err_sys(e, errno, "cannot remove %s", path) : 0;
}

typedef int name_fn(const struct target *t, const char *dir, const char *name, struct err *e);

/* Calls `one` for every name in dir, then removes dir. */
static int empty(const struct target *t, const char *dir, name_fn *one, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *x;
	struct err why;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot open %s", dir);
	while ((x = readdir(d)))
		if (strcmp(x->d_name, ".") && strcmp(x->d_name, "..") && one(t, dir, x->d_name, &why) && !r) {
			*e = why;
			r = -why.code;
		}
	closedir(d);
	return !r && rmdir(dir) ? err_sys(e, errno, "cannot remove %s", dir) : r;
}

static bool replaces(const json_t *detail)
{
	return json_is_true(json_object_get(detail, "replaces"));
}

static int show(const struct target *t, const json_t *detail, struct err *e)
{
	return empty(t, json_text(detail, "path") ?: "", replaces(detail) ? show_instead : show_one, e);
}

int monitors_undo(const struct target *t, const json_t *detail, struct err *e)
{
	return t->keep_guest ? show(t, detail, e) : empty(t, json_text(detail, "path") ?: "", remove_one, e);
}

/* ---- TCP ports ---- */

/* RFC 6455, 4.1; "binary" is what QEMU wants to hear (io/channel-websock.c). */
static int upgrade(int fd, struct err *e)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: monitor\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
				      "Sec-WebSocket-Key: dm1mZXJyeS1vY2N1cGllcw==\r\nSec-WebSocket-Version: 13\r\n"
				      "Sec-WebSocket-Protocol: binary\r\n\r\n";

	return send(fd, request, strlen(request), MSG_NOSIGNAL) < 0 ? err_sys(e, errno, "cannot occupy a monitor on a WebSocket") : 0;
}

static int occupy(struct target *t, const struct chardev_socket *s, struct err *e)
{
	const char *address = s->address, *colon = strrchr(address, ':');
	bool brackets = *address == '[';
	AUTO_FREE char *host = NULL;
	int fd, r;

	if (!colon || colon - address < 2 * brackets)
		return err_set(e, EPROTO, "QEMU says that a monitor of its listens on '%s'", address);
	host = xstrndup(address + brackets, (size_t)(colon - address) - 2 * brackets);
	r = net_connect(*host ? host : "127.0.0.1", colon + 1, true, CONNECT_MS, &fd, e);
	if (r)
		return r;
	if (t->occupied_count == ARRAY_LEN(t->occupied)) {
		close(fd);
		return err_set(e, E2BIG, "more than %zu monitors on TCP ports", ARRAY_LEN(t->occupied));
	}
	t->occupied[t->occupied_count++] = fd;
	return s->is_websocket ? upgrade(fd, e) : 0;
}

void monitors_let_go(struct target *t)
{
	while (t->occupied_count)
		close(t->occupied[--t->occupied_count]);
}

static bool ends_with_our_port(const struct target *t, const char *peer)
{
	const char *colon = strrchr(peer, ':');

	for (unsigned i = 0; i < t->occupied_count && colon; i++)
		if (net_local_port(t->occupied[i]) == atoi(colon + 1))
			return true;
	return false;
}

static int occupy_ports(struct target *t, const json_t *chardevs, struct err *e)
{
	struct chardev_socket s;
	json_t *one;
	size_t i;
	int r = 0;

	json_array_foreach((json_t *)chardevs, i, one) {
		const char *label = json_text(one, "label"), *filename = json_text(one, "filename");

		if (!r && label && filename && monitors_has(&t->args, chardevs, label) && monitors_parse(filename, &s) && !s.is_unix)
			r = occupy(t, &s, e);
	}
	return r;
}

/* ---- all of it ---- */

/* "pty:/dev/pts/3", "stdio" */
static bool is_private(const char *filename)
{
	AUTO_FREE char *kind = xstrndup(filename, strcspn(filename, ":"));

	return args_chardev_is_private(kind) || !strcmp(kind, "mux"); /* the chardev behind a mux is looked at itself */
}

static bool is_hidden(const struct target *t, const char *path)
{
	AUTO_FREE char *to = hidden_name(t, path);

	return to && is_socket(to);
}

/* 0: nobody else has this monitor. -EBUSY: somebody was quicker, or (-EAGAIN) QEMU does not say yet that we have it. */
static int check_alone(const struct target *t, const char *label, const char *filename, struct err *e)
{
	struct chardev_socket s;
	bool listens = monitors_parse(filename, &s);

	if (listens && !strcmp(s.address, t->qmp_path))
		return 0;
	if (listens ? s.is_unix && !is_hidden(t, s.address) : !is_private(filename))
		return err_set(e, ENOTSUP,
			       "others can reach the monitor %s (%s) of the QEMU that waits for the guest, and might start it too early; "
			       "start the guest with that monitor on a unix socket, or without it",
			       label, filename);
	if (!listens || (s.is_unix ? !s.connected : ends_with_our_port(t, s.peer)))
		return 0;
	err_set(e, EBUSY,
		"another client is connected to the monitor %s of the QEMU that waits for the guest, and might start it too early; end "
		"that connection, then move again",
		s.address);
	return s.connected ? -EBUSY : -EAGAIN;
}

static int check_all_alone(struct target *t, struct err *e)
{
	json_t *chardevs, *one;
	size_t i;
	int r = query(t, &chardevs, e);

	if (r)
		return r;
	json_array_foreach(chardevs, i, one) {
		const char *label = json_text(one, "label"), *filename = json_text(one, "filename");

		if (!r && label && filename && monitors_has(&t->args, chardevs, label))
			r = check_alone(t, label, filename, e);
	}
	json_decref(chardevs);
	return r;
}

/* QEMU accepts us when it comes to it. */
int monitors_wait_until_alone(struct target *t, struct err *e)
{
	uint64_t until = now_ns() + CONNECT_MS * 1000000ULL;
	struct err step;
	int r;

	while ((r = check_all_alone(t, e)) == -EAGAIN && now_ns() < until)
		if (loop_step(t->part.a->loop, PAUSE_MS, &step) < 0)
			break;
	return r ? -e->code : 0;
}

int monitors_hide(struct target *t, struct err *e)
{
	json_auto_t *chardevs = NULL;
	int r = query(t, &chardevs, e);

	if (r)
		return r;
	r = target_is_in_place(t) ? hide_in_place(t, e) : hide_sockets(t, chardevs, e);
	return r ?: occupy_ports(t, chardevs, e) ?: monitors_wait_until_alone(t, e) ?: qmp_call(t->qmp, "stop", NULL, NULL, e);
}

void monitors_give_back(struct target *t)
{
	json_t *owned, *entry;
	struct err e;
	size_t i;

	monitors_let_go(t);
	if (journal_owned(t->part.a->journal, &owned))
		return;
	json_array_foreach(owned, i, entry) {
		json_t *detail = json_object_get(entry, "detail");

		if (strcmp(json_text(entry, "kind"), "hidden"))
			continue;
		if (show(t, detail, &e) || journal_disown(t->part.a->journal, "hidden", detail, &e))
			log_error("%s", e.msg);
	}
	json_decref(owned);
}
