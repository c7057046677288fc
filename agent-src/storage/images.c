/* images.c: images before they are used and afterwards: made, removed, set aside (moving.h). */
#include "block-device.h"
#include "durable-file.h"
#include "fault.h"
#include "image-create.h"
#include "json-text.h"
#include "moving.h"
#include "own-file.h"
#include "process.h"
#include "space.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <unistd.h>

/* ---- may it be made? ---- */

static bool is_same_file(const struct stat *a, const char *path)
{
	struct stat b;

	return path && !stat(path, &b) &&
	       (S_ISBLK(a->st_mode) ? S_ISBLK(b.st_mode) && a->st_rdev == b.st_rdev : a->st_dev == b.st_dev && a->st_ino == b.st_ino);
}

/* Checks that the device is unused: by a mount, RAID, LVM or the like (O_EXCL, open(2)), by a process, by this guest. */
static int check_device(const struct storage *s, struct moving_disk *d, const struct stat *st, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	uint64_t bytes;
	char need[24], have[24];
	int r;

	for (size_t i = 0; i < s->guest.disk_count; i++)
		if (is_same_file(st, s->guest.disks[i].real_path))
			return err_set(e, EINVAL, "%s is a disk of this guest already", d->to);
	r = block_device_open_alone(d->to, &fd, e);
	if (r)
		return r;
	if (strcmp(d->format, "raw"))
		return err_set(e, ENOTSUP, "%s is a block device: on one the disk is raw (--format raw)", d->to);
	r = block_device_size(fd, d->to, &bytes, e);
	if (r)
		return r;
	if (bytes < d->bytes)
		return err_set(e, ENOSPC, "the block device %s has %s, and the disk %s", d->to, format_bytes(have, bytes),
			       format_bytes(need, d->bytes));
	d->to_device = true;
	d->to_shows = bytes > d->bytes ? d->bytes : 0;
	d->needed = 0;
	return block_device_check_blank(fd, d->to, bytes, e);
}

static int check_place(const struct storage *s, struct moving_disk *d, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(d->to);
	AUTO_FREE char *base = xstrdup(d->to);
	AUTO_FREE char *dir = realpath(dirname(copy), NULL);
	struct stat st;

	if (!dir)
		return err_sys(e, errno, "the directory of %s", d->to);
	if (!text_is_utf8(d->to) || !text_is_utf8(dir))
		return err_set(e, EILSEQ, "the name %s is not UTF-8 text", d->to);
	if (!stat(d->to, &st) && S_ISBLK(st.st_mode))
		return check_device(s, d, &st, e);
	if (!lstat(d->to, &st))
		return err_set(e, EEXIST, "%s exists already, and nothing is written over: choose another name", d->to);
	if (errno != ENOENT)
		return err_sys(e, errno, "cannot look at %s", d->to);
	if (access(dir, W_OK | X_OK))
		return err_sys(e, errno, "the directory of %s", d->to);
	free(d->to);
	d->to = xasprintf("%s/%s", strcmp(dir, "/") ? dir : "", basename(base));
	return 0;
}

static int check_room(const struct storage *s, struct err *e)
{
	struct space space = {.count = 0};
	int r = 0;

	for (unsigned i = 0; i < s->count && !r; i++) {
		AUTO_FREE char *copy = xstrdup(s->disks[i].to);

		if (!s->disks[i].to_device)
			r = space_add(&space, dirname(copy), s->disks[i].needed, e);
	}
	r = r ?: space_check(&space, e);
	space_fini(&space);
	return r;
}

int storage_images_check(const struct storage *s, struct err *e)
{
	unsigned i, k;
	int r = 0;

	for (i = 0; i < s->count && !r; i++)
		r = check_place(s, &s->disks[i], e);
	for (i = 0; i < s->count && !r; i++)
		for (k = 0; k < i && !r; k++)
			if (!strcmp(s->disks[i].to, s->disks[k].to))
				r = err_set(e, EINVAL, "two disks cannot go to %s", s->disks[i].to);
	return r ?: check_room(s, e);
}

/* ---- making ---- */

static unsigned index_of(const struct storage *s, const struct moving_disk *d)
{
	return (unsigned)(d - s->disks);
}

static int note(struct storage *s, const struct moving_disk *d, const char *what, json_t *detail /* stolen */, struct err *e)
{
	AUTO_FREE char *kind = xasprintf("%s-%u", what, index_of(s, d));

	return life_journal_note(&s->life, kind, detail, e);
}

static const json_t *noted(const struct storage *s, const struct moving_disk *d, const char *what)
{
	AUTO_FREE char *kind = xasprintf("%s-%u", what, index_of(s, d));

	return journal_last_note(s->life.journal, kind);
}

