/* box.c: see box.h. */
#include "box.h"
#include "life.h"
#include "open-regular.h"
#include "space.h"
#include "unpack.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define COPY_BYTES (1u << 20)

static int make_spool(struct sources *s, const char *dir, struct err *e)
{
	AUTO_FREE char *real = realpath(dir, NULL);

	if (s->spool.path)
		return 0;
	if (life_now()) /* the guest's name is not known yet */
		life_about(life_now(), described_base(s->description), real, 0);
	return real ? spool_make_in(&s->spool, real, e) : err_sys(e, errno, "--disk-dir %s", dir);
}

/* Unpacks at most as much as there is room for: an archive does not tell its unpacked size. */
static int unpack(struct sources *s, const char *dir, struct err *e)
{
	struct statvfs v;
	int r = make_spool(s, dir, e);

	if (r)
		return r;
	if (statvfs(s->spool.path, &v))
		return err_sys(e, errno, "cannot see how much room there is in %s", s->spool.path);
	s->tar = xasprintf("%s/archive.tar", s->spool.path);
	life_stage(life_now(), "unpacking");
	return unpack_plain(s->description, s->tar, (uint64_t)v.f_bavail * v.f_frsize, e);
}

/* ---- members as files ---- */

static int copy_part(int from, int to, uint8_t *buf, uint64_t at, uint64_t n, struct err *e)
{
	size_t each;

	for (uint64_t done = 0; done < n; done += each) {
		ssize_t got = pread(from, buf, MIN(n - done, COPY_BYTES), (off_t)(at + done));

		if (life_interrupted())
			return err_set(e, ECANCELED, "interrupted");
		if (got <= 0 || pwrite(to, buf, (size_t)got, (off_t)done) != got)
			return err_sys(e, errno ? errno : EIO, "cannot copy what is in the archive");
		each = (size_t)got;
	}
	return 0;
}

static int extract(struct sources *s, int tar, const struct ova_member *m, struct err *e)
{
	AUTO_FREE uint8_t *buf = xmalloc(COPY_BYTES);
	AUTO_FREE char *path = xasprintf("%s/%s", s->spool.path, m->name);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, errno, "cannot make %s", path);
	errno = 0;
	return copy_part(tar, fd, buf, m->offset, m->size, e);
}

/* A disk of VMware's may consist of several files, which lie beside it. */
static int extract_all(struct sources *s, const struct ova *o, int tar, const char *vmx, const char *dir, struct err *e)
{
	uint64_t bytes = 0;
	int r;

	for (size_t i = 0; i < o->n; i++)
		bytes += o->members[i].size;
	r = space_check_dir(dir, bytes, "what is in the archive", e) ?: make_spool(s, dir, e);
	for (size_t i = 0; !r && i < o->n; i++)
		r = extract(s, tar, &o->members[i], e);
	if (r)
		return r;
	free(s->description);
	s->description = xasprintf("%s/%s", s->spool.path, vmx);
	return 0;
}

/* ---- ---- */

static const char *member_with(const struct ova *o, const char *ending)
{
	for (size_t i = 0; i < o->n; i++)
		if (described_ends_with(o->members[i].name, ending))
			return o->members[i].name;
	return NULL;
}

static const char *member_behind(const struct ova *o, const char *name, const char *ending)
{
	bool is_behind = false;

	for (size_t i = 0; i < o->n; i++) {
		if (is_behind && described_ends_with(o->members[i].name, ending))
			return o->members[i].name;
		is_behind |= o->members[i].name == name;
	}
	return NULL;
}

static int look(struct sources *s, const struct ova *o, int tar, enum file_kind *kind, const char *dir, struct err *e)
{
	const char *vmx = member_with(o, ".vmx"), *another = vmx ? member_behind(o, vmx, ".vmx") : NULL;

	*kind = KIND_OVA;
	if (member_with(o, ".ovf"))
		return 0;
	if (another)
		return err_set(e, EINVAL, "%.100s and %.100s in it each describe a guest: unpack it, and name one", vmx, another);
	if (vmx) {
		*kind = KIND_VMX;
		return extract_all(s, o, tar, vmx, dir, e);
	}
	if (ova_find(o, "metadata.json"))
		*kind = KIND_BOX;
	return 0;
}

int box_open(struct sources *s, enum file_kind *kind, const char *dir, struct err *e)
{
	AUTO_FREE char *path = xstrdup(s->description);
	AUTO_CLOSE int fd = -1;
	struct ova o = {.n = 0};
	int r = *kind == KIND_PACKED ? unpack(s, dir, e) : 0;

	if (r)
		return r;
	if (!s->tar)
		s->tar = xstrdup(s->description);
	fd = open_regular(s->tar);
	if (fd < 0)
		return err_sys(e, -fd, "cannot open %s", path);
	r = ova_read(&o, fd, e) ?: look(s, &o, fd, kind, dir, e);
	ova_fini(&o);
	return r ? err_prefix(e, "%s", path) : 0;
}
