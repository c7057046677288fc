/* own-file.c: see own-file.h. */
#include "own-file.h"
#include "durable-file.h"
#include "hex.h"
#include "json-text.h"
#include "lease.h"
#include "log.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ATTEMPTS_NAME  ".vmferry-" /* prefix of an attempt's id: nobody else makes such a name */
#define ENDING_MS      1000	   /* files of a process that was just ended may be closed a moment later */
#define PAUSE_MS       10
#define QEMU_LOCKS     100 /* bytes of an image by which QEMU says what it does with it (block/file-posix.c) */
#define QEMU_LOCKS_LEN 200

/* ---- the identity of a file ---- */

struct identity {
	mode_t mode;
	bool covered;			     /* something is mounted there: this is not what lies beneath */
	json_int_t device, inode, btime;     /* ns; -1: none */
	char handle[2 * MAX_HANDLE_SZ + 16]; /* "": none */
};

static void read_handle(const char *path, char *out, size_t cap)
{
	union {
		struct file_handle head;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h = {.head = {.handle_bytes = MAX_HANDLE_SZ}};
	int mount, n;

	if (name_to_handle_at(AT_FDCWD, path, &h.head, &mount, 0))
		return;
	n = snprintf(out, cap, "%d:", h.head.handle_type);
	if ((size_t)n + 2 * h.head.handle_bytes < cap)
		hex_format(h.head.f_handle, h.head.handle_bytes, out + n);
}

static int identify(const char *path, struct identity *id)
{
	struct statx x;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &x))
		return -errno;
	*id = (struct identity){.mode = x.stx_mode,
				.covered = x.stx_attributes & STATX_ATTR_MOUNT_ROOT,
				.device = (json_int_t)makedev(x.stx_dev_major, x.stx_dev_minor),
				.inode = (json_int_t)x.stx_ino,
				.btime = -1};
	if (x.stx_mask & STATX_BTIME && x.stx_btime.tv_sec > 0)
		id->btime = (json_int_t)x.stx_btime.tv_sec * 1000000000 + x.stx_btime.tv_nsec;
	read_handle(path, id->handle, sizeof(id->handle));
	return 0;
}

/* The inode of the directory that path is in; 0: there is none. */
static json_int_t dir_inode(const char *path)
{
	AUTO_FREE char *copy = xstrdup(path);
	struct stat st;

	return stat(dirname(copy), &st) ? 0 : (json_int_t)st.st_ino;
}

int own_file_know(const char *path, const char *as, json_t **out, struct err *e)
{
	struct identity id;
	int r = identify(path, &id);

	if (r)
		return err_sys(e, -r, "cannot look at %s", path);
	*out = json_pack("{s:s,s:I,s:I}", "path", as, "device", id.device, "inode", id.inode);
	if (!*out)
		return err_set(e, EILSEQ, "the name %s is not UTF-8 text", as);
	if (dir_inode(path))
		json_object_set_new(*out, "dir", json_integer(dir_inode(path)));
	if (id.btime >= 0)
		json_object_set_new(*out, "btime", json_integer(id.btime));
	if (*id.handle)
		json_object_set_new(*out, "handle", json_string(id.handle));
	return 0;
}

