/* rights.c: see rights.h. */
#include "rights.h"
#include "hex.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define ACL_XATTR "system.posix_acl_access"

void rights_read_acl(struct rights *r, const char *path)
{
	ssize_t n = getxattr(path, ACL_XATTR, r->acl, sizeof(r->acl));

	r->acl_bytes = n > 0 ? (size_t)n : 0;
}

int rights_read(struct rights *r, const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st))
		return err_sys(e, errno, "cannot look at %s", path);
	*r = (struct rights){.uid = (long)st.st_uid, .gid = (long)st.st_gid, .mode = st.st_mode & 0777};
	rights_read_acl(r, path);
	return 0;
}

/* The list comes last: a change of the mode changes it. */
int rights_give(const struct rights *r, int fd, const char *path, struct err *e)
{
	if (r->uid >= 0 && geteuid() == 0 && fchown(fd, (uid_t)r->uid, (gid_t)r->gid))
		return err_sys(e, errno, "cannot give %s its owner", path);
	if (r->mode >= 0 && fchmod(fd, (mode_t)r->mode & 0777))
		return err_sys(e, errno, "cannot set the mode of %s", path);
	if (!r->acl_bytes || !fsetxattr(fd, ACL_XATTR, r->acl, r->acl_bytes, 0))
		return 0;
	err_sys(e, errno, "the access control list of %s cannot be set, and owner and mode must do", path);
	return 1;
}

char *rights_print_acl(const struct rights *r)
{
	return r->acl_bytes ? hex_format(r->acl, r->acl_bytes, xmalloc(2 * r->acl_bytes + 1)) : NULL;
}

void rights_parse_acl(struct rights *r, const char *hex)
{
	size_t n = hex ? strlen(hex) / 2 : 0;

	r->acl_bytes = n <= sizeof(r->acl) && hex_parse(hex, r->acl, n) ? n : 0;
}
