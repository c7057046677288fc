/* point-spool.c: see point-spool.h. */
#include "point-spool.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MARGIN_MAX  (1024 * MIB) /* room that stays free: a file system's 1/MARGIN_PART, but no more than this */
#define MARGIN_PART 20

char *point_spool_dir(const struct disks *ds, const struct guest_disk *g, const char *wished)
{
	AUTO_FREE char *copy = NULL;

	if (wished)
		return xstrdup(wished);
	for (unsigned i = 0; g->block_device && i < ds->count; i++)
		if (!ds->list[i]->guest->block_device)
			g = ds->list[i]->guest;
	if (!g->real_path || g->block_device)
		return NULL;
	copy = xstrdup(g->real_path);
	return xstrdup(dirname(copy));
}

int point_spool_places(const struct disks *ds, const char *wished, struct err *e)
{
	for (unsigned i = 0; i < ds->count; i++) {
		const struct guest_disk *g = ds->list[i]->guest;
		AUTO_FREE char *dir = point_spool_dir(ds, g, wished);

		if (!dir)
			return err_set(e, ENOTSUP,
				       "beside disk %s is no room for what is to be sent of it: say where that lies, by --spool DIR",
				       g->real_path ?: g->node);
	}
	return 0;
}

/* QEMU opens it, too, which may run as another user. */
int point_spool_make(const char *path, const struct guest_disk *g, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0)
		return err_sys(e, errno, "cannot create %s, for what is to be sent of disk %s", path, g->real_path);
	if (!stat(g->real_path, &st) && st.st_uid != geteuid() && fchown(fd, st.st_uid, st.st_gid))
		log_info("%s stays this user's: %s", path, strerror(errno));
	return ftruncate(fd, (off_t)g->virtual_size) ? err_sys(e, errno, "cannot make %s as long as the disk", path) : 0;
}

/* The sum of all whose file system is that of file `at`. What was discarded is in need, as QEMU's copy of a hole is a range of allocated zeros. */
static int check_file_system(char *const *files, const uint64_t *need, size_t count, size_t at, struct err *e)
{
	uint64_t all = 0, available;
	struct stat here, there;
	char a[24], b[24];
	struct statvfs v;

	if (stat(files[at], &here) || statvfs(files[at], &v))
		return err_sys(e, errno, "cannot look at %s", files[at]);
	for (size_t i = 0; i < count; i++)
		if (!stat(files[i], &there) && there.st_dev == here.st_dev)
			all += need[i];
	available = (uint64_t)v.f_bavail * v.f_frsize;
	if (all + MIN(MARGIN_MAX, (uint64_t)v.f_blocks * v.f_frsize / MARGIN_PART) <= available)
		return 0;
	return err_set(
		e, ENOSPC,
		"%s was written or discarded (fstrim) since the last point, and would lie beside %s until it is sent, where %s are free: that "
		"is too little room (vmferry replica verify makes a point without that, as everything is compared; --spool DIR says another place)",
		format_bytes(a, all), files[at], format_bytes(b, available));
}

int point_spool_room(char *const *files, const uint64_t *need, size_t count, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < count && !r; i++)
		r = check_file_system(files, need, count, i, e);
	return r;
}
