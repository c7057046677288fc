/* config-file.c: see config-file.h. */
#include "config-file.h"
#include "open-regular.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES_MAX (64 * KIB)

static int check_owner(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_sys(e, errno, "cannot look at %s", path);
	if ((st.st_uid && st.st_uid != geteuid()) || st.st_mode & 022)
		return err_set(e, EPERM, "%s must be writable by you alone (chown, chmod go-w), as it says what vmferry does", path);
	return 0;
}

int config_file_read(const char *path, char **text, struct err *e)
{
	AUTO_CLOSE int fd = open_regular(path);
	char *all;
	size_t n;
	int r;

	*text = NULL;
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return err_sys(e, -fd, "cannot read %s", path);
	r = check_owner(fd, path, e);
	if (r)
		return r;
	r = read_regular(fd, BYTES_MAX, &all, &n);
	if (r == -EFBIG)
		return err_set(e, EFBIG, "%s is longer than 64 KiB", path);
	if (r)
		return err_sys(e, -r, "cannot read %s", path);
	if (strlen(all) == n && text_is_utf8(all)) {
		*text = all;
		return 0;
	}
	free(all);
	return err_set(e, EILSEQ, "%s is not UTF-8 text", path);
}

static const char blanks[] = " \t\r";

char *config_trim(char *text)
{
	size_t n;

	text += strspn(text, blanks);
	for (n = strlen(text); n && strchr(blanks, text[n - 1]); n--)
		;
	text[n] = '\0';
	return text;
}

char *config_rest(char *line)
{
	char *rest = line + strcspn(line, blanks);

	if (*rest)
		*rest++ = '\0';
	return config_trim(rest);
}

int config_file_lines(char *text, const char *name, int (*take)(void *ctx, char *line, struct err *e), void *ctx, struct err *e)
{
	unsigned number = 0;
	char *line;
	int r = 0;

	while (!r && (line = strsep(&text, "\n"))) {
		number++;
		line = config_trim(line);
		if (*line && *line != '#')
			r = take(ctx, line, e);
	}
	return r ? err_prefix(e, "%s, line %u", name, number) : 0;
}
