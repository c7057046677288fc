/* defaults.c: see defaults.h. */
#include "defaults.h"
#include "config-file.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OF_HOST "/etc/vmferry/config"

static void add(struct defaults *d, char *word /* taken */)
{
	d->words = xrealloc(d->words, ((size_t)d->count + 2) * sizeof(*d->words));
	d->words[d->count++] = word;
	d->words[d->count] = NULL;
}

static int take_option(struct defaults *d, char *line, const struct option_table *tables, struct err *e)
{
	char *value = config_rest(line);
	const struct command_option *option = option_find(tables, line);

	if (!option)
		return err_set(e, EINVAL, "there is no option --%s", line);
	if (option->argument && !option_may_have_value(option) && !*value)
		return err_set(e, EINVAL, "%s needs a value", line);
	if (!option->argument && *value)
		return err_set(e, EINVAL, "%s has no value", line);
	add(d, *value ? xasprintf("--%s=%s", line, value) : xasprintf("--%s", line));
	return 0;
}

/* A file that is being read. */
struct reading {
	struct defaults *d;
	const char *dest;
	const struct option_table *tables;
	bool is_for_dest; /* the section is */
};

static int take_line(void *ctx, char *line, struct err *e)
{
	struct reading *r = ctx;
	struct defaults elsewhere = {.words = NULL};
	size_t last = strlen(line) - 1;
	int code;

	if (*line != '[') {
		code = take_option(r->is_for_dest ? r->d : &elsewhere, line, r->tables, e);
		defaults_fini(&elsewhere);
		return code;
	}
	if (line[last] != ']')
		return err_set(e, EINVAL, "a section is [DESTINATION]");
	line[last] = '\0';
	r->is_for_dest = !strcmp(config_trim(line + 1), r->dest);
	return 0;
}

int defaults_parse(struct defaults *d, char *text, const char *name, const char *dest, const struct option_table *tables, struct err *e)
{
	struct reading r = {d, dest, tables, true};

	return config_file_lines(text, name, take_line, &r, e);
}

/* Options can make programs run (--ssh, --qemu). */
static int read_file(struct defaults *d, const char *path, const char *dest, const struct option_table *tables, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int r = config_file_read(path, &text, e);

	return r || !text ? r : defaults_parse(d, text, path, dest, tables, e);
}

int defaults_read(struct defaults *d, const char *dest, const struct option_table *tables, struct err *e)
{
	const char *only = getenv("VMFERRY_CONFIG"), *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	AUTO_FREE char *own = config && *config == '/' ? xasprintf("%s/vmferry/config", config)
			      : home && *home == '/'   ? xasprintf("%s/.config/vmferry/config", home)
						       : NULL;
	int r;

	*d = (struct defaults){.words = NULL};
	if (only)
		r = *only ? read_file(d, only, dest, tables, e) : 0;
	else
		r = read_file(d, OF_HOST, dest, tables, e) ?: own ? read_file(d, own, dest, tables, e) : 0;
	if (r)
		defaults_fini(d);
	return r;
}

void defaults_fini(struct defaults *d)
{
	for (int i = 0; i < d->count; i++)
		free(d->words[i]);
	free(d->words);
	*d = (struct defaults){.words = NULL};
}
