/* swtpm-here.c: see swtpm-here.h. */
#include "swtpm-here.h"
#include "durable-file.h"
#include "program.h"
#include "systemd.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LISTEN_MS 10000
#define PAUSE_MS  5

char *swtpm_program(void)
{
	static const char *const places[] = {"/usr/bin/swtpm", "/usr/local/bin/swtpm"};

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (program_is_runnable(places[i]))
			return xstrdup(places[i]);
	return NULL;
}

/* ---- begun ---- */

static int ended(const struct qemu_proc *p, struct err *e)
{
	AUTO_FREE char *tail = qemu_log_tail(p);

	return err_set(e, ECHILD, "the swtpm that is to be the guest's TPM ended at once: %s",
		       *tail ? tail : "it wrote nothing to its log");
}

/* A connection would not do: the swtpm would take us for its QEMU. */
static int wait_until_it_listens(const struct qemu_proc *p, const char *socket, struct loop *l, struct err *e)
{
	uint64_t until = now_ns() + LISTEN_MS * 1000000ULL;
	int r = 0;

	while (!r && !process_has_socket(p->pid, socket)) {
		if (!qemu_is_alive(p->pid, p->start_time))
			return ended(p, e);
		if (now_ns() > until)
			return err_set(e, ETIMEDOUT, "the swtpm that is to be the guest's TPM does not listen at %s", socket);
		r = loop_step(l, PAUSE_MS, e);
	}
	return r;
}

int swtpm_begin(struct qemu_proc *p, const struct swtpm *s, const char *exe, char *const *scope, qemu_born_fn born, void *ctx,
		struct loop *l, struct err *e)
{
	char **line = swtpm_line(s, exe, false);
	int r = qemu_launch(p, exe, line, NULL, scope, born, ctx, e);

	free_words(line);
	return r ?: wait_until_it_listens(p, s->socket, l, e);
}

/* ---- its directory ---- */

char *swtpm_kept_path(const struct swtpm *s)
{
	return xasprintf("%s/%s", s->state, s->tpm2 ? "tpm2-00.permall" : "tpm-00.permall");
}

int swtpm_fill(const struct swtpm *s, const void *bytes, size_t n, struct err *e)
{
	AUTO_FREE char *path = swtpm_kept_path(s);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return err_sys(e, errno, "cannot create %s", path);
	r = pwrite_all(fd, bytes, n, 0);
	if (!r && fsync(fd))
		r = -errno;
	return r ? err_sys(e, -r, "cannot write %s", path) : sync_parent_dir(path, e) ?: sync_parent_dir(s->state, e);
}

static bool is_of_swtpm(const char *name)
{
	return !strcmp(name, "socket") || !strcmp(name, ".lock") || !strncmp(name, "tpm-00.", 7) || !strncmp(name, "tpm2-00.", 8) ||
	       !strncmp(name, "TMP-00.", 7) || !strncmp(name, "TMP2-00.", 8);
}

int swtpm_dir_empty(const char *path, struct err *e)
{
	DIR *d = opendir(path);
	struct dirent *x;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look into %s", path);
	while (!r && (x = readdir(d)))
		if (is_of_swtpm(x->d_name) && unlinkat(dirfd(d), x->d_name, 0))
			r = err_sys(e, errno, "cannot remove %s/%s", path, x->d_name);
	closedir(d);
	return r;
}

int swtpm_dir_remove(const char *path, struct err *e)
{
	int r = swtpm_dir_empty(path, e);

	return !r && rmdir(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path) : r;
}
