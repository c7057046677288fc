/* image-base.c: see image-base.h. The format: docs/interop/qcow2.txt of QEMU. */
#include "image-base.h"
#include "be.h"
#include "guest-description.h"
#include "open-regular.h"
#include "ova.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_BYTES	 104u
#define NAME_MAX_BYTES	 1023u /* limit of qcow2 */
#define EXTENSIONS_MAX	 64u
#define FORMAT_EXTENSION 0xe2792acau

enum { AT_NAME = 8, AT_NAME_BYTES = 16, AT_HEADER_BYTES = 100, HEADER_BYTES_V2 = 72 };

static bool read_all(int fd, void *to, size_t n, uint64_t at)
{
	return at < INT64_MAX && pread(fd, to, n, (off_t)at) == (ssize_t)n;
}

/* The format of its base as the image says it; malloc'ed, NULL: it does not. */
static char *read_format(int fd, const uint8_t head[HEAD_BYTES])
{
	uint64_t at = be32(head + 4) < 3 ? HEADER_BYTES_V2 : be32(head + AT_HEADER_BYTES);

	for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
		uint8_t x[8];
		char word[17] = "";

		if (!read_all(fd, x, sizeof(x), at) || !be32(x))
			return NULL;
		if (be32(x) == FORMAT_EXTENSION)
			return be32(x + 4) < sizeof(word) && read_all(fd, word, be32(x + 4), at + 8) ? xstrdup(word) : NULL;
		at += 8 + (((uint64_t)be32(x + 4) + 7) & ~7ull);
	}
	return NULL;
}

/* Sets *name and *format to what the image says of its base; NULL: it has none. */
static int read_base(char **name, char **format, const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open_regular(path);
	uint8_t head[HEAD_BYTES] = {0};
	uint32_t n;

	*name = *format = NULL;
	if (fd < 0)
		return err_sys(e, -fd, "cannot open %s", path);
	if (!read_all(fd, head, sizeof(head), 0) || memcmp(head, "QFI\xfb", 4) != 0) /* QEMU might read a base that we have not seen */
		return err_set(e, EINVAL, "cannot read the header of %s, so cannot tell whether it has a backing file", path);
	if (!be64(head + AT_NAME))
		return 0;
	n = be32(head + AT_NAME_BYTES);
	if (!n || n > NAME_MAX_BYTES)
		return err_set(e, EINVAL, "%s is damaged: the name of its base has %u bytes", path, n);
	*name = xcalloc(1, n + 1);
	if (!read_all(fd, *name, n, be64(head + AT_NAME)) || strlen(*name) != n)
		return err_set(e, EINVAL, "%s is damaged: the name of its base is not there", path);
	*format = read_format(fd, head);
	return 0;
}

/* True if the directory belongs to the guest alone, which holds only for the folder of a description: beside an image there may be images
 * of other guests. */
static bool is_own_folder(const struct base_wish *w, const char *of, size_t dir)
{
	return w->folder && strlen(w->folder) == dir && !strncmp(w->folder, of, dir);
}

static bool lies_beside(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && S_ISREG(st.st_mode);
}

/* The file that the user names for it: the same, or one that is called so. */
static char *among_named(const struct base_wish *w, const char *name)
{
	for (size_t i = 0; i < w->count; i++)
		if (!strcmp(described_base(w->files[i]), described_base(name)))
			return realpath(w->files[i], NULL);
	return NULL;
}

/* Finds the base `name` of image `of`. label: the image's name for messages. *is_named: the user names the base, so its contents are not
 * doubted. */
static int find_base(char **out, bool *is_named, const struct base_wish *w, const char *of, const char *label, const char *name,
		     struct err *e)
{
	size_t dir = (size_t)(described_base(of) - of);
	const char *plain = strncmp(name, "file:", 5) ? name : name + 5;
	AUTO_FREE char *path = NULL;
	bool is_beside;

	if (strchr(plain, ':') && *plain != '/')
		return err_set(e, EINVAL,
			       "%s is on '%.200s', which is not a file: make one image of both first (qemu-img convert -O qcow2 IMAGE NEW)",
			       label, name);
	*out = among_named(w, plain);
	*is_named = *out != NULL;
	if (*out)
		return 0;
	path = *plain == '/' ? xstrdup(plain) : xasprintf("%.*s%s", (int)dir, of, plain);
	is_beside = is_own_folder(w, of, dir) && !strncmp(path, of, dir) && plain_file_name(path + dir) && lies_beside(path);
	if (is_beside || w->all)
		*out = realpath(path, NULL);
	if (*out)
		return 0;
	return err_set(
		e, access(path, F_OK) ? ENOENT : EINVAL,
		"%s has a backing file, %.200s, which %s: name it (--base FILE)%s, or make one image of both first (qemu-img convert "
		"-O qcow2 IMAGE NEW)",
		label, name,
		w->all	    ? "is not here"
		: w->folder ? "is not beside it"
			    : "may be another guest's",
		w->all ? "" : ", let all be read (--flatten)");
}

static int add_base(struct image_source *s, char *path, const char *format, bool is_named, struct err *e)
{
	const bool is_raw = format && !strcmp(format, "raw");
	struct image_source b = {.path = path, .may = s->may, .is_base = true};
	int r = image_examine(&b, is_raw ? "raw" : NULL, e);

	if (!r && b.extent_count)
		r = err_set(e, EINVAL, "%s, on which %s is, consists of several files: make one of them first", path, s->path);
	if (!r && s->base_count == IMAGE_BASES_MAX)
		r = err_set(e, EINVAL, "%s is on more than %d others", s->path, IMAGE_BASES_MAX);
	if (!r) {
		s->bases = xrealloc(s->bases, (s->base_count + 1) * sizeof(*s->bases));
		s->bases[s->base_count++] =
			(struct image_base){.path = xstrdup(path), .driver = b.driver, .size = b.size, .is_named = is_named};
	}
	image_source_fini(&b);
	return r;
}

int image_find_bases(struct image_source *s, struct err *e)
{
	static const struct base_wish none;
	const char *of = s->path;
	bool is_named = false;
	int r = 0;

	while (!r) {
		AUTO_FREE char *name = NULL, *format = NULL;
		char *path = NULL;

		r = read_base(&name, &format, of, e);
		if (r || !name)
			return r;
		r = find_base(&path, &is_named, s->may ? s->may : &none, of, s->base_count ? of : image_source_label(s), name, e);
		if (!r)
			r = add_base(s, path, format, is_named, e);
		else
			free(path);
		if (r)
			return r;
		of = s->bases[s->base_count - 1].path;
		if (strcmp(s->bases[s->base_count - 1].driver, "qcow2") != 0)
			return 0;
	}
	return r;
}

struct image_source image_base_source(const struct image_source *s, size_t i)
{
	const struct image_base *b = &s->bases[i];

	return (struct image_source){.path = b->path,
				     .driver = b->driver,
				     .size = b->size,
				     .bases = s->bases + i + 1,
				     .base_count = s->base_count - i - 1};
}
