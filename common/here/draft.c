/* draft.c: see draft.h. */
#include "draft.h"
#include "durable-file.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int draft_write(const char *draft, const void *p, size_t n, mode_t mode, struct err *e)
{
	AUTO_CLOSE int fd = open(draft, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? -errno : pwrite_all(fd, p, n, 0);

	if (!r && (fchmod(fd, mode) || fsync(fd)))
		r = -errno;
	return r ? err_sys(e, -r, "cannot write %s", draft) : 0;
}

int draft_publish(const char *draft, const char *path, struct err *e)
{
	int r = rename_new(draft, path);

	return r ? err_sys(e, -r, "cannot give %s its name", path) : 0;
}
