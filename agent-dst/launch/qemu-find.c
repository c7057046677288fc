/* qemu-find.c: see qemu-find.h. */
#include "qemu-find.h"
#include "program.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#define PLACES "/usr/bin, /usr/libexec, /usr/local/bin, /usr/lib/qemu"

/* Distributions call one and the same program so: Debian, Fedora; RHEL; and an older habit of Debian's, now a script there that asks for KVM, and so the last. */
static const char *const x86_64_names[] = {"qemu-system-x86_64", "qemu-kvm", "kvm"};

static char *in_places(const char *among, const char *name)
{
	AUTO_FREE char *places = xstrdup(among);
	char *dir, *save = NULL;

	for (dir = strtok_r(places, ", ", &save); dir; dir = strtok_r(NULL, ", ", &save)) {
		char *path = xasprintf("%s/%s", dir, name);

		if (program_is_runnable(path))
			return path;
		free(path);
	}
	return NULL;
}

/* Under its own name, or one of those that mean the same. */
static char *find_by_name(const char *among, const char *name)
{
	char *path = *name ? in_places(among, name) : NULL;
	bool is_x86_64 = false;
	size_t i;

	for (i = 0; i < ARRAY_LEN(x86_64_names); i++)
		is_x86_64 |= !strcmp(name, x86_64_names[i]);
	for (i = 0; i < ARRAY_LEN(x86_64_names) && is_x86_64 && !path; i++)
		path = in_places(among, x86_64_names[i]);
	return path;
}

char *qemu_find_among(const char *places, const char *exe, bool only, struct err *e)
{
	const char *slash = strrchr(exe, '/'), *name = slash ? slash + 1 : exe;
	struct utsname host = {.nodename = ""};
	char *path = NULL;

	if (exe[0] == '/' && program_is_runnable(exe))
		return xstrdup(exe);
	if (!only)
		path = find_by_name(places, name);
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
			"no QEMU at the destination, %s: neither %s nor a program of that name, or of another that means the same, in %s; install "
			"it there, or name another with --qemu",
			host.nodename, exe, places);
	return NULL;
}

char *qemu_find(const char *exe, bool only, struct err *e)
{
	return qemu_find_among(PLACES, exe, only, e);
}
