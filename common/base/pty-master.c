/* pty-master.c: see pty-master.h. */
#include "pty-master.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#define PTS_MAJOR     136 /* UNIX98_PTY_SLAVE_MAJOR, and seven more (Documentation/admin-guide/devices.txt) */
#define PTS_MAJORS    8
#define PTS_PER_MAJOR 256
#define MANY	      64

/* The number of the pseudo-terminal whose master this descriptor is; false: it is none. */
static bool number_of(pid_t pid, const char *fd, unsigned *number)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/fdinfo/%s", (int)pid, fd);
	FILE *f = fopen(path, "re");
	char line[128];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "tty-index: %u", number) == 1;
	if (f)
		fclose(f);
	return found;
}

size_t pty_masters_of(pid_t pid, unsigned *numbers, size_t most)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/fdinfo", (int)pid);
	DIR *d = opendir(path);
	struct dirent *x;
	unsigned number;
	size_t n = 0;

	while (d && (x = readdir(d)))
		if (number_of(pid, x->d_name, &number)) {
			if (n < most)
				numbers[n] = number;
			n++;
		}
	if (d)
		closedir(d);
	return n;
}

static bool number_of_device(const struct stat *st, unsigned *number)
{
	unsigned of = major(st->st_rdev) - PTS_MAJOR;

	*number = of * PTS_PER_MAJOR + minor(st->st_rdev);
	return S_ISCHR(st->st_mode) && of < PTS_MAJORS;
}

bool pty_is_of(pid_t pid, const char *path)
{
	unsigned numbers[MANY], number;
	size_t n = MIN(pty_masters_of(pid, numbers, MANY), (size_t)MANY), i;
	struct stat st;

	if (stat(path, &st) || !number_of_device(&st, &number))
		return false;
	for (i = 0; i < n && numbers[i] != number; i++)
		;
	return i < n;
}

int pty_open(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct termios t;

	if (fd < 0)
		return -errno;
	if (tcgetattr(fd, &t)) {
		close(fd);
		return -ENOTTY;
	}
	cfmakeraw(&t);
	tcsetattr(fd, TCSANOW, &t);
	tcflush(fd, TCIFLUSH);
	return fd;
}
