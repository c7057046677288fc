/* host-settings.c: see host-settings.h. */
#include "host-settings.h"
#include "config-file.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OF_HOST "/etc/vmferry/host"

static int take_number(unsigned *to, const char *value, struct err *e)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (!strcmp(value, "any")) {
		*to = 0;
		return 0;
	}
	if (*value < '0' || *value > '9' || *end || !n || n > HOST_AT_ONCE_MAX)
		return err_set(e, EINVAL, "'%s' is not a number from 1 to %d, or any", value, HOST_AT_ONCE_MAX);
	*to = (unsigned)n;
	return 0;
}

static int take_in(struct host_settings *s, char *value, struct err *e)
{
	return take_number(&s->in, value, e);
}

static int take_out(struct host_settings *s, char *value, struct err *e)
{
	return take_number(&s->out, value, e);
}

static int take_disk_dir(struct host_settings *s, char *value, struct err *e)
{
	if (*value != '/')
		return err_set(e, EINVAL, "'%s' is not the absolute path of a directory", value);
	if (s->disk_dir_count == HOST_LINES_MAX)
		return err_set(e, E2BIG, "there are more than %d directories", HOST_LINES_MAX);
	s->disk_dirs[s->disk_dir_count++] = xstrdup(value);
	return 0;
}

static int take_net(struct host_settings *s, char *value, struct err *e)
{
	char *label = config_rest(value);

	if (!*label || *config_rest(label))
		return err_set(e, EINVAL, "net needs a bridge and its label: net br0 lan");
	if (s->net_count == HOST_LINES_MAX)
		return err_set(e, E2BIG, "there are more than %d bridges", HOST_LINES_MAX);
	s->nets[s->net_count++] = (struct host_net){xstrdup(value), xstrdup(label)};
	return 0;
}

static int take_keep_memory(struct host_settings *s, char *value, struct err *e)
{
	return parse_bytes(value, &s->keep_memory) ? err_set(e, EINVAL, "'%s' is not a size such as 2G", value) : 0;
}

static const struct {
	const char *word;
	int (*take)(struct host_settings *s, char *value, struct err *e);
} kinds[] = {
	{"in", take_in}, {"out", take_out}, {"disk-dir", take_disk_dir}, {"net", take_net}, {"keep-memory", take_keep_memory},
};

static int take_line(void *ctx, char *line, struct err *e)
{
	char *value = config_rest(line);
	__auto_type kind = ROW_OF(kinds, word, line);

	if (kind)
		return kind->take(ctx, value, e);
	return err_set(e, EINVAL, "'%s' is not known: in, out, disk-dir, net and keep-memory are", line);
}

int host_settings_parse(struct host_settings *s, char *text, const char *name, struct err *e)
{
	int r = config_file_lines(text, name, take_line, s, e);

	if (r)
		host_settings_fini(s);
	return r;
}

int host_settings_read(struct host_settings *s, struct err *e)
{
	const char *named = getenv("VMFERRY_HOST"), *path = named ?: OF_HOST;
	AUTO_FREE char *text = NULL;
	int r = *path ? config_file_read(path, &text, e) : 0;

	*s = (struct host_settings){.in = HOST_AT_ONCE, .out = HOST_AT_ONCE};
	return r || !text ? r : host_settings_parse(s, text, path, e);
}

json_t *host_settings_labels(void)
{
	struct host_settings s;
	struct err ignored;
	json_t *labels = NULL;

	if (host_settings_read(&s, &ignored))
		return NULL;
	if (s.net_count)
		labels = json_object();
	for (size_t i = 0; i < s.net_count; i++)
		json_object_set_new(labels, s.nets[i].bridge, json_string(s.nets[i].label));
	host_settings_fini(&s);
	return labels;
}

void host_settings_fini(struct host_settings *s)
{
	while (s->disk_dir_count)
		free(s->disk_dirs[--s->disk_dir_count]);
	while (s->net_count) {
		s->net_count--;
		free(s->nets[s->net_count].bridge);
		free(s->nets[s->net_count].label);
	}
}
