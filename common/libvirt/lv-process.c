/* lv-process.c: see lv-process.h. */
#include "lv-process.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_DIR "/run/libvirt/qemu"
#define LINE_READ  65536 /* bytes of a command line, of which the UUID is near the beginning */

char *lv_uuid_text(const uint8_t u[LV_UUID_LEN])
{
	return xasprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3], u[4], u[5], u[6],
			 u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

/* As virPidFileBuildPath() of libvirt makes it. */
static char *pidfile_of(const struct lv *v, const char *name)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	return lv_is_user(v) ? xasprintf("%s/libvirt/qemu/run/%s.pid", runtime ?: "", name) : xasprintf(SYSTEM_DIR "/%s.pid", name);
}

static bool has_uuid(pid_t pid, const char *uuid)
{
	AUTO_FREE char *line = xcalloc(1, LINE_READ + 1);
	char path[64];
	size_t n, i;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	f = fopen(path, "re");
	n = f ? fread(line, 1, LINE_READ, f) : 0;
	if (f)
		fclose(f);
	for (i = 0; i < n; i += strlen(line + i) + 1)
		if (!strcmp(line + i, uuid))
			return true;
	return false;
}

int lv_process_of(const struct lv *v, const struct lv_domain *d, pid_t *pid, struct err *e)
{
	AUTO_FREE char *path = pidfile_of(v, d->name);
	AUTO_FREE char *uuid = lv_uuid_text(d->uuid);
	FILE *f = fopen(path, "re");
	int number = 0;

	if (!f)
		return err_set(e, ESRCH, "guest %s of libvirt does not run: there is no %s", d->name, path);
	if (fscanf(f, "%d", &number) != 1)
		number = 0;
	fclose(f);
	if (number <= 0 || !has_uuid(number, uuid))
		return err_set(e, ESRCH, "process %d, which %s names, is not the QEMU of guest %s", number, path, d->name);
	*pid = number;
	return 0;
}
