/* bundle-at-rest.c: see bundle-at-rest.h. */
#include "bundle-at-rest.h"
#include "bundle-tar.h"
#include "open-regular.h"
#include "same-file.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int bundle_read_dir(struct bundle *b, const char *dir, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, BUNDLE_MANIFEST), *text = NULL;
	AUTO_CLOSE int fd = open_regular(path);
	size_t n;
	int r = fd < 0 ? fd : read_regular(fd, BUNDLE_MANIFEST_MAX, &text, &n);

	if (fd == -ENOENT)
		return err_set(e, ENOENT, "%s has no %s: it is no bundle, or one that was not finished", dir, BUNDLE_MANIFEST);
	if (r == -EFBIG)
		return err_set(e, EINVAL, "%s is longer than %u MiB", path, BUNDLE_MANIFEST_MAX >> 20);
	if (r)
		return err_sys(e, -r, "cannot read %s", path);
	return bundle_parse(b, text, n, e) ? err_prefix(e, "%s", path) : 0;
}

/* ---- a stream in a file ---- */

/* The header there. 1: *m; 0: the end. */
static int header_at(int fd, uint64_t at, struct tar_member *m, struct err *e)
{
	uint8_t h[TAR_BLOCK];

	return pread(fd, h, sizeof(h), (off_t)at) == (ssize_t)sizeof(h) ? tar_header_parse(h, m, e) : err_set(e, EINVAL, "it is cut off");
}

static uint64_t behind(uint64_t at, const struct tar_member *m)
{
	return at + TAR_BLOCK + m->size + tar_padding(m->size);
}

static int read_stream(int fd, struct bundle *b, struct err *e)
{
	AUTO_FREE char *text = NULL;
	struct tar_member m;
	int r = header_at(fd, 0, &m, e);

	if (r < 0)
		return r;
	if (!r || strcmp(m.name, BUNDLE_MANIFEST) || m.size > BUNDLE_MANIFEST_MAX)
		return err_set(e, EINVAL, "it does not begin with the manifest of a bundle");
	text = xmalloc(m.size + 1);
	return pread(fd, text, m.size, TAR_BLOCK) == (ssize_t)m.size ? bundle_parse(b, text, m.size, e)
								     : err_set(e, EINVAL, "it is cut off");
}

int bundle_read(struct bundle *b, const char *from, struct err *e)
{
	AUTO_CLOSE int fd = path_is_directory(from) ? -1 : open_regular(from);

	if (fd < 0 && path_is_directory(from))
		return bundle_read_dir(b, from, e);
	if (fd < 0)
		return err_sys(e, -fd, "cannot open %s", from);
	return read_stream(fd, b, e) ? err_prefix(e, "%s is no bundle", from) : 0;
}

/* A file that has been cut off has not all of it. */
static int find_member(int fd, const struct bundle_file *f, uint64_t *offset, struct err *e)
{
	struct tar_member m;
	struct stat st;
	int r;

	if (fstat(fd, &st))
		return err_sys(e, errno, "it cannot be read");
	for (uint64_t at = 0; (r = header_at(fd, at, &m, e)) > 0; at = behind(at, &m)) {
		if (strcmp(m.name, f->file))
			continue;
		*offset = at + TAR_BLOCK;
		return m.size == f->bytes && *offset + m.size <= (uint64_t)st.st_size ? 0 : err_set(e, EINVAL, "it is cut off");
	}
	return r ?: err_set(e, ENOENT, "it has no %s", f->file);
}

int bundle_locate(const char *from, const struct bundle_file *f, char **path, uint64_t *offset, struct err *e)
{
	AUTO_CLOSE int fd = path_is_directory(from) ? -1 : open_regular(from);
	int r = 0;

	*offset = 0;
	*path = path_is_directory(from) ? xasprintf("%s/%s", from, f->file) : xstrdup(from);
	if (fd >= 0)
		r = find_member(fd, f, offset, e);
	else if (!path_is_directory(from))
		r = err_sys(e, -fd, "cannot open %s", from);
	else if (access(*path, R_OK))
		r = err_sys(e, errno, "%s", *path);
	if (!r)
		return 0;
	free(*path);
	*path = NULL;
	return err_prefix(e, "bundle %s", from);
}
