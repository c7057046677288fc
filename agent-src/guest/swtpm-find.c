/* swtpm-find.c: see swtpm-find.h. */
#include "swtpm-find.h"
#include "deleted-file.h"
#include "process.h"
#include "qemu-args.h"
#include "same-file.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 65536

static bool is_swtpm(pid_t pid)
{
	AUTO_FREE char *exe = process_program(pid);

	return exe && process_is_ours(pid) > 0 && swtpm_is(exe);
}

/* Words and a NULL (args_free_strings); NULL: it is gone, or has none, or too many. */
static char **line_of(pid_t pid, size_t *argc)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/cmdline", (int)pid);
	AUTO_FREE char *text = xcalloc(1, LINE_MAX_BYTES + 1);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, LINE_MAX_BYTES);
	char **argv;
	const char *p;

	if (n <= 0 || n == LINE_MAX_BYTES)
		return NULL;
	argv = xcalloc((size_t)n + 1, sizeof(*argv));
	for (*argc = 0, p = text; p < text + n; p += strlen(p) + 1)
		argv[(*argc)++] = xstrdup(p);
	return argv;
}

/* A path of its line, against its root or its directory; malloc'ed. */
static char *path_of(pid_t pid, const char *path)
{
	return xasprintf("/proc/%d/%s/%s", (int)pid, *path == '/' ? "root" : "cwd", path);
}

static bool has_socket(pid_t pid, char *const *argv, size_t argc, const struct stat *socket)
{
	AUTO_FREE char *named = swtpm_socket(argv, argc);
	AUTO_FREE char *path = named ? path_of(pid, named) : NULL;

	return path && path_leads_to(path, socket);
}

/* Looks through all processes for swtpms on that socket. Returns how many there are, or -errno. */
static int look(const struct stat *socket, pid_t *pid, char ***argv, size_t *argc)
{
	DIR *d = opendir("/proc");
	struct dirent *x;
	int found = 0;

	if (!d)
		return -errno;
	while ((x = readdir(d))) {
		pid_t p = (pid_t)atoi(x->d_name);
		size_t count = 0;
		char **line = p > 0 && is_swtpm(p) ? line_of(p, &count) : NULL;

		if (line && has_socket(p, line, count, socket) && !found++) {
			*pid = p;
			*argv = line;
			*argc = count;
		} else if (line) {
			args_free_strings(line, count);
		}
	}
	closedir(d);
	return found;
}

/* A swtpm with --daemon has changed to /, so its line may not lead to its state directory; in another mount namespace that path may be
 * another directory than ours. */
static void resolve_state(struct swtpm *s, pid_t pid)
{
	AUTO_FREE char *path = path_of(pid, s->state);
	AUTO_FREE char *real = realpath(path, NULL);
	bool same = real && paths_lead_to_one(path, real);

	free(s->state);
	s->state = same ? xstrdup(real) : NULL;
}

int swtpm_find(struct swtpm *out, pid_t *pid, const char *socket, struct err *e)
{
	char **argv = NULL;
	struct stat st;
	struct err why;
	size_t argc = 0;
	int found, r = 0;

	if (stat(socket, &st))
		return err_sys(e, errno, "cannot look at the socket of the guest's TPM, %s", socket);
	found = look(&st, pid, &argv, &argc);
	if (found < 0)
		return err_set(e, EIO, "cannot look for the swtpm of the guest's TPM, %s: /proc: %s", socket, strerror(-found));
	if (!found)
		return err_set(e, ENOENT,
			       "the guest has a TPM at %s, and no swtpm of this user has that socket: only one that runs with --ctrl "
			       "type=unixio,path=%s, as the same user, can be moved",
			       socket, socket);
	if (found > 1)
		r = err_set(e, EEXIST,
			    "more than one swtpm has the socket of the guest's TPM, %s (one is process %d): end those that it does not use",
			    socket, (int)*pid);
	else if (swtpm_read(out, argv, argc, &why))
		r = err_set(e, ENOTSUP, "the guest's TPM, a swtpm (process %d), cannot be moved: %s", (int)*pid, why.msg);
	else
		resolve_state(out, *pid);
	args_free_strings(argv, argc);
	return r;
}
