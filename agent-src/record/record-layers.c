/* record-layers.c: where a recorded script makes directories; see record-private.h. Documentation/filesystems/overlayfs.rst of Linux. */
#include "record-private.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define LAYERS RECORD_DIR "/layers"

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && (path[n] == '/' || !path[n]);
}

/* Mounts below the directory, which a layer would hide. True, too, if the list cannot be read. */
static bool has_mounts(const char *dir)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *at;
	bool found = !f;
	size_t size = 0;

	while (!found && f && getline(&line, &size, f) > 0) {
		at = line;
		for (int i = 0; at && i < 4; i++)
			at = strchr(at + 1, ' ');
		if (at)
			at[1 + strcspn(at + 1, " ")] = '\0';
		found = !at || (strcmp(at + 1, dir) != 0 && is_below(at + 1, dir));
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

static void lay_over(struct record_layers *l, const char *dir)
{
	AUTO_FREE char *real = realpath(dir, NULL), *upper = xasprintf(LAYERS "/%zu", l->count), *work = xasprintf("%s.work", upper);
	AUTO_FREE char *options = xasprintf("userxattr,lowerdir=%s,upperdir=%s,workdir=%s", real ?: "", upper, work);
	struct stat st;

	if (!real || !real[1] || stat(real, &st) || !S_ISDIR(st.st_mode) || strpbrk(real, ":,\\ ") || l->count == ARRAY_LEN(l->at))
		return;
	/* a layer below would be hidden; a directory in a layer is this user's, even if its group is unknown there */
	for (size_t i = 0; i < l->count; i++)
		if (is_below(l->at[i], real))
			return;
	if (has_mounts(real) || mkdir(upper, 0755) || mkdir(work, 0755) || chmod(upper, (st.st_mode & 07777) | 0700) ||
	    mount("none", real, "overlay", MS_NOSUID | MS_NODEV, options))
		return;
	l->at[l->count++] = xstrdup(real);
}

void record_lay(struct record_layers *l, const char *const *dirs)
{
	if (mkdir(LAYERS, 0755) || mount("none", LAYERS, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64m"))
		return;
	for (; *dirs; dirs++)
		lay_over(l, *dirs);
}

int record_open_layers(const struct record_layers *l)
{
	struct mount_attr a = {.attr_clr = MOUNT_ATTR_RDONLY};

	for (size_t i = 0; i < l->count; i++)
		if (mount_setattr(AT_FDCWD, l->at[i], 0, &a, sizeof(a)))
			return -errno;
	return 0;
}
