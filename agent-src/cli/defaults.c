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

static char *without_blanks(char *line)
{
	static const char blanks[] = " \t\r";
	size_t n;

	line += strspn(line, blanks);
	for (n = strlen(line); n && strchr(blanks, line[n - 1]); n--)
		;
	line[n] = '\0';
	return line;
}

static int take_line(struct defaults *d, char *line, const struct option_table *tables, struct err *e)
{
	char *value = line + strcspn(line, " \t");
	const struct command_option *option;

	if (*value)
		*value++ = '\0';
	value = without_blanks(value);
	option = option_find(tables, line);
	if (!option)
		return err_set(e, EINVAL, "there is no option --%s", line);
	if (option->argument && !option_may_have_value(option) && !*value)
		return err_set(e, EINVAL, "%s needs a value", line);
	if (!option->argument && *value)
		return err_set(e, EINVAL, "%s has no value", line);
	add(d, *value ? xasprintf("--%s=%s", line, value) : xasprintf("--%s", line));
	return 0;
}

int defaults_parse(struct defaults *d, char *text, const char *name, const char *dest, const struct option_table *tables, struct err *e)
{
	bool is_for_dest = true;
	unsigned number = 0;
	char *line;
	int r = 0;

	while (!r && (line = strsep(&text, "\n"))) {
		number++;
		line = without_blanks(line);
		if (!*line || *line == '#')
			continue;
		if (*line != '[') {
			struct defaults elsewhere = {.words = NULL};

			r = take_line(is_for_dest ? d : &elsewhere, line, tables, e);
			defaults_fini(&elsewhere);
		} else if (line[strlen(line) - 1] != ']') {
			r = err_set(e, EINVAL, "a section is [DESTINATION]");
		} else {
			line[strlen(line) - 1] = '\0';
			is_for_dest = !strcmp(without_blanks(line + 1), dest);
		}
	}
	return r ? err_prefix(e, "%s, line %u", name, number) : 0;
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
	int i;

	for (i = 0; i < d->count; i++)
		free(d->words[i]);
	free(d->words);
	*d = (struct defaults){.words = NULL};
}