int own_file_know_contents(const char *path, const char *as, json_t **out, struct err *e)
{
	struct stat st;
	int r = own_file_know(path, as, out, e);

	if (r)
		return r;
	if (lstat(path, &st)) {
		json_decref(*out);
		*out = NULL;
		return err_sys(e, errno, "cannot look at %s", path);
	}
	json_object_set_new(*out, "size", json_integer((json_int_t)st.st_size));
	json_object_set_new(*out, "written", json_integer((json_int_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec));
	return 0;
}

enum likeness { SAME, OTHER, UNSURE };

static enum likeness compare(const json_t *known, const struct identity *id, bool rebooted)
{
	json_t *inode = json_object_get(known, "inode"), *btime = json_object_get(known, "btime");
	const char *handle = json_text(known, "handle");
	bool moved = json_integer_value(json_object_get(known, "device")) != id->device;

	bool born = btime && id->btime >= 0, handled = handle && *id->handle && !moved && !rebooted;

	if (!inode)
		return strstr(json_text(known, "path"), ATTEMPTS_NAME) ? SAME : UNSURE;
	if (json_integer_value(inode) != id->inode || (moved && !rebooted))
		return OTHER;
	if ((born && json_integer_value(btime) != id->btime) || (handled && strcmp(handle, id->handle)))
		return OTHER;
	return born || handled ? SAME : UNSURE;
}

/* ---- users of a file ---- */

static bool is_in_use(int fd, const char *path, const struct identity *id, pid_t *pid)
{
	int r = fd >= 0 ? lease_try(fd, F_WRLCK) : -ENOTSUP;

	*pid = 0;
	if (S_ISSOCK(id->mode))
		return false; /* the socket has the birth time of our QEMU's, and that QEMU has ended */
	if (r)
		*pid = process_that_opened(path, 0);
	return r == -EAGAIN || *pid;
}

static int refuse_open_in(const char *path, pid_t pid, const char *more, struct err *e)
{
	AUTO_FREE char *who = pid > 0 ? process_text(pid) : xstrdup("a process that cannot be seen from here");

	return err_set(e, EBUSY, "%s is open in %s%s", path, who, more);
}

static int refuse_used(const char *path, pid_t pid, struct err *e)
{
	refuse_open_in(path, pid, ", and stays; delete it when it is no longer needed", e);
	return 1;
}

static int open_regular(const char *path, const struct identity *id)
{
	return S_ISREG(id->mode) ? open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
}

/* 0: the file at the path is the one that known means; *id: its identity. 1: that file is gone. Or -errno. */
static int find(const json_t *known, bool rebooted, struct identity *id, struct err *e)
{
	json_int_t dir = json_integer_value(json_object_get(known, "dir"));
	const char *path = json_text(known, "path");
	int r = identify(path, id);

	if (r == -ENOENT && dir && dir_inode(path) && dir_inode(path) != dir)
		return err_set(e, ENOENT, "%s is in another directory than it was in: is its file system mounted?", path);
	if (r == -ENOENT || r == -ENOTDIR)
		return 1;
	if (r)
		return err_sys(e, -r, "cannot look at %s", path);
	if (id->covered)
		return err_set(e, EBUSY, "cannot remove %s: something is mounted there", path);
	switch (compare(known, id, rebooted)) {
	case SAME:
		return 0;
	case OTHER:
		log_info("%s is another's by now", path);
		return 1;
	case UNSURE:
		break;
	}
	return err_set(e, EUCLEAN, "cannot tell whether %s is still the file that vmferry made: if it is, and is not needed, delete it",
		       path);
}

int own_file_look(const json_t *known, bool rebooted, struct err *e)
{
	struct identity id;

	return find(known, rebooted, &id, e);
}

bool own_file_is_unwritten(const json_t *known)
{
	struct stat st;

	return !lstat(json_text(known, "path") ?: "", &st) && json_integer_value(json_object_get(known, "size")) == st.st_size &&
	       json_integer_value(json_object_get(known, "written")) == (json_int_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

bool own_file_is_there(const json_t *known, bool rebooted)
{
	struct err ignored;

	return !own_file_look(known, rebooted, &ignored);
}

int own_file_remove(const json_t *known, bool rebooted, struct err *e)
{
	const char *path = json_text(known, "path");
	uint64_t until = now_ns() + ENDING_MS * 1000000ULL;
	AUTO_CLOSE int fd = -1;
	struct identity id;
	pid_t pid;
	int r = find(known, rebooted, &id, e);

	if (r)
		return MIN(r, 0);
	fd = open_regular(path, &id);
	while (is_in_use(fd, path, &id, &pid)) {
		if (now_ns() > until)
			return refuse_used(path, pid, e);
		poll(NULL, 0, PAUSE_MS);
	}
	return unlink(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path) : 0;
}

bool own_file_has_lost_its_directory(const json_t *known, struct err *e)
{
	const char *path = json_text(known, "path");

	if (!json_object_get(known, "dir") || dir_inode(path))
		return false;
	err_set(e, ENOTDIR, "the directory of %s is gone: if it was renamed, and not deleted, the file is in it still; delete it then",
		path);
	return true;
}

int own_file_set_aside(const char *path, const char *aside, struct err *e)
{
	int r = rename_new(path, aside);

	return r ? err_sys(e, -r, "cannot give %s the name %s", path, aside) : sync_parent_dir(path, e);
}

/* Finds the file by its name, which contains the attempt's id: no other file has it, whatever identity another mount or boot shows. */
int own_file_put_back(const json_t *known, const char *place, struct err *e)
{
	const char *aside = json_text(known, "path");
	struct stat st, there;
	bool taken = !lstat(place, &there), gone = lstat(aside, &st) != 0;
	int r;

	if (gone && taken && (json_int_t)there.st_ino == json_integer_value(json_object_get(known, "inode")))
		return 0; /* the file never left, or is back */
	if (gone || !S_ISREG(st.st_mode))
		return err_set(e, ENOENT, "the old copy %s is not at %s, where it was put: is its file system mounted?", place, aside);
	r = rename_new(aside, place);
	return r ? err_sys(e, -r, "cannot give %s its name %s back", aside, place) : sync_parent_dir(place, e);
}

/* True if a QEMU has locked it, perhaps on another host that has it mounted. */
static bool is_locked(int fd)
{
	struct flock bytes = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = QEMU_LOCKS, .l_len = QEMU_LOCKS_LEN};

	return !fcntl(fd, F_OFD_GETLK, &bytes) && bytes.l_type != F_UNLCK;
}

int own_file_unused(const char *path, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct identity id;
	pid_t pid;
	int r = identify(path, &id);

	if (r)
		return err_sys(e, -r, "cannot look at %s", path);
	fd = open_regular(path, &id);
	if (fd >= 0 && is_locked(fd)) {
		AUTO_FREE char *who = process_text(process_that_opened(path, 0));

		return err_set(e, EBUSY, "%s is locked by a QEMU (%s)", path, who);
	}
	if (!is_in_use(fd, path, &id, &pid))
		return 0;
	return refuse_open_in(path, pid, "", e);
}
