/*
 * qemu-args-chars.c: the rules of qemu-args.c for character devices and monitors: sockets, logs and host devices in
 * -chardev, and in the short forms that -serial, -monitor, -qmp … take (QEMU's qemu_chr_parse_compat).
 */
#include "qemu-args-rules.h"
#include "util.h"
#include "words.h"

#include <string.h>

#define RUN_DIR_CHARS 12 /* hexadecimal digits of an attempt in the name of its runtime directory at the destination */
#define TWO_READ      "what comes in there is read by one process, or by another"

/* The socket of the guest's TPM: the destination runs a swtpm of its own for it. */
static int rewrite_tpm_socket(struct rewrite *w, struct item *it, struct kv *path)
{
	if (args_check_in_place(w, it, "the swtpm that is its TPM serves one QEMU"))
		return -w->e->code;
	if (args_file(w, it, ARGS_TPM, false, NULL, &path->value))
		args_note(w, "its TPM is emulated by a swtpm, which is started on the destination, too; what it holds goes along");
	return 0;
}

static bool is_of_a_tpm(const struct rewrite *w, const struct item *it)
{
	return !strcmp(it->name, "chardev") && args_find(w, "tpmdev", "chardev", kv_get(&it->p.l, "id", NULL));
}

/* A device whose QEMU does not start before its back end is there, whatever the socket's options say. */
static bool is_of_a_back_end(const struct rewrite *w, const struct kv_list *l)
{
	const char *id = kv_get(l, "id", NULL);
	const struct item *device = args_find(w, "device", "chardev", id);
	const char *driver = device ? kv_get(&device->p.l, "driver", "driver") : NULL;

	return args_find(w, "netdev", "chardev", id) || text_starts_with(driver, "vhost-user");
}

void args_connect(struct rewrite *w, struct item *it, const struct kv_list *l, const char *what, const char *name, char **path)
{
	bool again = args_connects_again(l) && !is_of_a_back_end(w, l);

	args_file(w, it, again ? ARGS_RECONNECT : ARGS_CONNECT, false, what, path);
	args_note(w,
		  again ? "-%s connects to %s: QEMU on the destination, too, retries until a process listens there"
			: "-%s connects to %s: a process must listen there on the destination, too",
		  name, *path);
}

bool args_connects_again(const struct kv_list *l)
{
	const char *s = kv_get(l, "reconnect", NULL) ?: kv_get(l, "reconnect-ms", NULL);

	return s && strcmp(s, "0");
}

/* Rewrites the socket in l; its path is the part with key "path" or, with implied, the first part. */
static int rewrite_socket(struct rewrite *w, struct item *it, struct kv_list *l, bool implied)
{
	AUTO_FREE char *what = xasprintf("-%s socket", it->name);
	struct kv *path = kv_find(l, "path", implied ? "path" : NULL);

	if (kv_get(l, "fd", NULL))
		return args_refuse_descriptor(w, it);
	if (!kv_flag(l, "server", false)) {
		const char *host = kv_get(l, "host", NULL);

		if (path && is_of_a_tpm(w, it))
			return rewrite_tpm_socket(w, it, path);
		if (path) {
			args_connect(w, it, l, what, it->name, &path->value);
		} else if (host) {
			args_note(w, "-%s connects to %s port %s from the destination, too", it->name, host,
				  kv_get(l, "port", NULL) ? kv_get(l, "port", NULL) : "?");
		}
		if (w->o->in_place && !args_connects_again(l))
			args_note(w, "-%s connects while the QEMU that has the guest still does, and not again (there is no reconnect-ms=)",
				  it->name);
		return 0;
	}
	if (path ? args_listen(w, it, what, &path->value) : args_check_in_place(w, it, ARGS_ONE_PORT))
		return -w->e->code;
	/* a listener waits for its first client unless told not to, and QEMU does not start meanwhile */
	if (kv_flag(l, "wait", true)) {
		kv_set_flag(l, "wait", "off");
		args_note(w, "-%s no longer waits for a client before QEMU starts (wait=off)", it->name);
	}
	return 0;
}

