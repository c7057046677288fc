/* packed-sources.c: see packed-sources.h. */
#include "packed-sources.h"
#include "life.h"
#include "open-regular.h"
#include "packed.h"
#include "space.h"
#include "tarred-disk.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define COPY_BYTES (1u << 20)

/* ---- archives ---- */

int archive_open(struct sources *s, const struct archive_kind *kind, struct err *e)
{
	int r = unpack_look(&s->packed, s->description, e);

	s->archive = kind;
	if (!r && !s->packed.config)
		r = err_set(e, EINVAL, "%s: it has no %s of a guest", s->description, kind->text);
	if (r)
		return r;
	s->text = xstrdup(s->packed.config);
	s->text_bytes = s->packed.config_bytes;
	return 0;
}

/* However much there is in it, it is no less than the archive itself. */
static int check_space(const struct sources *s, const char *dir, struct err *e)
{
	struct stat st;

	return stat(s->description, &st) ? err_sys(e, errno, "cannot read %s", s->description)
					 : space_check_dir(dir, (uint64_t)st.st_size, "what is in the archive", e);
}

/* ---- images that are compressed each by itself ---- */

/* A disk that is raw begins with whatever its guest writes, unless its name says that it is packed. */
static bool is_packed(const struct image_source *k, const struct described_disk *d)
{
	bool is_raw = k->is_raw || (d->format && !d->elsewhere && !strcmp(d->format, "raw"));
	AUTO_CLOSE int fd = open_regular(k->path);
	uint8_t head[TARRED_HEAD];
	ssize_t n = (is_raw && !packed_is_called_so(k->path)) || fd < 0 ? 0 : pread(fd, head, sizeof(head), (off_t)k->offset);
	uint64_t ignored;

	return n > 0 && (packed_is(head, (size_t)n) || tarred_disk_is(head, (size_t)n, &ignored));
}

/* A member of an archive, as a file of its own: what is behind it is not of it. */
static int copy_slice(const struct image_source *k, const char *to, struct err *e)
{
	AUTO_CLOSE int in = open_regular(k->path), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	AUTO_FREE char *buf = xmalloc(COPY_BYTES);

	if (in < 0 || out < 0)
		return err_sys(e, in < 0 ? -in : errno, "cannot copy %s", k->path);
	for (uint64_t at = 0; at < k->size;) {
		ssize_t n = pread(in, buf, (size_t)MIN(COPY_BYTES, k->size - at), (off_t)(k->offset + at));

		if (n <= 0 || write(out, buf, (size_t)n) != n)
			return err_sys(e, n ? errno : EIO, "cannot copy %s", k->path);
		at += (uint64_t)n;
		if (life_interrupted())
			return err_set(e, ECANCELED, "interrupted");
	}
	return 0;
}

/* Limit for unpacking: free space, less 5 %. The archive's own word on its size cannot be trusted. */
static uint64_t free_bytes(const char *dir)
{
	struct statvfs v;

	return statvfs(dir, &v) ? 0 : (uint64_t)v.f_bavail * v.f_frsize / 100 * 95;
}

/* Unpacks one image; sets *was_raw. */
static int unpack_image(bool *was_raw, const char *from, const char *to, const char *dir, struct err *e)
{
	struct packed_content c;
	int r = unpack_look(&c, from, e);

	*was_raw = c.kind == PACKED_DISK && c.disk_count == 1;
	if (!r && *was_raw)
		r = unpack_tarred_disk(from, &(struct unpack_target){.number = 1, .bytes = c.disks[0].bytes, .path = to}, e);
	else if (!r)
		r = unpack_plain(from, to, free_bytes(dir), e);
	packed_content_fini(&c);
	return r;
}

static int unpack_one(struct sources *s, size_t i, const char *dir, struct err *e)
{
	struct image_source *k = &s->disks[i];
	AUTO_FREE char *part = xasprintf("%s/%zu.packed", s->spool.path, i);
	char *to = xasprintf("%s/%zu.image", s->spool.path, i);
	bool was_raw = false;
	int r = k->is_slice ? space_check_dir(dir, k->size, "what is in the archive", e) : 0;

	if (!r && k->is_slice)
		r = copy_slice(k, part, e);
	r = r ?: unpack_image(&was_raw, k->is_slice ? part : k->path, to, dir, e);
	if (k->is_slice)
		unlink(part);
	if (r) {
		free(to);
		return r;
	}
	*k = (struct image_source){.path = to, .packed = k->path, .is_raw = k->is_raw, .was_raw = was_raw};
	return 0;
}

static int unpack_each(struct sources *s, struct guest_description *d, const char *dir, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < d->disk_count; i++) {
		if (!s->disks[i].path || !is_packed(&s->disks[i], &d->disks[i]))
			continue;
		life_stage(life_now(), "unpacking");
		r = s->spool.path ? 0 : spool_make_in(&s->spool, dir, e);
		r = r ?: unpack_one(s, i, dir, e);
	}
	return r;
}

/* ---- both ---- */

int sources_unpack(struct sources *s, struct guest_description *d, const char *dir, struct err *e)
{
	if (!s->archive)
		return unpack_each(s, d, dir, e);
	return check_space(s, dir, e) ?: spool_make_in(&s->spool, dir, e) ?: s->archive->unpack(s, d, e);
}

void sources_clean(struct sources *s)
{
	spool_remove(&s->spool);
}
