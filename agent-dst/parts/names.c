/* names.c: see names.h. */
#include "names.h"
#include "image-lock.h"
#include "open-regular.h"
#include "unix-socket.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD	    4096 /* bytes of a file, by which it is told what that is */
#define SECTOR	    512	 /* what an image's length is a multiple of */
#define PIDFILE_MAX 32

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

	if (lstat(f->to, &st))
		return 0;
	used = fd >= 0 ? image_is_written(fd) : S_ISSOCK(st.st_mode) && unix_is_bound(f->to);
	if (fd >= 0 && f->role != ARGS_LISTEN && fstat(fd, &st)) /* it follows links, there */
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
