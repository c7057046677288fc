/* import-place.c: see import-place.h. */
#include "import-place.h"
#include "open-regular.h"
#include "qemu-discover.h"
#include "unix-socket.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SCRIPT_MAX (1u << 20) /* bytes */

int place_name(char **out, const char *wish, const char *was, struct err *e)
{
	char *name = xstrdup(wish ?: was ?: "guest");

	if (wish && (!*name || strlen(name) > IMPORT_NAME_MAX)) {
		free(name);
		return err_set(e, EINVAL, "--name: a name has 1 to %u bytes", IMPORT_NAME_MAX);
	}
	text_make_printable(name, false);
	if (strlen(name) > IMPORT_NAME_MAX) {
		name[IMPORT_NAME_MAX] = '\0';
		text_make_utf8(name);
	}
	*out = name;
	return 0;
}

int place_dir(char **out, const char *dir, struct err *e)
{
	struct stat st;

	dir = dir ?: ".";
	*out = realpath(dir, NULL);
	if (!*out && errno == ENOENT)
		return err_set(e, ENOENT, "--disk-dir %s is not there: make it on the file system that is to have the disks (mkdir -p)",
			       dir);
	if (!*out || stat(*out, &st))
		return err_sys(e, errno, "--disk-dir %s", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "--disk-dir %s is not a directory", dir);
	if (access(*out, W_OK | X_OK))
		return err_sys(e, errno, "--disk-dir %s", dir);
	return text_is_utf8(*out) ? 0 : err_set(e, EILSEQ, "--disk-dir %s has a name that is not UTF-8 text", dir);
}

int place_is_free(const char *path, struct err *e)
{
	struct stat st;

	if (!lstat(path, &st))
		return err_set(e, EEXIST, "%s is there already, and nothing is written over: take another --name or --disk-dir", path);
	return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", path);
}

int place_fits_socket(const char *path, struct err *e)
{
	if (strlen(path) <= UNIX_SOCKET_PATH_MAX)
		return place_is_free(path, e);
	return err_set(e, ENAMETOOLONG, "%s is too long for a socket: take a shorter --disk-dir or --name", path);
}

static bool script_names(const char *script, const char *path)
{
	AUTO_CLOSE int fd = open_regular(script);
	AUTO_FREE char *text = xcalloc(1, SCRIPT_MAX + 1);

	return fd >= 0 && pread(fd, text, SCRIPT_MAX, 0) > 0 && strstr(text, path);
}

bool place_is_named(const char *dir, const char *path)
{
	DIR *d = opendir(dir);
	struct dirent *x;
	bool found = false;

	while (d && !found && (x = readdir(d))) {
		const char *dot = strrchr(x->d_name, '.');
		AUTO_FREE char *script = xasprintf("%s/%s", dir, x->d_name);

		found = dot && !strcmp(dot, ".sh") && script_names(script, path);
	}
	if (d)
		closedir(d);
	return found;
}

int place_has_no_guest(const char *name, struct err *e)
{
	AUTO_FREE struct guest *list = NULL;
	size_t n, i;
	pid_t pid = 0;
	bool cut_off; /* other users' processes were cut off; they take no name away */
	int r = guest_list(&list, &n, &cut_off, e);

	if (r < 0)
		return r;
	for (i = 0; i < n; i++) {
		if (!list[i].foreign && !strcmp(list[i].name, name))
			pid = list[i].pid;
		guest_fini(&list[i]);
	}
	return pid ? err_set(e, EEXIST, "a guest %s runs here already (pid %d): take another --name", name, (int)pid) : 0;
}

void place_remove_socket(const char *path)
{
	struct stat st;

	if (!lstat(path, &st) && S_ISSOCK(st.st_mode) && !unix_is_bound(path))
		unlink(path);
}
