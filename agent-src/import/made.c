/* made.c: see made.h. */
#include "made.h"
#include "durable-file.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

void made_init(struct made *m)
{
	*m = (struct made){.n = 0};
	if (getrandom(&m->number, sizeof(m->number), 0) != sizeof(m->number))
		abort();
}

int made_add(struct made *m, const char *path, const char **draft, struct err *e)
{
	const char *slash = strrchr(path, '/');
	struct made_file f = {.path = xstrdup(path)};
	AUTO_CLOSE int fd = -1;
	struct stat st;

	f.draft = xasprintf("%.*s/.%s.vmferry-%08x", (int)(slash - path), path, slash + 1, m->number);
	fd = open(f.draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st)) {
		err_sys(e, errno, "cannot create %s", f.draft);
		free(f.path);
		free(f.draft);
		return -e->code;
	}
	f.dev = st.st_dev;
	f.ino = st.st_ino;
	f.has_draft = true;
	m->files = xrealloc(m->files, (m->n + 1) * sizeof(*m->files));
	m->files[m->n++] = f;
	*draft = f.draft;
	return 0;
}

int made_name(struct made *m, struct err *e)
{
	size_t i;

	for (i = 0; i < m->n; i++) {
		struct made_file *f = &m->files[i];

		if (link(f->draft, f->path))
			return err_sys(e, errno, "cannot give %s its name", f->path);
		f->is_named = true;
		if (unlink(f->draft))
			return err_sys(e, errno, "cannot remove %s", f->draft);
		f->has_draft = false;
	}
	return m->n ? sync_parent_dir(m->files[0].path, e) : 0;
}

/* 1: it is still there. */
static size_t remove_ours(const struct made_file *f, const char *path)
{
	AUTO_FREE char *shown = text_shown(path);
	struct stat st;

	if (lstat(path, &st))
		return 0;
	if (st.st_dev == f->dev && st.st_ino == f->ino && !unlink(path))
		return 0;
	fprintf(stderr, "vmferry: left behind: %s: %s\n", shown,
		st.st_dev == f->dev && st.st_ino == f->ino ? strerror(errno) : "it is another file by now");
	return 1;
}

size_t made_undo(struct made *m)
{
	size_t left = 0, i;

	for (i = m->n; i-- > 0;) {
		const struct made_file *f = &m->files[i];

		if (f->is_named)
			left += remove_ours(f, f->path);
		if (f->has_draft)
			left += remove_ours(f, f->draft);
	}
	return left;
}

void made_fini(struct made *m)
{
	while (m->n) {
		free(m->files[--m->n].path);
		free(m->files[m->n].draft);
	}
	free(m->files);
}
