/* claim.c: see claim.h. */
#include "claim.h"
#include "process-status.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
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

/* The number that the process has in its own PID namespace, the last of those that the kernel tells. */
static int number_there(pid_t pid)
{
	char numbers[256], *last;

	if (process_status(pid, "NSpid", numbers, sizeof(numbers)))
		return pid;
	last = strrchr(numbers, '\t');
	return atoi(last ? last + 1 : numbers);
}

/* A file of the process itself, of which each mount of /proc has its own: the process's own mount counts, if it has one. Of those files that nobody but its user
 * and root opens, every kernel has this one. */
static int open_its_file(pid_t qemu)
{
	AUTO_FREE char *its = xasprintf("/proc/%d/root/proc/%d/personality", (int)qemu, number_there(qemu));
	AUTO_CLOSE int there = open(its, O_PATH | O_CLOEXEC);
	struct statfs at;
	bool counts = there >= 0 && !fstatfs(there, &at) && at.f_type == PROC_SUPER_MAGIC;
	AUTO_FREE char *path = counts ? xasprintf("/proc/self/fd/%d", there) : xasprintf("/proc/%d/personality", (int)qemu);

	return open(path, O_RDONLY | O_CLOEXEC);
}

int guest_claim(pid_t qemu, int *claim, struct err *e)
{
	int fd = open_its_file(qemu), r = 0;

	*claim = -1;
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH
			       ? 0
			       : err_sys(e, errno,
					 "cannot open /proc/%d/personality, so cannot tell whether another move of this guest is under way",
					 (int)qemu);
	if (flock(fd, LOCK_EX | LOCK_NB))
		r = errno == EWOULDBLOCK
			    ? err_set(e, EBUSY,
				      "a move of this guest is under way already (process %d, a vmferry with other directories): "
				      "wait for its end",
				      holder(fd))
			    : err_sys(e, errno, "cannot lock /proc/%d/personality", (int)qemu);
	if (r)
		close(fd);
	else
		*claim = fd;
	return r;
}
