/* claim.c: see claim.h. */
#include "claim.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The process that has locked the file, as proc_locks(5) has it: "1: FLOCK  ADVISORY  WRITE 12 00:15:34 0 EOF"; 0: that cannot be told. */
static int holder(int file)
{
	FILE *locks = fopen("/proc/locks", "re");
	unsigned major, minor;
	int pid = 0, one;
	char line[256];
	struct stat st;
	ino_t ino;

	while (locks && !fstat(file, &st) && !pid && fgets(line, sizeof(line), locks))
		if (sscanf(line, "%*d: FLOCK ADVISORY WRITE %d %x:%x:%lu", &one, &major, &minor, &ino) == 4 && ino == st.st_ino &&
		    makedev(major, minor) == st.st_dev)
			pid = one;
	if (locks)
		fclose(locks);
	return pid;
}

/* A file of the process itself, wherever whoever looks at it keeps theirs; of those that nobody but its user and root opens, every kernel has this one. */
int guest_claim(pid_t qemu, int *claim, struct err *e)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/personality", (int)qemu);
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;

	*claim = -1;
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH
			       ? 0
			       : err_sys(e, errno,
					 "cannot open %s, so that nobody can tell whether a move of this guest is under way already", path);
	if (flock(fd, LOCK_EX | LOCK_NB))
		r = errno == EWOULDBLOCK
			    ? err_set(e, EBUSY,
				      "a move of this guest is under way already (process %d, a vmferry with other directories): "
				      "wait for its end",
				      holder(fd))
			    : err_sys(e, errno, "cannot lock %s", path);
	if (r)
		close(fd);
	else
		*claim = fd;
	return r;
}
