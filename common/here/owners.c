/* owners.c: see owners.h. */
#include "owners.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

json_t *owner_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? NULL
			       : json_pack("{s:s,s:I,s:I}", "path", path, "uid", (json_int_t)st.st_uid, "gid", (json_int_t)st.st_gid);
}

int owner_give_back(const json_t *owner, struct err *e)
{
	json_int_t uid, gid;
	const char *path;
	struct stat st;

	if (json_unpack((json_t *)owner, "{s:s,s:I,s:I}", "path", &path, "uid", &uid, "gid", &gid))
		return err_set(e, EBADMSG, "the journal does not say whose it was");
	if (stat(path, &st))
		return errno == ENOENT ? 0 : err_sys(e, errno, "whose %s is cannot be told", path);
	if (st.st_uid == (uid_t)uid && st.st_gid == (gid_t)gid)
		return 0;
	return chown(path, (uid_t)uid, (gid_t)gid)
		       ? err_sys(e, errno, "%s belongs to user %d since libvirt has forgotten the guest, and was user %d's", path,
				 (int)st.st_uid, (int)uid)
		       : 0;
}
