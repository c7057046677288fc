/* lease.c: see lease.h. */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/statfs.h>

/* NFS and SMB grant a lease only if their server has granted one: a refusal proves nothing. */
static bool is_remote(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return false;
	switch ((uint32_t)fs.f_type) {
	case NFS_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
		return true;
	}
	return false;
}

int lease_try(int fd, int type)
{
	int r;

	if (is_remote(fd))
		return -ENOTSUP;
	fcntl(fd, F_SETSIG, SIGURG); /* instead of SIGIO, which would end us if it were broken */
	r = fcntl(fd, F_SETLEASE, type) ? -errno : 0;
	if (!r)
		fcntl(fd, F_SETLEASE, F_UNLCK);
	return r;
}