static void move_logfile(struct rewrite *w, struct item *it, struct kv_list *l)
{
	struct kv *p = kv_find(l, "logfile", NULL);

	if (!p)
		return;
	args_file(w, it, ARGS_LOG, false, NULL, &p->value);
	if (w->o->in_place)
		kv_set_flag(l, "logappend", "on");
}

static void note_fifo(struct rewrite *w, const char *option, const char *path)
{
	args_note(w, "-%s pipe needs the FIFOs %s.in and %s.out on the destination", option, path, path);
}

static void note_pty(struct rewrite *w, const struct item *it)
{
	args_note(w, "-%s gets another pseudo-terminal on the destination: query-chardev names it", it->name);
}

void args_note_stdio(struct rewrite *w)
{
	args_note(w, "QEMU's standard output has no reader on the destination: what the guest writes there is lost");
}

/* "localaddr", or "local" of the JSON form. */
static bool has_local(const struct kv_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].key && text_starts_with(l->v[i].key, "local"))
			return true;
	return false;
}

static int rewrite_backend(struct rewrite *w, struct item *it, const char *backend)
{
	static const char *const host_devices[] = {"serial", "tty", "parallel", "parport"};
	struct kv *path = kv_find(&it->p.l, "path", NULL), *input = kv_find(&it->p.l, "input-path", NULL);

	if (!strcmp(backend, "socket"))
		return rewrite_socket(w, it, &it->p.l, false);
	if (!strcmp(backend, "pty"))
		note_pty(w, it);
	if (!strcmp(backend, "stdio"))
		args_note_stdio(w);
	if (path && (!strcmp(backend, "file") || !strcmp(backend, "pty")))
		args_file(w, it, ARGS_LOG, false, "-chardev file", &path->value);
	if (w->o->in_place && !strcmp(backend, "file"))
		kv_set_flag(&it->p.l, "append", "on");
	if ((!strcmp(backend, "pipe") || args_among(backend, host_devices, ARRAY_LEN(host_devices))) &&
	    args_check_in_place(w, it, TWO_READ))
		return -w->e->code;
	if (!strcmp(backend, "udp") && has_local(&it->p.l) && args_check_in_place(w, it, ARGS_ONE_PORT))
		return -w->e->code;
	if (path && !strcmp(backend, "pipe")) {
		args_file(w, it, ARGS_FIFO, false, "-chardev pipe", &path->value);
		note_fifo(w, it->name, path->value);
	}
	if (path && args_among(backend, host_devices, ARRAY_LEN(host_devices)))
		args_file(w, it, ARGS_HOST_DEVICE, false, NULL, &path->value);
	if (input)
		args_file(w, it, ARGS_DATA, true, NULL, &input->value);
	return 0;
}

int args_on_chardev(struct rewrite *w, struct item *it)
{
	const char *backend = kv_get(&it->p.l, "backend", "backend");
	int r = backend ? rewrite_backend(w, it, backend) : 0;

	move_logfile(w, it, &it->p.l);
	if (r == 0)
		args_emit_item(w, it);
	return r;
}

/* Appends to the file, so that its contents are kept: "file:PATH" cannot express that, so a -chardev takes its place. A monitor on a file
 * ("mon:") would never receive a command, so that part is dropped. */
static int append_to(struct rewrite *w, const struct item *it, const char *path)
{
	AUTO_FREE char *id = NULL, *value = NULL;
	AUTO_KV struct kv_list l = {.n = 0};

	do
		kv_replace(&id, xasprintf("vmferry-file-%zu", w->appended++));
	while (args_find(w, "chardev", "id", id));
	kv_append(&l, NULL, "file");
	kv_append(&l, "id", id);
	kv_append(&l, "path", path);
	kv_append(&l, "append", "on");
	args_emit_list(w, "chardev", &l);
	value = xasprintf("chardev:%s", id);
	args_emit(w, it->name, value);
	return 0;
}

/* "file:PATH", "pipe:PATH", "/dev/ttyS0": the value up to the path, and the path. */
static int on_compat_path(struct rewrite *w, struct item *it, enum args_role role, const char *from)
{
	AUTO_FREE char *what = xasprintf("-%s", it->name);
	char *path = xstrdup(from), *value;

	args_file(w, it, role, false, role == ARGS_HOST_DEVICE ? NULL : what, &path);
	if (role == ARGS_FIFO)
		note_fifo(w, it->name, path);
	if (role == ARGS_LOG && w->o->in_place) {
		append_to(w, it, path);
		free(path);
		return 0;
	}
	value = xasprintf("%.*s%s", (int)(from - it->value), it->value, path);
	args_emit(w, it->name, value);
	free(value);
	free(path);
	return 0;
}

