/* lv-process.c: see lv-process.h. */
#include "lv-process.h"
#include "file-number.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_DIR "/run/libvirt/qemu"
#define LINE_READ  65536 /* bytes of a command line, of which the UUID is near the beginning */

/* "8a3c…-…": malloc'ed. */
static char *lv_uuid_text(const uint8_t u[LV_UUID_LEN])
{
	return xasprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3], u[4], u[5], u[6],
			 u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

/* The directory in which libvirt (virPidFileBuildPath()) puts NAME.pid. */
static char *pidfile_dir(const struct lv *v)
{
	AUTO_FREE char *dir = lv_is_user(v) ? lv_runtime_dir() : NULL;

	return dir ? xasprintf("%s/qemu/run", dir) : xstrdup(SYSTEM_DIR);
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

/*
 * True if a pidfile in that directory can be trusted for that process: only root and the process's own user may write there. Newer libvirts
 * (11.3, not 9.0) give the directory to QEMU's user; a forged pidfile gives that user's processes no power that they lack.
 */
static bool may_say(const char *dir, pid_t pid)
{
	struct stat st, process;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(dir, &st) || st.st_mode & (S_IWGRP | S_IWOTH))
		return false;
	return !st.st_uid || (!stat(path, &process) && process.st_uid == st.st_uid);
}

int lv_process_of(const struct lv *v, const struct lv_domain *d, pid_t *pid, struct err *e)
{
	AUTO_FREE char *dir = pidfile_dir(v);
	AUTO_FREE char *path = xasprintf("%s/%s.pid", dir, d->name);
	AUTO_FREE char *uuid = lv_uuid_text(d->uuid);
	int number = (int)file_number(path);

	if (access(path, F_OK))
		return err_set(e, ESRCH, "guest %s of libvirt does not run: there is no %s", d->name, path);
	if (number <= 0 || !has_uuid(number, uuid))
		return err_set(e, ESRCH, "process %d, which %s names, is not the QEMU of guest %s", number, path, d->name);
	if (!lv_is_user(v) && !may_say(dir, number)) /* a user's own is below a directory of that user alone */
		return err_set(e, EPERM,
			       "cannot tell which process is the QEMU of guest %s: other users than root and its own may write to %s",
			       d->name, dir);
	*pid = number;
	return 0;
}

char *lv_name_of_process(pid_t pid)
{
	DIR *dir = geteuid() || !may_say(SYSTEM_DIR, pid) ? NULL : opendir(SYSTEM_DIR);
	struct dirent *one;
	char *name = NULL;

	while (dir && !name && (one = readdir(dir))) {
		AUTO_FREE char *path = xasprintf(SYSTEM_DIR "/%s", one->d_name);
		size_t n = strlen(one->d_name);

		if (n > 4 && !strcmp(one->d_name + n - 4, ".pid") && (int)file_number(path) == pid)
			name = xstrndup(one->d_name, n - 4);
	}
	if (dir)
		closedir(dir);
	return name;
}
