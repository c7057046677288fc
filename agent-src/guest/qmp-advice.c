/* qmp-advice.c: see qmp-advice.h. */
#include "qmp-advice.h"
#include "qemu-args.h"
#include "qemu-opts.h"
#include "shell-quote.h"
#include "util.h"

#include <string.h>

static bool has_any(char *const *argv, size_t argc, const char *const *options, size_t count)
{
	size_t i;

	for (i = 0; i < count && !qemu_args_has(argv, argc, options[i]); i++)
		;
	return i < count;
}

/* A monitor may be named by -mon, or be an object. */
static bool has_monitor(char *const *argv, size_t argc)
{
	struct args_monitor m;
	struct qemu_opt opt;
	bool yes = false;
	size_t i = 1;

	while (!yes && qemu_opt_next(argv, argc, &i, &opt)) {
		yes = args_monitor_of(&m, opt.name, opt.value);
		free(m.chardev);
	}
	return yes;
}

/* Without a monitor on the line QEMU has one on its terminal (mixed with the guest's console, Ctrl-A c) or in its window. */
static const char *keeps_console(char *const *argv, size_t argc)
{
	static const char *const monitors[] = {"monitor", "qmp", "qmp-pretty", "nodefaults"}, *const hidden[] = {"display", "daemonize"};

	if (has_any(argv, argc, monitors, ARRAY_LEN(monitors)) || has_monitor(argv, argc))
		return "";
	if (qemu_args_has(argv, argc, "nographic"))
		return qemu_args_has(argv, argc, "serial") ? "" : " -serial mon:stdio";
	return has_any(argv, argc, hidden, ARRAY_LEN(hidden)) ? "" : " -monitor vc";
}

char *qmp_advice(const char *name, char *const *argv, size_t argc)
{
	AUTO_FREE char *plain = xstrdup(name);
	AUTO_FREE char *path = NULL, *value = NULL, *quoted = NULL;
	struct kv_list l = {.n = 0};
	char *slash;

	while ((slash = strchr(plain, '/')))
		*slash = '-';
	path = xasprintf("unix:/run/%s.qmp", plain);
	kv_append(&l, NULL, path);
	kv_append(&l, "server", "on");
	kv_append(&l, "wait", "off");
	value = kv_print(&l);
	quoted = shell_quote_shown(value);
	kv_fini(&l);
	return xasprintf("-qmp %s%s", quoted, keeps_console(argv, argc));
}
