/* qemu-args-read.c: what a QEMU command line says, without changing it; see qemu-args.h. */
#include "qemu-args.h"
#include "qemu-opts.h"
#include "util.h"

#include <string.h>

bool qemu_args_has(char *const *argv, size_t argc, const char *option)
{
	struct qemu_opt opt;
	size_t i = 1;

	while (qemu_opt_next(argv, argc, &i, &opt))
		if (!strcmp(opt.name, option))
			return true;
	return false;
}

char *qemu_args_name(char *const *argv, size_t argc)
{
	struct qemu_opt opt;
	size_t i = 1;
	char *name = NULL;

	while (qemu_opt_next(argv, argc, &i, &opt)) {
		struct kv_list l;
		const char *guest;

		if (strcmp(opt.name, "name") || !opt.value)
			continue;
		kv_parse(&l, opt.value);
		guest = kv_get(&l, "guest", "guest");
		if (guest)
			kv_replace(&name, xstrdup(guest));
		kv_fini(&l);
	}
	return name;
}

struct strings {
	char **v;
	size_t n;
};

static void add_string(struct strings *s, const char *text)
{
	s->v = xrealloc(s->v, (s->n + 1) * sizeof(*s->v));
	s->v[s->n++] = xstrdup(text);
}

/* The path of -chardev socket,id=ID,path=… if it listens. */
static void add_chardev_path(struct strings *s, char *const *argv, size_t argc, const char *id)
{
	struct qemu_opt opt;
	size_t i = 1;

	while (id && qemu_opt_next(argv, argc, &i, &opt)) {
		const char *found, *backend, *path;
		struct kv_list l;

		if (strcmp(opt.name, "chardev") || !opt.value)
			continue;
		kv_parse(&l, opt.value);
		found = kv_get(&l, "id", NULL);
		backend = kv_get(&l, "backend", "backend");
		path = kv_get(&l, "path", NULL);
		if (found && !strcmp(found, id) && backend && !strcmp(backend, "socket") && path &&
		    kv_flag(&l, "server", false))
			add_string(s, path);
		kv_fini(&l);
	}
}

static void add_compat_path(struct strings *s, char *const *argv, size_t argc, const char *dev)
{
	struct kv_list l;
	const char *path;

	if (!strncmp(dev, "chardev:", 8)) {
		add_chardev_path(s, argv, argc, dev + 8);
		return;
	}
	if (strncmp(dev, "unix:", 5))
		return;
	kv_parse(&l, dev + 5);
	path = kv_get(&l, "path", "path");
	if (path && kv_flag(&l, "server", false))
		add_string(s, path);
	kv_fini(&l);
}

size_t qemu_args_qmp_paths(char *const *argv, size_t argc, char ***out)
{
	struct strings s = {.n = 0};
	struct qemu_opt opt;
	size_t i = 1;

	while (qemu_opt_next(argv, argc, &i, &opt)) {
		struct kv_list l;
		const char *mode;

		if (!opt.value)
			continue;
		if (!strcmp(opt.name, "qmp") || !strcmp(opt.name, "qmp-pretty"))
			add_compat_path(&s, argv, argc, opt.value);
		if (strcmp(opt.name, "mon"))
			continue;
		kv_parse(&l, opt.value);
		mode = kv_get(&l, "mode", NULL);
		if (mode && !strcmp(mode, "control"))
			add_chardev_path(&s, argv, argc, kv_get(&l, "chardev", "chardev"));
		kv_fini(&l);
	}
	*out = s.v;
	return s.n;
}

size_t qemu_args_config_paths(char *const *argv, size_t argc, char ***out)
{
	struct strings s = {.n = 0};
	struct qemu_opt opt;
	size_t i = 1;

	while (s.n < ARGS_CONFIG_COUNT && qemu_opt_next(argv, argc, &i, &opt))
		if (opt.value && !strcmp(opt.name, "readconfig"))
			add_string(&s, opt.value);
	*out = s.v;
	return s.n;
}
