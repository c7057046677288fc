/* record-programs.c: the programs that a recorded script finds in place of its host's; see record-private.h. */
#include "record-private.h"
#include "record.h"
#include "shell-quote.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A question to QEMU about itself is answered by the real one: which options a script gives may depend on it. Before it stand the pipe, as stat(1) tells it, the
 * real program, and its name among its own files (modules, libraries), which may be no file. 141: who asked has heard enough. Of a configuration that comes by
 * a stream, as of a here-document, all is read that there is: nobody else could.
 */
static const char recorder[] = NOTE
	"for w; do case $w in -version | --version | -h | -help | --help | help | \\? | *,help | *,\\?) [ \"$real\" ] || break\n"
	"[ ! -x \"$own\" ] || real=$own\n\"$real\" \"$@\"\nr=$?\ncase $r in 0 | 141) ;; *) note " RECORD_FAILED
	" '' \"$@\" ;; esac\nexit $r ;; esac; done\n"
	"was=\nfor w; do case $was:$w in -readconfig:/dev/stdin | --readconfig:/dev/stdin | -readconfig:/dev/fd/* | --readconfig:/dev/fd/* | "
	"-readconfig:/proc/self/fd/* | --readconfig:/proc/self/fd/*) c=$(cat \"$w\" 2>/dev/null)\n[ ! \"$c\" ] || note " RECORD_CONFIG
	" \"$w\" \"$c\" ;; esac\nwas=$w; done\n[ ! \"$real\" ] || [ ! \"${VMFERRY_HELD-}\" ] || note " RECORD_HELD
	" '' \"${VMFERRY_HELD% }\"\n" RECORD_FIND_PIPE "printf '%s\\0' " RECORD_MARK
	" \"$#\" \"$(pwd -P)\" \"${LD_LIBRARY_PATH-}\" \"${QEMU_MODULE_DIR-}\" \"$0\" \"$@\" >&$f\n";

/* ---- QEMUs of this host ---- */

static bool is_qemu(const char *name)
{
	return text_starts_with(name, "qemu-system-") || !strcmp(name, "qemu-kvm") || !strcmp(name, "kvm");
}

static void add_qemu(struct record_qemus *q, const char *path)
{
	struct stat st;

	AUTO_FREE char *real = realpath(path, NULL);

	for (size_t i = 0; i < q->count && real; i++) /* the same file may have another name, as in a directory that is twice in PATH */
		if (!strcmp(q->paths[i], real))
			return;
	if (real && q->count < RECORD_QEMUS_MAX && !stat(real, &st) && S_ISREG(st.st_mode))
		q->paths[q->count++] = xstrdup(real);
}

static void add_directory(struct record_qemus *q, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *x;

	while (d && (x = readdir(d))) {
		AUTO_FREE char *path = is_qemu(x->d_name) ? xasprintf("%s/%s", dir, x->d_name) : NULL;

		if (path)
			add_qemu(q, path);
	}
	if (d)
		closedir(d);
}

void record_add_path(struct record_qemus *q, const char *list)
{
	AUTO_FREE char *copy = xstrdup(list);
	char *rest = copy, *dir;

	while ((dir = strsep(&rest, ":")))
		if (*dir == '/')
			add_directory(q, dir);
}

/* The word as a path: "~/", "$HOME/" and what has no directory are seen through; malloc'ed, or NULL: it is none. */
static char *path_of(const char *word, const char *script)
{
	static const char *const homes[] = {"~/", "$HOME/", "${HOME}/"};
	const char *home = getenv("HOME"), *slash = strrchr(script, '/');

	for (size_t i = 0; i < ARRAY_LEN(homes) && home; i++)
		if (!strncmp(word, homes[i], strlen(homes[i])))
			return xasprintf("%s/%s", home, word + strlen(homes[i]));
	if (*word == '/')
		return xstrdup(word);
	return *word && strchr(word, '/') && *word != '$' && slash ? xasprintf("%.*s/%s", (int)(slash - script), script, word) : NULL;
}

void record_add_named(struct record_qemus *q, char *text, const char *script)
{
	static const char ends[] = " \t\n'\"`=;&|()<>";
	char *word, *rest = text;

	while ((word = strsep(&rest, ends))) {
		AUTO_FREE char *path = path_of(word, script);
		const char *slash = path ? strrchr(path, '/') : NULL;

		if (!slash)
			continue;
		if (is_qemu(slash + 1)) {
			add_qemu(q, path);
		} else { /* a directory that a script names, as in D=/opt/qemu; "$D/bin/qemu-system-x86_64" */
			AUTO_FREE char *bin = xasprintf("%s/bin", path);

			add_directory(q, path);
			add_directory(q, bin);
		}
	}
}

