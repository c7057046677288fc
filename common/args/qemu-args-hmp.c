/* qemu-args-hmp.c: see qemu-args-hmp.h. */
#include "qemu-args-hmp.h"
#include "qemu-args.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "util.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

struct line {
	char *const *argv;
	size_t argc;
	struct args_hmp *list;
	size_t n;
};

static const char *const devices[] = {"serial", "parallel", "debugcon", "virtioconsole", NULL};

static bool is_device(const char *option)
{

	return word_index(devices, option) >= 0;
}

/* QEMU's escape character: Ctrl-A unless -echr sets another. */
static char escape_of(const struct line *l)
{
	struct qemu_opt opt;
	size_t i = 1;
	long key = 1;

	while (qemu_opt_next(l->argv, l->argc, &i, &opt))
		if (!strcmp(opt.name, "echr") && opt.value)
			key = strtol(opt.value, NULL, 0);
	return key > 0 && key < 128 ? (char)key : 0;
}

/* ---- where a character device is ---- */

/* The reason why nobody can connect to a socket of these options; NULL: somebody can. */
static const char *socket_is_closed(const struct kv_list *l)
{
	if (!kv_flag(l, "server", false))
		return "QEMU itself connects to another program";
	if (kv_get(l, "tls-creds", NULL) || kv_flag(l, "websocket", false) || kv_flag(l, "tn3270", false) || kv_flag(l, "abstract", false))
		return "vmferry speaks neither TLS nor WebSocket to a monitor, and looks for no abstract socket";
	return NULL;
}

static void nowhere(struct args_hmp *h, const char *why)
{
	h->kind = HMP_NOWHERE;
	h->why = why;
}

static void at_port(struct args_hmp *h, const char *port)
{
	if (!text_is_digits(port)) {
		nowhere(h, "its TCP port is not said by its number");
		return;
	}
	h->kind = HMP_TCP;
	h->at = xstrdup(port);
}

/* Fills in where a -chardev of this kind is reached. */
static void at_backend(struct args_hmp *h, const char *backend, const struct kv_list *l)
{
	const char *path = kv_get(l, "path", NULL), *closed;

	if (!strcmp(backend, "pty")) {
		h->kind = HMP_PTY;
		h->at = xstrdup(path);
		return;
	}
	closed = strcmp(backend, "socket") ? "no client can connect to it" : socket_is_closed(l);
	h->telnet = kv_flag(l, "telnet", false);
	if (closed) {
		nowhere(h, closed);
	} else if (path) {
		h->kind = HMP_UNIX;
		h->at = xstrdup(path);
	} else {
		at_port(h, kv_get(l, "port", NULL));
	}
}

/* The id of the character device that an option names, by its own member or as "chardev:ID". */
static bool names_chardev(const struct qemu_opt *opt, const char *id)
{
	struct props p;
	const char *named;
	bool yes;

	if (!opt->value || !strcmp(opt->name, "chardev"))
		return false;
	if (text_starts_with(opt->value, "chardev:"))
		return !strcmp(opt->value + strlen("chardev:"), id);
	props_parse(&p, opt->value);
	named = kv_get(&p.l, "chardev", strcmp(opt->name, "mon") ? NULL : "chardev");
	yes = named && !strcmp(named, id);
	props_fini(&p);
	return yes;
}

static unsigned count_users(const struct line *l, const char *id)
{
	struct qemu_opt opt;
	unsigned n = 0;
	size_t i = 1;

	while (qemu_opt_next(l->argv, l->argc, &i, &opt))
		n += names_chardev(&opt, id);
	return n;
}

static void at_chardev(const struct line *l, struct args_hmp *h, const char *id)
{
	struct qemu_opt opt;
	size_t i = 1;

	nowhere(h, "its character device is not on the command line");
	while (qemu_opt_next(l->argv, l->argc, &i, &opt)) {
		const char *found, *backend;
		struct kv_list kv;

		if (strcmp(opt.name, "chardev") || !opt.value)
			continue;
		kv_parse(&kv, opt.value);
		found = kv_get(&kv, "id", NULL);
		backend = kv_get(&kv, "backend", "backend");
		if (found && backend && !strcmp(found, id)) {
			h->why = NULL;
			free(h->at); /* an earlier one with that id, which QEMU refuses */
			h->at = NULL;
			at_backend(h, backend, &kv);
			h->mux = kv_flag(&kv, "mux", false);
			h->escape = h->mux && count_users(l, id) == 2 ? escape_of(l) : 0;
		}
		kv_fini(&kv);
	}
}