static int on_compat_socket(struct rewrite *w, struct item *it, const char *rest, bool is_unix)
{
	AUTO_KV struct kv_list l;
	int r;

	kv_parse(&l, rest);
	if (!is_unix && l.n && !kv_flag(&l, "server", false))
		args_note(w, "-%s connects to %s from the destination, too", it->name, l.v[0].value);
	r = rewrite_socket(w, it, &l, is_unix);
	move_logfile(w, it, &l);
	if (r == 0) {
		AUTO_FREE char *list = kv_print(&l);
		AUTO_FREE char *value = xasprintf("%.*s%s", (int)(rest - it->value), it->value, list);

		args_emit(w, it->name, value);
	}
	return r;
}

int args_on_chardev_compat(struct rewrite *w, struct item *it)
{
	static const char *const sockets[] = {"unix:", "tcp:", "telnet:", "tn3270:", "websocket:"};
	const char *dev = it->value;
	bool two_read;
	size_t i;

	if (text_starts_with(dev, "mon:"))
		dev += 4;
	two_read = text_starts_with(dev, "pipe:") || text_starts_with(dev, "/dev/");
	if ((two_read || (text_starts_with(dev, "udp:") && strchr(dev, '@')) ||
	     (!strcmp(it->name, "gdb") && text_starts_with(dev, "tcp:"))) &&
	    args_check_in_place(w, it, two_read ? TWO_READ : ARGS_ONE_PORT))
		return -w->e->code;
	if (text_starts_with(dev, "file:"))
		return on_compat_path(w, it, ARGS_LOG, dev + 5);
	if (text_starts_with(dev, "pipe:"))
		return on_compat_path(w, it, ARGS_FIFO, dev + 5);
	if (text_starts_with(dev, "/dev/"))
		return on_compat_path(w, it, ARGS_HOST_DEVICE, dev);
	if (!strcmp(dev, "pty"))
		note_pty(w, it);
	if (!strcmp(dev, "stdio"))
		args_note_stdio(w);
	for (i = 0; i < ARRAY_LEN(sockets) && !text_starts_with(dev, sockets[i]); i++)
		;
	/* QEMU itself adds the options that -gdb needs, except for unix: */
	if (i == ARRAY_LEN(sockets) || (!strcmp(it->name, "gdb") && i)) {
		args_emit(w, it->name, it->value);
		return 0;
	}
	return on_compat_socket(w, it, dev + strlen(sockets[i]), i == 0);
}

/* True for RUNTIME/ATTEMPT/vmferry.qmp: the user may have a socket vmferry.qmp elsewhere. */
static bool is_in_run_dir(const char *path)
{
	const char *end = strrchr(path, '/'), *p = end;

	while (p && p > path && p[-1] != '/')
		p--;
	return p && end - p == RUN_DIR_CHARS && strspn(p, "0123456789abcdef") == RUN_DIR_CHARS;
}

bool args_qmp_is_ours(const char *path)
{
	const char *base = path_base(path);
	size_t n = strlen(base), k = strlen(ARGS_POINT_QMP_END);

	return (is_in_run_dir(path) && !strcmp(base, ARGS_RUN_QMP)) || (n > k && !strcmp(base + n - k, ARGS_POINT_QMP_END));
}

/* The monitor that an earlier move, or a run from a point of a replica, added is not carried along: the new one takes its place. */
int args_on_qmp(struct rewrite *w, struct item *it)
{
	struct kv_list l = {.n = 0};
	const char *path;
	bool ours = false;

	if (text_starts_with(it->value, "unix:") && w->o->private_qmp) {
		kv_parse(&l, it->value + 5);
		path = kv_get(&l, "path", "path");
		ours = path && (args_qmp_is_ours(path) || (is_in_run_dir(path) && !strcmp(path_base(path), path_base(w->o->private_qmp))));
		kv_fini(&l);
	}
	return ours ? 0 : args_on_chardev_compat(w, it);
}
