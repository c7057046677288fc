/* qemu-find.c: see qemu-find.h. */
#include "qemu-find.h"
#include "program.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#define PLACES "/usr/bin, /usr/libexec, /usr/local/bin, /usr/lib/qemu"

static char *in_usual_places(const char *name)
{
	AUTO_FREE char *places = xstrdup(PLACES);
	char *dir, *save = NULL;

	for (dir = strtok_r(places, ", ", &save); dir; dir = strtok_r(NULL, ", ", &save)) {
		char *path = xasprintf("%s/%s", dir, name);

		if (program_is_runnable(path))
			return path;
		free(path);
	}
	return NULL;
}

char *qemu_find(const char *exe, bool only, struct err *e)
{
	const char *slash = strrchr(exe, '/'), *name = slash ? slash + 1 : exe;
	struct utsname host = {.nodename = ""};
	char *path = NULL;

	if (exe[0] == '/' && program_is_runnable(exe))
		return xstrdup(exe);
	if (!only && *name)
		path = in_usual_places(name);
	if (path)
		return path;
	uname(&host);
	if (only)
		err_set(e, ENOENT,
			"no QEMU at the destination, %s, that is %s (--qemu): there is no such program, and no other is taken for it; install "
			"it there, or name one that is there",
			host.nodename, exe);
	else
		err_set(e, ENOENT,
			"no QEMU at the destination, %s: neither %s nor a program of that name in " PLACES
			"; install it there, or name another with --qemu",
			host.nodename, exe);
	return NULL;
}
