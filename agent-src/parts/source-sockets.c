/* source-sockets.c: see source-sockets.h. */
#include "source-sockets.h"
#include "json-text.h"
#include "libvirt-rpc.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first half of the attempt's id, as in all names of the runtime directory; malloc'ed. */
static char *short_id(const struct source *s)
{
	char id[2 * ATTEMPT_ID_LEN + 1];

	return xasprintf("%.12s", attempt_id_format(s->part.a->id, id));
}

static char *dir_of(const struct source *s)
{
	AUTO_FREE char *id = short_id(s);
	AUTO_FREE char *runtime = lv_runtime_dir();

	return xasprintf("%s/vmferry-%s", runtime, id);
}

char *source_socket(const struct source *s, const char *what)
{
	AUTO_FREE char *dir = dir_of(s);
	AUTO_FREE char *id = short_id(s);

	return s->libvirt.uuid ? lv_guest_socket(dir, what, s->guest.name) : xasprintf("%s/%s.%s", s->opt->dirs.runtime, id, what);
}

int source_sockets_prepare(struct source *s, struct err *e)
{
	AUTO_FREE char *dir = s->libvirt.uuid ? dir_of(s) : NULL;
	int r = dir ? attempt_own(s->part.a, SOCKET_DIR, json_pack("{s:s}", "path", dir), e) : 0;

	if (r || !dir)
		return r;
	if (process_user(s->guest.pid, &s->libvirt.user))
		return err_set(e, ESRCH, "cannot tell as which user the guest's QEMU runs");
	return mkdir(dir, 0700) || chown(dir, s->libvirt.user, (gid_t)-1) ? err_sys(e, errno, "cannot create %s", dir) : 0;
}

int source_sockets_undo(const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path") ?: "";

	return rmdir(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path) : 0;
}
