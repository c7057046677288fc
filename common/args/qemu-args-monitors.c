/*
 * qemu-args-monitors.c: refuses monitors that others could use while QEMU waits for its guest at the destination.
 *
 * A client that reaches a monitor there can start the guest while it still runs at the source. vmferry-dst hides unix sockets and occupies
 * TCP ports (agent-dst/parts/monitors.c). Monitors that nobody else reaches may stay: standard input is /dev/null, and a pseudo-terminal is
 * open to QEMU's user and root only, as a hidden socket is (devpts makes it 0600, or 0620 of group tty, which is for programs that write
 * to terminals where people are logged in). A debugger's port counts as a monitor, and so may a character device that several share (mux).
 */
#include "qemu-args-rules.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool args_chardev_is_private(const char *kind)
{
	static const char *const kinds[] = {"null", "none", "file", "stdio", "pty", "vc", "ringbuf", "memory"};

	return args_among(kind, kinds, ARRAY_LEN(kinds));
}

static bool has_vnc(const struct rewrite *w)
{
	for (size_t i = 0; i < w->item_count; i++) {
		const struct item *it = &w->items[i];

		if (it->value && ((!strcmp(it->name, "vnc") && strcmp(it->value, "none")) ||
				  (!strcmp(it->name, "display") && text_starts_with(it->value, "vnc="))))
			return true;
	}
	return false;
}

/* The way by which others reach the device, or NULL. */
static const char *way_in(const struct rewrite *w, const struct item *it, const char *kind, const struct kv_list *l)
{
	static const char *const sockets[] = {"socket", "unix", "tcp", "telnet", "tn3270", "websocket"};

	if (args_among(kind, sockets, ARRAY_LEN(sockets))) {
		if (!kv_flag(l, "server", false) && (strcmp(it->name, "gdb") || strcmp(kind, "tcp"))) /* QEMU adds that */
			return "QEMU itself connects to another program";
		if (kv_flag(l, "abstract", false))
			return "an abstract socket cannot be taken away from them";
		return kv_get(l, "tls-creds", NULL) ? "a socket with TLS cannot be occupied without a certificate" : NULL;
	}
	if (!strcmp(kind, "vc") && has_vnc(w))
		return "it is in the VNC display";
	if (!strcmp(kind, "file") && kv_get(l, "input-path", NULL))
		return "it reads from a file";
	return args_chardev_is_private(kind) ? NULL : "this kind can neither be taken away from them nor occupied";
}

static int check(const struct rewrite *w, const struct item *it, const char *kind, const struct kv_list *l)
{
	const char *way = way_in(w, it, kind, l);

	if (way && w->o->at_rest)
		return err_set(w->e, EINVAL, "-%s %s: %s", it->name, it->value, way);
	return way ? err_set(w->e, EINVAL,
			     "through -%s %s others could start the guest at the destination before it is handed over, as %s: "
			     "start it with this monitor on a unix socket (unix:PATH,server=on,wait=off) or a TCP port of its own, or without it",
			     it->name, it->value, way)
		   : 0;
}

static int check_chardev(const struct rewrite *w, const struct item *it)
{
	const char *kind = it ? kv_get(&it->p.l, "backend", "backend") : NULL;

	return kind ? check(w, it, kind, &it->p.l) : 0;
}

/* Checks the character device that a monitor is on. QEMU itself gives those of -serial the ids "serial0" and so on, which their options do
 * not show. */
static int check_called(const struct rewrite *w, const struct item *it, const char *id)
{
	const struct item *chardev = args_find(w, "chardev", "id", id);

	if (!chardev && w->o->at_rest)
		return err_set(w->e, EINVAL, "-%s %s: no -chardev says where that is", it->name, it->value);
	return check_chardev(w, chardev);
}

/* Checks a device as -monitor takes it. */
static int check_compat(const struct rewrite *w, const struct item *it)
{
	const char *dev = it->value + (text_starts_with(it->value, "mon:") ? strlen("mon:") : 0), *rest = dev + strcspn(dev, ":");
	AUTO_FREE char *kind = xstrndup(dev, (size_t)(rest - dev));
	struct kv_list l;
	int r;

	if (!strcmp(kind, "chardev"))
		return check_called(w, it, rest + !!*rest);
	kv_parse(&l, rest + !!*rest);
	r = check(w, it, kind, &l);
	kv_fini(&l);
	return r;
}

/* A monitor may be named by -mon, or be an object. */
static int check_named(const struct rewrite *w, const struct args_monitor *m, const struct item *it)
{
	const struct item *chardev = args_find(w, "chardev", "id", m->chardev);
	const char *kind = chardev ? kv_get(&chardev->p.l, "backend", "backend") : NULL;

	if (m->ends && !w->o->at_rest && kind && !strcmp(kind, "socket") && !kv_get(&chardev->p.l, "path", NULL))
		return err_set(
			w->e, EINVAL,
			"the monitor -%s %s would be gone when the guest is at the destination: until then vmferry is its client, and "
			"QEMU removes it when that leaves (close-action=delete); give it a unix socket, or leave that out",
			it->name, it->value);
	return check_called(w, it, m->chardev);
}

int args_check_monitors(const struct rewrite *w)
{
	static const char *const monitors[] = {"monitor", "qmp", "qmp-pretty", "gdb"}, *const others[] = {"serial", "parallel", "debugcon",
													  "virtioconsole"};
	int r = 0;

	for (size_t i = 0; i < w->item_count && !r; i++) {
		const struct item *it = &w->items[i];
		struct args_monitor m = {.chardev = NULL};

		if (!it->value)
			continue;
		if (args_among(it->name, monitors, ARRAY_LEN(monitors)) ||
		    (args_among(it->name, others, ARRAY_LEN(others)) && text_starts_with(it->value, "mon:")))
			r = check_compat(w, it);
		else if (!strcmp(it->name, "chardev") && kv_flag(&it->p.l, "mux", false))
			r = check_chardev(w, it);
		else if (args_monitor_of(&m, it->name, it->value))
			r = check_named(w, &m, it);
		free(m.chardev);
	}
	return r;
}
