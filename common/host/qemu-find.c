/* qemu-find.c: see qemu-find.h. */
#include "qemu-find.h"
#include "program.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#define PLACES "/usr/bin, /usr/libexec, /usr/local/bin, /usr/lib/qemu"

static const char begin[] = "qemu-system-";

/* Names of RHEL's QEMU (qemu-kvm) and of an older one of Debian's (kvm), now a script that asks for KVM, and so the last. */
static const char *const other_names[] = {"qemu-kvm", "kvm"};

static struct utsname this_host(void)
{
	struct utsname host = {.nodename = ""};

	uname(&host);
	return host;
}

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

static bool is_other_name(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(other_names) && strcmp(name, other_names[i]); i++)
		;
	return i < ARRAY_LEN(other_names);
}

/* Finds a program by its own name or an equivalent one: qemu-kvm is the program for the host's own architecture. */
static char *find_by_name(const struct qemu_host *h, const char *name)
{
	AUTO_FREE char *usual = xasprintf("%s%s", begin, h->machine);
	char *path = *name ? in_places(h->places, name) : NULL;
	bool is_own = is_other_name(name) || !strcmp(name, usual);

	if (!path && is_own)
		path = in_places(h->places, usual);
	for (size_t i = 0; i < ARRAY_LEN(other_names) && is_own && !path; i++)
		path = in_places(h->places, other_names[i]);
	return path;
}

char *qemu_find_among(const struct qemu_host *h, const char *exe, bool only, struct err *e)
{
	struct utsname host = this_host();
	char *path = NULL;

	if (exe[0] == '/' && program_is_runnable(exe))
		return xstrdup(exe);
	if (!only)
		path = find_by_name(h, path_base(exe));
	if (path)
		return path;
	if (only)
		err_set(e, ENOENT,
			"no QEMU at the destination, %s, that is %s (--qemu): there is no such program, and no other is taken for it; install "
			"it there, or name one that is there",
			host.nodename, exe);
	else
		err_set(e, ENOENT,
			"no QEMU at the destination, %s: neither %s nor a program of that name, or of another that means the same, in %s; install "
			"it there, or name another with --qemu",
			host.nodename, exe, h->places);
	return NULL;
}

char *qemu_find(const char *exe, bool only, struct err *e)
{
	struct utsname host = this_host();

	return qemu_find_among(&(struct qemu_host){host.machine, PLACES}, exe, only, e);
}

char *qemu_find_name(const char *name, bool only)
{
	struct utsname host = this_host();

	return only ? in_places(PLACES, name) : find_by_name(&(struct qemu_host){host.machine, PLACES}, name);
}

char *qemu_find_program_on(const struct qemu_host *h, const char *exe)
{
	const char *name = path_base(exe);

	if (is_other_name(name))
		return xasprintf("%s%s", begin, h->machine);
	return text_starts_with(name, begin) ? xstrdup(name) : NULL;
}

char *qemu_find_program(const char *exe)
{
	struct utsname host = this_host();

	return qemu_find_program_on(&(struct qemu_host){.machine = host.machine}, exe);
}
