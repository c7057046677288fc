/* qemu-args-start.c: the line that starts a guest again later, as a person or a script would write it. */
#include "qemu-args.h"
#include "qemu-opts.h"
#include "shell-quote.h"
#include "util.h"

#include <string.h>

static void append(char **text, const char *separator, const char *word)
{
	AUTO_FREE char *q = shell_quote(word);
	char *longer = xasprintf("%s%s%s", *text, separator, q);

	kv_replace(text, longer);
}

static bool only_for_a_move(const struct qemu_opt *opt, const char *private_qmp)
{
	struct kv_list l;
	const char *path;
	bool yes;

	if (!strcmp(opt->name, "S") || !strcmp(opt->name, "incoming"))
		return true;
	if (!private_qmp || !opt->value || strcmp(opt->name, "qmp") || strncmp(opt->value, "unix:", 5))
		return false;
	kv_parse(&l, opt->value + 5);
	path = kv_get(&l, "path", "path");
	yes = path && !strcmp(path, private_qmp);
	kv_fini(&l);
	return yes;
}

char *qemu_args_start_line(char *const *argv, size_t argc, const char *exe, const char *private_qmp)
{
	static const char next[] = " \\\n    ";
	char *text = xstrdup("");
	struct qemu_opt opt;
	size_t i = 1;

	append(&text, "", exe ? exe : argc ? argv[0] : "qemu-system-x86_64");
	while (qemu_opt_next(argv, argc, &i, &opt)) {
		AUTO_FREE char *dashed = xasprintf("-%s", opt.name);

		if (only_for_a_move(&opt, private_qmp))
			continue;
		if (*opt.name)
			append(&text, next, dashed);
		if (opt.value)
			append(&text, *opt.name ? " " : next, opt.value);
	}
	return text;
}
