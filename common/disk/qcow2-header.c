/* qcow2-header.c: see qcow2-header.h. */
#include "qcow2-header.h"
#include "be.h"
#include "open-regular.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HEADER_MAX	   65536 /* limit of the header, which lies in the first cluster and is far smaller */
#define V2_BYTES	   72
#define V3_BYTES	   104
#define NAME_MAX_BYTES	   1023
#define USES_DATA_FILE	   (1u << 2)
#define OTHER_COMPRESSION  (1u << 3)
#define EXTENDED_L2	   (1u << 4)
#define LAZY_REFCOUNTS	   1u /* bit of the compatible features */
#define EXT_END		   0
#define EXT_BACKING_FORMAT 0xe2792acaU
#define EXT_DATA_FILE_NAME 0x44415441U
#define EXT_BITMAPS	   0x23852875U

static char *text(const uint8_t *p, size_t n)
{
	char *s = xmalloc(n + 1);

	memcpy(s, p, n);
	s[n] = '\0';
	return s;
}

/* A name without NUL in it. */
static bool is_text(const uint8_t *p, size_t n)
{
	return n && n <= NAME_MAX_BYTES && !memchr(p, 0, n);
}

static int malformed(const char *path, const char *what, struct err *e)
{
	return err_set(e, EBADMSG, "%s begins as a qcow2 image, and is not: %s", path, what);
}

static int read_extensions(const char *path, struct qcow2_header *h, const uint8_t *p, size_t n, size_t at, bool has_data_file,
			   struct err *e)
{
	while (n - at >= 8) {
		uint32_t type = be32(p + at), len = be32(p + at + 4);
		char **out = type == EXT_BACKING_FORMAT			   ? &h->backing_format
			     : type == EXT_DATA_FILE_NAME && has_data_file ? &h->data_file
									   : NULL;

		at += 8;
		if (type == EXT_END)
			return 0;
		if (len > n - at)
			return malformed(path, "an extension of its header is too long", e);
		if (out && (*out || !is_text(p + at, len)))
			return malformed(path, "a name in its header", e);
		if (out)
			*out = text(p + at, len);
		if (type == EXT_BITMAPS && len >= 4)
			h->bitmaps = be32(p + at);
		at += MIN(((size_t)len + 7) & ~(size_t)7, n - at);
	}
	return 0;
}

static int parse(const char *path, struct qcow2_header *h, const uint8_t *p, size_t n, struct err *e)
{
	uint32_t version, name_bytes, header_bytes = V2_BYTES;
	uint64_t name_at, features = 0;
	bool has_data_file;
	int r;

	if (n < V2_BYTES || memcmp(p, "QFI\xfb", 4))
		return 0;
	h->is_qcow2 = true;
	version = be32(p + 4);
	name_at = be64(p + 8);
	name_bytes = be32(p + 16);
	h->bytes = be64(p + 24);
	h->encrypted = be32(p + 32) != 0;
	h->snapshots = be32(p + 60);
	if (version >= 3) {
		if (n < V3_BYTES)
			return malformed(path, "it is too short", e);
		features = be64(p + 72);
		header_bytes = be32(p + 100);
	}
	if (version < 2 || version > 3 || header_bytes < V2_BYTES || header_bytes > n)
		return malformed(path, "its version or the size of its header", e);
	if (name_at && (name_at > n || name_bytes > n - name_at || !is_text(p + name_at, name_bytes)))
		return malformed(path, "the name of its backing file", e);
	if (name_at)
		h->backing = text(p + name_at, name_bytes);
	has_data_file = features & USES_DATA_FILE;
	h->is_ordinary = version == 3 && be32(p + 20) == 16 && be32(p + 96) == 4 && !(features & (OTHER_COMPRESSION | EXTENDED_L2)) &&
			 !(be64(p + 80) & LAZY_REFCOUNTS);
	r = read_extensions(path, h, p, name_at ? (size_t)MAX(name_at, header_bytes) : n, header_bytes, has_data_file, e);
	if (!r && has_data_file && !h->data_file)
		r = malformed(path, "it has an external data file, and does not say which", e);
	return r;
}

int qcow2_header_parse(const char *path, const uint8_t *p, size_t n, struct qcow2_header *out, struct err *e)
{
	int r;

	*out = (struct qcow2_header){.is_qcow2 = false};
	r = parse(path, out, p, n, e);
	if (r)
		qcow2_header_fini(out);
	return r;
}

int qcow2_header_read(const char *path, struct qcow2_header *out, struct err *e)
{
	AUTO_FREE uint8_t *p = xmalloc(HEADER_MAX);
	AUTO_CLOSE int fd = open_regular(path);
	ssize_t n;

	if (fd < 0)
		return err_sys(e, -fd, "cannot read %s", path);
	n = pread(fd, p, HEADER_MAX, 0);
	if (n < 0)
		return err_sys(e, errno, "cannot read %s", path);
	return qcow2_header_parse(path, p, (size_t)n, out, e);
}

void qcow2_header_fini(struct qcow2_header *h)
{
	FREE_ALL(h->backing, h->backing_format, h->data_file);
	*h = (struct qcow2_header){.is_qcow2 = false};
}
