/* host-limits.c: see host-limits.h. */
#include "host-limits.h"
#include "open-regular.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BYTES_MAX (64 * KIB)
#define OF_HOST	  "/etc/vmferry/host"

static int take_number(unsigned *to, const char *value, struct err *e)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (!strcmp(value, "any")) {
		*to = 0;
		return 0;
	}
	if (*value < '0' || *value > '9' || *end || !n || n > HOST_LIMITS_MAX)
		return err_set(e, EINVAL, "'%s' is not a number from 1 to %d, or any", value, HOST_LIMITS_MAX);
	*to = (unsigned)n;
	return 0;
}

static int take_line(struct host_limits *l, char *line, struct err *e)
{
	static const char blanks[] = " \t\r";
	char *rest = line, *word = strsep(&rest, blanks), *value = rest ? rest + strspn(rest, blanks) : line + strlen(line);
	size_t n;

	for (n = strlen(value); n && strchr(blanks, value[n - 1]); n--)
		value[n - 1] = '\0';
	if (!strcmp(word, "in"))
		return take_number(&l->in, value, e);
	if (!strcmp(word, "out"))
		return take_number(&l->out, value, e);
	return err_set(e, EINVAL, "'%s' is not known: in and out are", word);
}

int host_limits_parse(struct host_limits *l, char *text, const char *name, struct err *e)
{
	unsigned number = 0;
	char *line;
	int r = 0;

	while (!r && (line = strsep(&text, "\n"))) {
		number++;
		line += strspn(line, " \t\r");
		if (*line && *line != '#')
			r = take_line(l, line, e);
	}
	return r ? err_prefix(e, "%s, line %u", name, number) : 0;
}

/* It decides how busy this host becomes. */
static int check_file(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_sys(e, errno, "cannot look at %s", path);
	if ((st.st_uid && st.st_uid != geteuid()) || st.st_mode & 022)
		return err_set(e, EPERM, "%s must be writable by its owner alone, root or you (chown, chmod go-w)", path);
	return 0;
}

int host_limits_read(struct host_limits *l, struct err *e)
{
	const char *named = getenv("VMFERRY_HOST"), *path = named ?: OF_HOST;
	AUTO_CLOSE int fd = *path ? open_regular(path) : -ENOENT;
	AUTO_FREE char *text = NULL;
	size_t n;
	int r;

	*l = (struct host_limits){.in = HOST_LIMITS_DEFAULT, .out = HOST_LIMITS_DEFAULT};
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return err_sys(e, -fd, "cannot read %s", path);
	r = check_file(fd, path, e);
	if (r)
		return r;
	r = read_regular(fd, BYTES_MAX, &text, &n);
	return r ? err_sys(e, -r, "cannot read %s", path) : host_limits_parse(l, text, path, e);
}
