/* token.c: see token.h. */
#include "token.h"
#include "hex.h"
#include "paths.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

void token_new(char out[TOKEN_CHARS + 1])
{
	unsigned char raw[TOKEN_CHARS / 2];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		abort();
	hex_format(raw, sizeof(raw), out);
}

int token_read(const char *path, char out[TOKEN_CHARS + 1], struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return err_sys(e, errno, "cannot read the token in %s", path);
	if (secret_file_check(fd, path, e))
		return -e->code;
	n = read(fd, out, TOKEN_CHARS);
	out[n > 0 ? n : 0] = '\0';
	if (strspn(out, "0123456789abcdef") != TOKEN_CHARS)
		return err_set(e, EINVAL, "%s does not hold a token (%d hex digits)", path, TOKEN_CHARS);
	return 0;
}

static int write_new(const char *path, const char *token, struct err *e)
{
	AUTO_FREE char *temp = xasprintf("%s.%d", path, (int)getpid());
	AUTO_CLOSE int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = 0;

	if (fd < 0 || dprintf(fd, "%s\n", token) < 0 || fsync(fd))
		r = err_sys(e, errno, "cannot write %s", temp);
	/* if another agent was quicker its token counts */
	if (!r && link(temp, path) && errno != EEXIST)
		r = err_sys(e, errno, "cannot create %s", path);
	unlink(temp);
	return r;
}

int token_own(const char *state_dir, char out[TOKEN_CHARS + 1], struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/token", state_dir);
	int r;

	if (access(path, F_OK)) {
		token_new(out);
		r = write_new(path, out, e);
		if (r)
			return r;
	}
	return token_read(path, out, e);
}
