/* open-regular.c: see open-regular.h. */
#include "open-regular.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

int open_regular(const char *path)
{
	AUTO_CLOSE int name = open(path, O_PATH | O_CLOEXEC); /* the file itself without its contents: no driver notices */
	char self[32];
	struct stat st;
	int fd;

	if (name < 0 || fstat(name, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", name);
	fd = open(self, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int read_regular(int fd, size_t max, char **text, size_t *bytes)
{
	struct stat st;
	char *all;
	size_t n = 0;
	ssize_t r = 1;

	if (fstat(fd, &st))
		return -errno;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	all = xmalloc((size_t)st.st_size + 1);
	while (n < (size_t)st.st_size && r) {
		r = pread(fd, all + n, (size_t)st.st_size - n, (off_t)n);
		if (r < 0 && errno != EINTR) {
			r = -errno;
			free(all);
			return (int)r;
		}
		n += r > 0 ? (size_t)r : 0;
	}
	all[n] = '\0';
	*text = all;
	*bytes = n;
	return 0;
}
