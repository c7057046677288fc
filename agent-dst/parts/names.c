/* names.c: see names.h. */
#include "names.h"
#include "image-lock.h"
#include "made.h"
#include "open-regular.h"
#include "same-file.h"
#include "unix-socket.h"
#include "shell-quote.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <libgen.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define HEAD	    4096 /* bytes of a file, by which it is told what that is */
#define SECTOR	    512	 /* unit of an image's length */
#define PIDFILE_MAX 32

/* ---- what is there ---- */

/* A number and no more, as in a pidfile; or nothing. */
static bool is_a_pid(const char *head, size_t n)
{
	return n < PIDFILE_MAX && strspn(head, "0123456789 \n") == n;
}

/* Logs may have NUL bytes, but not that and an image's length. */
static bool is_an_image(const char *head, size_t n, off_t size)
{
	return memchr(head, 0, n) && (size % SECTOR == 0 || (n >= 4 && !memcmp(head, "QFI\xfb", 4)));
}

/* QEMU removes whatever lies where it is to listen, and empties its pidfile and its logs. "": there is nothing that anybody would miss. */
static const char *what_it_would_destroy(const struct args_file *f, int fd, const struct stat *st)
{
	char head[HEAD + 1] = "";
	ssize_t n = fd < 0 ? 0 : pread(fd, head, HEAD, 0);

	if (f->role == ARGS_LISTEN)
		return S_ISSOCK(st->st_mode) ? "" : "is no socket";
	if (fd < 0)
		return "";
	if (n < 0)
		return "cannot be read";
	if (f->role == ARGS_PIDFILE)
		return is_a_pid(head, (size_t)n) ? "" : "is no pidfile";
	return is_an_image(head, (size_t)n, st->st_size) ? "is an image, and no log," : "";
}

int names_check_unused(const struct args_file *f, struct err *e)
{
	AUTO_CLOSE int fd = open_regular(f->to);
	const char *lost;
	struct stat st;
	bool used;

	if (lstat(f->to, &st) || qemu_args_is_stream(f->to))
		return 0;
	if (path_is_directory(f->to))
		return err_set(
			e, EISDIR,
			"%s, which the guest's QEMU would make at the destination (-%s), is a directory there: choose a directory of the guest's "
			"own: --disk-dir DIR",
			f->to, f->option);
	used = fd >= 0 ? image_is_written(fd) : S_ISSOCK(st.st_mode) && unix_is_bound(f->to);
	if (fd >= 0 && f->role != ARGS_LISTEN && fstat(fd, &st)) /* QEMU follows links there */
		return err_sys(e, errno, "cannot look at %s", f->to);
	if (used)
		return err_set(
			e, EEXIST,
			"%s, which the guest's QEMU would make at the destination (-%s), is in use there, by another guest perhaps: choose a "
			"directory of the guest's own: --disk-dir DIR",
			f->to, f->option);
	lost = what_it_would_destroy(f, fd, &st);
	return *lost ? err_set(e, EEXIST,
			       "%s, which the guest's QEMU would make at the destination (-%s), exists there, %s and would be destroyed: choose a "
			       "directory of the guest's own: --disk-dir DIR",
			       f->to, f->option, lost)
		     : 0;
}

/* ---- its own name ---- */

static char *dir_of(const char *path)
{
	AUTO_FREE char *copy = xstrdup(path);

	return xstrdup(dirname(copy));
}

static bool is_on_tmpfs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == TMPFS_MAGIC;
}

/* A directory is safe if nobody but root and us can replace what is in it. */
static bool is_safe(const struct stat *dir)
{
	bool others = (dir->st_mode & (S_IWGRP | S_IWOTH)) && !(dir->st_mode & S_ISVTX);

	return !others && (dir->st_uid == 0 || dir->st_uid == geteuid());
}

/* A socket or pidfile that a killed QEMU has left is stale. Only a tmpfs tells: on another file system they may be those of a QEMU of another host. */
static bool is_stale(enum args_role role, const char *path, const struct stat *st)
{
	const struct args_file f = {.role = role, .option = (char *)"", .to = (char *)path};
	bool may_be = role == ARGS_LISTEN ? S_ISSOCK(st->st_mode) : role == ARGS_PIDFILE && S_ISREG(st->st_mode);
	AUTO_FREE char *dir = dir_of(path);
	struct err ignored;

	return may_be && is_on_tmpfs(dir) && !names_check_unused(&f, &ignored);
}

#define IS_TAKEN "%s is there already"

