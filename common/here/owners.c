/* owners.c: see owners.h. */
#include "owners.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A descriptor keeps to one file: if another process replaces the file at that path meanwhile, the new one is not changed. */
static int open_image(const char *path)
{
	return open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* The time of birth: an inode number may be used again once its file is removed, but not with the same birth. 0: this file system has
 * none. */
static json_int_t born(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st) || !(st.stx_mask & STATX_BTIME)
		       ? 0
		       : (json_int_t)st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec;
}

json_t *owner_of(const char *path)
{
	AUTO_FREE char *real = realpath(path, NULL); /* a link could lead elsewhere later */
	int fd = real ? open_image(real) : -1;
	json_t *owner = NULL;
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
		owner = json_pack("{s:s,s:I,s:I,s:I,s:I,s:I}", "path", real, "uid", (json_int_t)st.st_uid, "gid", (json_int_t)st.st_gid,
				  "dev", (json_int_t)st.st_dev, "inode", (json_int_t)st.st_ino, "born", born(fd));
	if (fd >= 0)
		close(fd);
	return owner;
}

static bool is_that_file(const json_t *owner, int fd, const struct stat *st)
{
	return S_ISREG(st->st_mode) && json_integer_value(json_object_get(owner, "dev")) == (json_int_t)st->st_dev &&
	       json_integer_value(json_object_get(owner, "inode")) == (json_int_t)st->st_ino &&
	       json_integer_value(json_object_get(owner, "born")) == born(fd);
}

static int give_back(int fd, const json_t *owner, uid_t given, struct err *e)
{
	const char *path = json_string_value(json_object_get(owner, "path"));
	uid_t uid = (uid_t)json_integer_value(json_object_get(owner, "uid"));
	gid_t gid = (gid_t)json_integer_value(json_object_get(owner, "gid"));
	struct stat st;

	if (fstat(fd, &st))
		return err_sys(e, errno, "cannot tell who owns %s", path);
	if (!is_that_file(owner, fd, &st))
		return err_set(e, ESTALE,
			       "%s is another file than the guest's image that was to be given back to user %d: it is left as it is", path,
			       (int)uid);
	if (st.st_uid == uid && st.st_gid == gid)
		return 0;
	if (st.st_uid && st.st_uid != given)
		return err_set(e, EPERM,
			       "%s belongs to user %d, to whom libvirt here did not give it, and was user %d's: it is left as it is", path,
			       (int)st.st_uid, (int)uid);
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH)
		       ? err_sys(e, errno, "%s belongs to user %d since libvirt has forgotten the guest, and was user %d's", path,
				 (int)st.st_uid, (int)uid)
		       : 0;
}

int owner_give_back(const json_t *owner, uid_t given, struct err *e)
{
	const char *path = json_string_value(json_object_get(owner, "path"));
	int fd, r;

	if (!path || !json_is_integer(json_object_get(owner, "uid")) || !json_is_integer(json_object_get(owner, "gid")))
		return err_set(e, EBADMSG, "the journal does not say whose it was");
	fd = open_image(path);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot tell who owns %s", path);
	r = give_back(fd, owner, given, e);
	close(fd);
	return r;
}