/* ---- files ---- */

static int write_program(const char *name, const char *head, const char *text)
{
	AUTO_FREE char *path = xasprintf(RECORD_DIR "/%s", name);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	return fd >= 0 && dprintf(fd, "%s%s", head, text) >= 0 && !fchmod(fd, 0755) ? 0 : -errno;
}

/* The part of a path before its last two components; malloc'ed. *rest: those two. NULL: it has fewer. */
static char *prefix_of(const char *path, const char **rest)
{
	const char *last = strrchr(path, '/'), *before = last;

	while (before && before > path && before[-1] != '/')
		before--;
	if (!before || before <= path + 1)
		return NULL;
	*rest = before;
	return xasprintf("%.*s", (int)(before - path), path);
}

/* A recorder for each QEMU, and a file and a directory by whose names that QEMU is still there: alone, and among its own files. */
static int write_recorders(const struct record_qemus *q, const char *head)
{
	int r = 0;

	for (size_t i = 0; i < q->count && !r; i++) {
		AUTO_FREE char *name = xasprintf("record-%zu", i), *real = xasprintf("real-%zu", i);
		AUTO_FREE char *root = xasprintf(RECORD_DIR "/root-%zu", i);
		const char *rest = "";
		AUTO_FREE char *prefix = prefix_of(q->paths[i], &rest), *path = xasprintf("%s/%s", root, rest), *own = shell_quote(path);
		AUTO_FREE char *more = xasprintf("%sreal=" RECORD_DIR "/%s own=%s\n", head, real, prefix ? own : "");

		r = write_program(name, more, recorder) ?: write_program(real, "", "");
		if (!r && mkdir(root, 0755))
			r = -errno;
	}
	return r;
}

int record_write_programs(const struct record_qemus *q, int output)
{
	AUTO_FREE char *head = NULL;
	const char *name;
	struct stat st;
	int r = fstat(output, &st) || mkdir(RECORD_DIR, 0755) || mkdir(RECORD_DIR "/real", 0755) ? -errno : 0;

	if (r)
		return r;
	head = xasprintf("#!/bin/sh\npipe=%llu:%llu real=\n", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	r = write_recorders(q, head);
	for (size_t i = 0; !r && (name = stand_in_name(i)); i++) {
		AUTO_FREE char *text = stand_in_text(i);

		r = write_program(name, head, text);
	}
	return r ?: write_program("real/mkdir", "", "exit 0\n") ?: write_program("swtpm", head, recorder);
}

static int mount_over(const char *name, const char *to)
{
	AUTO_FREE char *from = xasprintf(RECORD_DIR "/%s", name);

	return mount(from, to, NULL, MS_BIND, NULL) ? -errno : 0;
}

/* Over the host's program of that name, for scripts that name it with its directory; not over a symbolic link to another program. */
static int cover_program(const char *name)
{
	static const char *const dirs[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"};
	struct stat st;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(dirs) && !r; i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", dirs[i], name);
		AUTO_FREE char *real = realpath(dirs[i], NULL);

		if (real && !strcmp(real, dirs[i]) && !lstat(path, &st) && S_ISREG(st.st_mode))
			r = mount_over(name, path);
	}
	return r;
}

/* Files of QEMU's own (modules, firmware) are looked for beside it. Where this user may not part that directory from mounts below it they are not to be had. */
static void mount_own_files(const char *qemu, size_t i)
{
	AUTO_FREE char *root = xasprintf(RECORD_DIR "/root-%zu", i);
	const char *rest;
	AUTO_FREE char *prefix = prefix_of(qemu, &rest);

	if (prefix && strcmp(prefix, "/"))
		mount(prefix, root, NULL, MS_BIND, NULL);
}

int record_mount_programs(const struct record_qemus *q)
{
	const char *stand_in;
	int r = 0;

	for (size_t i = 0; i < q->count && !r; i++) {
		AUTO_FREE char *name = xasprintf("record-%zu", i), *real = xasprintf(RECORD_DIR "/real-%zu", i);

		if (mount(q->paths[i], real, NULL, MS_BIND, NULL))
			return -errno;
		mount_own_files(q->paths[i], i);
		r = mount_over(name, q->paths[i]);
	}
	mount("/bin/mkdir", RECORD_DIR "/real/mkdir", NULL, MS_BIND,
	      NULL); /* mkdir's stand-in needs the real one, by its name, to make anything */
	for (size_t i = 0; !r && (stand_in = stand_in_name(i)); i++)
		r = strcmp(stand_in, "qemu-img") ? cover_program(stand_in) : 0; /* the stand-in for qemu-img runs the host's */
	return r ?: cover_program("swtpm");
}