int storage_image_make(struct storage *s, struct moving_disk *d, struct err *e)
{
	/* Rights of the old image apply to the new one; if the old one is a block device, only we may use the new one. */
	struct rights rights = RIGHTS_NONE;
	const struct image im = {.path = d->to, .format = d->format, .bytes = s->rest ? 0 : d->bytes, .rights = &rights};
	AUTO_CLOSE int fd = -1;
	json_t *made;
	int r;

	if (d->to_device)
		return 0;
	r = note(s, d, "making", json_pack("{s:s}", "path", d->to), e);
	fault_point("src-making");
	if (r)
		return r;
	fd = open(d->to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "cannot create %s", d->to);
	r = own_file_know(d->to, d->to, &made, e) ?: note(s, d, "made", made, e);
	if (!r && !d->old.is_device)
		r = rights_read(&rights, d->from, e);
	r = r ?: image_dress(fd, &im, e);
	if (r > 0)
		life_note(&s->life, "%s", e->msg);
	return MIN(r, 0);
}

/* Checks that the path still leads to the image that we wrote: a restore, or a copy of another host's files, may have put another file in
 * its place. */
static int check_is_ours(const struct storage *s, const struct moving_disk *d, struct err *e)
{
	const json_t *made = noted(s, d, "made");
	struct err ignored; /* a file system on which that cannot be told */
	bool other = made && own_file_look(made, s->rebooted, &ignored) > 0;

	return other || (!s->rest && !process_has_open(s->guest.pid, d->to))
		       ? err_set(e, ESTALE, "another program removed the new image %s, or put another in its place", d->to)
		       : 0;
}

int storage_image_sync(const struct storage *s, const struct moving_disk *d, struct err *e)
{
	AUTO_CLOSE int fd = open(d->to, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd))
		return err_sys(e, errno, "cannot sync %s", d->to);
	return check_is_ours(s, d, e);
}

/* ---- removing ---- */

/* Removes an image that the journal names. Another file that has its name by now stays. */
static int remove_known(const struct storage *s, const json_t *known, struct err *e)
{
	int r = own_file_remove(known, s->rebooted, e);

	return r ? -e->code : sync_parent_dir(json_text(known, "path"), e);
}

/* The file was about to be made, and only this attempt can have left it in that state. */
static int remove_unmade(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size || st.st_blocks)
		return 0;
	return unlink(path) ? err_sys(e, errno, "cannot remove %s", path) : sync_parent_dir(path, e);
}

int storage_image_remove(struct storage *s, const struct moving_disk *d, struct err *e)
{
	const json_t *made = noted(s, d, "made");

	if (d->to_device || !noted(s, d, "making"))
		return 0;
	return made ? remove_known(s, made, e) : remove_unmade(d->to, e);
}

/* ---- the old image ---- */

int old_set_aside(struct storage *s, const struct moving_disk *d, struct err *e)
{
	int r;

	if (!d->old.aside)
		return 0;
	r = note(s, d, "aside", json_pack("{s:s,s:s}", "path", d->from, "aside", d->old.aside), e);
	if (r)
		return r;
	r = own_file_look(d->old.was, s->rebooted, e);
	if (r &&
	    r != -EUCLEAN) /* 1: it has that name already, or somebody has put another in its place; a name can be given back, so doubt is no reason */
		return MIN(r, 0);
	return own_file_set_aside(d->from, d->old.aside, e);
}

int old_put_back(const struct moving_disk *d, struct err *e)
{
	int r;

	if (!d->old.aside || access(d->old.aside, F_OK))
		return 0;
	r = rename_new(d->old.aside, d->from);
	return r ? err_sys(e, -r, "cannot give %s its name %s back", d->old.aside, d->from) : sync_parent_dir(d->from, e);
}

static int remove_old(const struct storage *s, const struct moving_disk *d, const char *path, struct err *e)
{
	json_auto_t *known = json_copy(d->old.was);

	json_object_set_new(known, "path", json_string(path));
	return remove_known(s, known, e);
}

void old_settle(struct storage *s, const struct moving_disk *d)
{
	const char *now = d->old.aside && !access(d->old.aside, F_OK) ? d->old.aside : d->from;
	struct err e;

	if (d->old.another) {
		life_note(
			&s->life,
			"another file has the name of the old disk %s: it is left as it is. See to it that nothing starts the guest from it",
			d->from);
	} else if (d->old.is_device || !d->old.was) {
		life_note(&s->life, "the old disk %s is as it was when the guest left it: see to it that nothing starts the guest from it",
			  d->from);
	} else if (s->old == OLD_REMOVE) {
		if (remove_old(s, d, now, &e))
			life_leftover(&s->life, "the old image: %s", e.msg);
	} else if (s->old == OLD_ASIDE && old_set_aside(s, d, &e)) {
		life_leftover(&s->life, "the old image %s: %s", d->from, e.msg);
	} else if (d->old.aside && access(d->old.aside, F_OK)) {
		life_note(&s->life, "the old image %s is not there any more", d->from);
	} else {
		life_note(&s->life, "the old image is %s, as it was when the guest left it: it may be deleted",
			  d->old.aside ? d->old.aside : d->from);
	}
}
