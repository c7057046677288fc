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

/* Sets two words that keep the console, or none: without a monitor on the line QEMU has one on its terminal (mixed with the guest's
 * console, Ctrl-A c) or in its window. */
static size_t keep_console(char *const *argv, size_t argc, const char *words[2])
{
	static const char *const monitors[] = {"monitor", "qmp", "qmp-pretty", "nodefaults"}, *const hidden[] = {"display", "daemonize",
														 "vnc"};
	bool in_terminal = qemu_args_has(argv, argc, "nographic");

	if (has_any(argv, argc, monitors, ARRAY_LEN(monitors)) || has_monitor(argv, argc) ||
	    (in_terminal ? qemu_args_has(argv, argc, "serial") : has_any(argv, argc, hidden, ARRAY_LEN(hidden))))
		return 0;
	words[0] = in_terminal ? "-serial" : "-monitor";
	words[1] = in_terminal ? "mon:stdio" : "vc";
	return 2;
}

size_t qmp_words(const char *name, char *const *argv, size_t argc, char *out[QMP_WORDS_MAX])
{
	AUTO_FREE char *plain = xstrdup(name);
	AUTO_FREE char *path = NULL;
	const char *console[2];
	struct kv_list l = {.n = 0};
	size_t n = 0, more, i;
	char *slash;

	while ((slash = strchr(plain, '/')))
		*slash = '-';
	path = xasprintf("unix:/run/%s.qmp", plain);
	kv_append(&l, NULL, path);
	kv_append(&l, "server", "on");
	kv_append(&l, "wait", "off");
	out[n++] = xstrdup("-qmp");
	out[n++] = kv_print(&l);
	kv_fini(&l);
	more = keep_console(argv, argc, console);
	for (i = 0; i < more; i++)
		out[n++] = xstrdup(console[i]);
	return n;
}

char *qmp_advice(const char *name, char *const *argv, size_t argc)
{
	char *words[QMP_WORDS_MAX], *text = NULL;
	size_t n = qmp_words(name, argv, argc, words), i;

	for (i = 0; i < n; i++) {
		AUTO_FREE char *before = text, *quoted = i % 2 ? shell_quote_shown(words[i]) : xstrdup(words[i]);

		text = before ? xasprintf("%s %s", before, quoted) : xstrdup(quoted);
		free(words[i]);
	}
	return text;
}