char *names_why_not(const char *state_dir, enum args_role role, const char *path)
{
	AUTO_FREE char *dir = dir_of(path);
	struct stat st;
	struct err e;

	if (stat(dir, &st) || !S_ISDIR(st.st_mode))
		return xasprintf("there is no directory %s", dir);
	if (!is_safe(&st))
		return xasprintf("others may write to %s", dir);
	if (access(dir, W_OK | X_OK))
		return xasprintf("%s cannot be written", dir);
	if (!lstat(path, &st) ? !is_stale(role, path, &st) : errno != ENOENT)
		return xasprintf(IS_TAKEN, path);
	return made_by_another(state_dir, path, &e) ? xasprintf("another move that is not over has %s", path) : NULL;
}

int names_check_fifo(const struct args_file *f, struct err *e)
{
	const char *path = f->to ?: f->path;
	AUTO_FREE char *in = xasprintf("%s.in", path), *out = xasprintf("%s.out", path);
	AUTO_FREE char *q_in = shell_quote(in), *q_out = shell_quote(out);

	if (!access(path, F_OK) || (!access(in, F_OK) && !access(out, F_OK)))
		return 0;
	return err_set(e, ENOENT, "-%s needs two named pipes at the destination, %s and %s, which do not exist there: mkfifo %s %s",
		       f->option, in, out, q_in, q_out);
}

int names_check_program(const struct args_file *f, const char *path, struct err *e)
{
	AUTO_FREE char *quoted = shell_quote(path);

	if (path_is_directory(path))
		return err_set(e, EACCES, "-%s needs program %s, which is a directory at the destination: bring the program there",
			       f->option, path);
	return access(path, X_OK) ? err_set(e, EACCES, "-%s needs program %s, which QEMU may not run at the destination: chmod +x %s there",
					    f->option, path, quoted)
				  : 0;
}

/* ---- the plan ---- */

/* Reason why that file does not have the name there that it has here, malloc'ed; NULL: it has. */
static char *why_elsewhere(const char *state_dir, const struct args_file *f)
{
	if (!args_role_is_written(f->role) || !f->to || !strcmp(f->path, f->to))
		return NULL;
	if (qemu_args_is_stream(f->path))
		return xstrdup("no process would read what QEMU writes there");
	return names_why_not(state_dir, f->role, f->path) ?: xstrdup("its name is taken");
}

static bool is_taken(const struct args_file *f, const char *why)
{
	AUTO_FREE char *taken = xasprintf(IS_TAKEN, f->path);

	return why && !strcmp(why, taken);
}

/* A network of passt, say, which the guest is without until somebody listens. */
static void tell_of_clients(const struct args_result *line, json_t *sentences)
{
	for (size_t i = 0; i < line->file_count; i++) {
		const char *path = line->files[i].to ?: line->files[i].path;

		if (line->files[i].role == ARGS_RECONNECT && path && access(path, F_OK))
			json_array_append_new(sentences,
					      json_sprintf("no process listens on %s there yet: QEMU retries until one does (-%s)", path,
							   line->files[i].option));
	}
}

void names_tell(const char *state_dir, const struct args_result *line, json_t *sentences)
{
	json_t *reasons = json_object(), *names;
	const char *reason;
	size_t i, taken = 0;

	for (i = 0; i < line->file_count; i++) {
		AUTO_FREE char *why = why_elsewhere(state_dir, &line->files[i]);

		taken += is_taken(&line->files[i], why);
	}
	for (i = 0; i < line->file_count; i++) {
		const struct args_file *f = &line->files[i];
		AUTO_FREE char *own = why_elsewhere(state_dir, f);
		const char *why = taken > 1 && is_taken(f, own) ? "other files have these names" : own;
		const char *before = json_string_value(json_object_get(reasons, why ?: ""));

		if (why)
			json_object_set_new(reasons, why, json_sprintf("%s%s%s (-%s)", before ?: "", before ? ", " : "", f->to, f->option));
	}
	json_object_foreach(reasons, reason, names)
		json_array_append_new(sentences, json_sprintf("made beside the disks, as %s: %s", reason, json_string_value(names)));
	json_decref(reasons);
	tell_of_clients(line, sentences);
}

/* ---- after a reboot ---- */

static bool is_fleeting(const char *dir)
{
	AUTO_FREE char *above = dir_of(dir);
	struct stat st, parent;

	return is_on_tmpfs(dir) && !stat(dir, &st) && !stat(above, &parent) && st.st_dev == parent.st_dev;
}

char **names_fleeting_dirs(const struct args_result *line, const char *dir)
{
	char **out = xcalloc(line->file_count + 1, sizeof(*out));
	size_t n = 0;

	for (size_t i = 0; i < line->file_count; i++) {
		const struct args_file *f = &line->files[i];
		char *of = args_role_is_written(f->role) && f->to && *f->to == '/' ? dir_of(f->to) : NULL;

		if (of && !words_have(out, n, of) && strcmp(of, dir) != 0 && is_fleeting(of))
			out[n++] = of;
		else
			free(of);
	}
	return out;
}
