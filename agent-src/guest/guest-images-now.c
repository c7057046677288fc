/* guest-images-now.c: which images a running QEMU has, by what it has open: for a guest without a monitor that could tell. See guest-at-rest.h. */
#include "guest-at-rest.h"
#include "image-lock.h"
#include "process.h"
#include "qcow2-header.h"
#include "same-file.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Flags of open(2) that the descriptor has; -1: it is gone. */
static int flags_of(pid_t pid, const char *number)
{
	char path[64], text[256] = "";
	const char *at;
	AUTO_CLOSE int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", (int)pid, number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return -1;
	at = strstr(text, "flags:");
	return at ? (int)strtol(at + strlen("flags:"), NULL, 8) : -1;
}

static bool is_file_of(const struct guest *down, const struct args_result *line, const struct stat *st)
{
	for (size_t i = 0; i < down->disk_count; i++)
		if (path_leads_to(down->disks[i].real_path, st))
			return true;
	for (size_t i = 0; i < line->file_count; i++)
		if (line->files[i].path && path_leads_to(line->files[i].path, st))
			return true;
	return false;
}

/* An image of a disk, and not a log, a lock file or memory: QEMU locks it, or it has the header of one. */
static bool is_image(const char *path)
{
	struct qcow2_header h;
	struct err ignored;
	bool yes;

	if (image_is_locked_to_write(path))
		return true;
	if (qcow2_header_read(path, &h, &ignored))
		return false;
	yes = h.is_qcow2;
	qcow2_header_fini(&h);
	return yes;
}

/* A descriptor of the running QEMU, by its number in /proc, leads to a file that its line names, or to no image. */
static int check_open(const struct guest *running, const struct guest *down, const struct args_result *line, const char *number,
		      struct err *e)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/fd/%s", (int)running->pid, number);
	char name[4096] = "";
	int flags = flags_of(running->pid, number);
	struct stat st;

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || stat(path, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) ||
	    readlink(path, name, sizeof(name) - 1) <= 0 || *name != '/' || text_starts_with(name, "/memfd:") ||
	    is_file_of(down, line, &st) || (S_ISREG(st.st_mode) && !is_image(path)))
		return 0;
	return err_set(
		e, ENOTSUP,
		"the guest's QEMU writes to %s, which its command line does not name (a snapshot was made, or a disk plugged in, since it "
		"was started): started again by that line, the guest would lose what is in that file",
		name);
}

static int check_disks(const struct guest *running, const struct guest *down, struct err *e)
{
	for (size_t i = 0; i < down->disk_count; i++)
		if (!process_has_open(running->pid, down->disks[i].real_path))
			return err_set(
				e, ENOTSUP,
				"the guest's QEMU does not have %s open, which its command line names as a disk (that was replaced, "
				"renamed or taken out since QEMU was started): started again by that line, the guest would lose what it "
				"has written",
				down->disks[i].real_path);
	return 0;
}

int guest_writes_to_its_line(const struct guest *running, const struct guest *down, struct err *e)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/fd", (int)running->pid);
	DIR *dir = process_shows_files(running->pid) ? opendir(path) : NULL;
	struct args_result line;
	struct dirent *d;
	int r;

	if (!dir)
		return err_set(e, ENOTSUP, "cannot tell which files its QEMU (process %d) has open", (int)running->pid);
	r = guest_look_at_line(down, true, &line, e);
	if (!r) {
		r = check_disks(running, down, e);
		while (!r && (d = readdir(dir)))
			r = *d->d_name == '.' ? 0 : check_open(running, down, &line, d->d_name, e);
		args_result_fini(&line);
	}
	closedir(dir);
	return r;
}