/* A character device as -monitor takes it, and -serial behind mon: */
static void at_device(const struct line *l, struct args_hmp *h, const char *dev)
{
	const char *rest = strchr(dev, ':');
	struct kv_list kv;
	const char *path, *closed;

	if (text_starts_with(dev, "chardev:")) {
		at_chardev(l, h, rest + 1);
		return;
	}
	if (!strcmp(dev, "pty") || text_starts_with(dev, "pty:")) {
		h->kind = HMP_PTY;
		h->at = rest ? xstrdup(rest + 1) : NULL;
		return;
	}
	if (!text_starts_with(dev, "unix:") && !text_starts_with(dev, "tcp:") && !text_starts_with(dev, "telnet:")) {
		nowhere(h, "no client can connect to it");
		return;
	}
	kv_parse(&kv, rest + 1);
	path = kv_get(&kv, "path", "path");
	closed = socket_is_closed(&kv);
	h->telnet = text_starts_with(dev, "telnet:");
	if (closed) {
		nowhere(h, closed);
	} else if (text_starts_with(dev, "unix:")) {
		h->kind = HMP_UNIX;
		h->at = xstrdup(path ?: "");
	} else {
		at_port(h, path && strrchr(path, ':') ? strrchr(path, ':') + 1 : NULL);
	}
	kv_fini(&kv);
}

/* ---- all of the line ---- */

static void args_hmp_fini(struct args_hmp *h)
{
	free(h->at);
	free(h->option);
}

static struct args_hmp *add(struct line *l, const struct qemu_opt *opt)
{
	l->list = xrealloc(l->list, (l->n + 1) * sizeof(*l->list));
	l->list[l->n] = (struct args_hmp){.kind = HMP_NOWHERE, .option = xasprintf("-%s %s", opt->name, opt->value)};
	return &l->list[l->n++];
}

static void look_at(struct line *l, const struct qemu_opt *opt)
{
	struct args_monitor m;
	struct args_hmp *h;

	if (!opt->value)
		return;
	if (!strcmp(opt->name, "monitor") && strcmp(opt->value, "none")) {
		at_device(l, add(l, opt), opt->value);
	} else if (is_device(opt->name) && text_starts_with(opt->value, "mon:")) {
		h = add(l, opt);
		at_device(l, h, opt->value + strlen("mon:"));
		h->mux = true;
		h->escape = escape_of(l);
	} else if (args_monitor_of(&m, opt->name, opt->value)) {
		if (!m.control)
			at_chardev(l, add(l, opt), m.chardev);
		free(m.chardev);
	}
}

size_t qemu_args_hmp(char *const *argv, size_t argc, struct args_hmp **out)
{
	struct line l = {.argv = argv, .argc = argc};
	struct qemu_opt opt;
	size_t i = 1;

	while (qemu_opt_next(argv, argc, &i, &opt))
		look_at(&l, &opt);
	*out = l.list;
	return l.n;
}

/* QMP monitors of -qmp, of -mon with mode=control, and of -object monitor-qmp that QEMU does not remove once we have asked. */
static void look_for_qmp(struct line *l, const struct qemu_opt *opt)
{
	struct args_monitor m;

	if (!opt->value)
		return;
	if (!strcmp(opt->name, "qmp") || !strcmp(opt->name, "qmp-pretty"))
		at_device(l, add(l, opt), opt->value);
	if (!args_monitor_of(&m, opt->name, opt->value))
		return;
	if (m.control && !m.ends)
		at_chardev(l, add(l, opt), m.chardev);
	free(m.chardev);
}

size_t qemu_args_qmp_ptys(char *const *argv, size_t argc, struct args_hmp **out)
{
	struct line l = {.argv = argv, .argc = argc};
	struct qemu_opt opt;
	size_t i = 1, n = 0, k;

	while (qemu_opt_next(argv, argc, &i, &opt))
		look_for_qmp(&l, &opt);
	for (k = 0; k < l.n; k++)
		if (l.list[k].kind == HMP_PTY && !l.list[k].mux)
			l.list[n++] = l.list[k];
		else
			args_hmp_fini(&l.list[k]);
	*out = l.list;
	return n;
}

void args_hmp_free(struct args_hmp *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		args_hmp_fini(&list[i]);
	free(list);
}

size_t qemu_args_ptys(char *const *argv, size_t argc)
{
	struct qemu_opt opt;
	size_t i = 1, n = 0;

	while (qemu_opt_next(argv, argc, &i, &opt)) {
		const char *dev = opt.value && text_starts_with(opt.value, "mon:") ? opt.value + strlen("mon:") : opt.value;
		bool of_device = is_device(opt.name) || !strcmp(opt.name, "monitor") || !strcmp(opt.name, "qmp") ||
				 !strcmp(opt.name, "qmp-pretty") || !strcmp(opt.name, "gdb");

		if (dev && ((of_device && (!strcmp(dev, "pty") || text_starts_with(dev, "pty:"))) ||
			    (!strcmp(opt.name, "chardev") &&
			     (!strcmp(dev, "pty") || text_starts_with(dev, "pty,") || strstr(dev, "backend=pty")))))
			n++;
	}
	return n;
}
