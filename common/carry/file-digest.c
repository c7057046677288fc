/* file-digest.c: see file-digest.h. */
#include "file-digest.h"
#include "hex.h"
#include "open-regular.h"
#include "util.h"
#include "xxh.h"

#include <errno.h>
#include <sys/stat.h>

#define CHUNK	MIB
#define SAMPLES 3

static int add(XXH3_state_t *hash, int fd, uint64_t from, uint64_t bytes, uint8_t *buf)
{
	while (bytes) {
		ssize_t n = pread(fd, buf, MIN(bytes, CHUNK), (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO; /* the file has become shorter */
		XXH3_128bits_update(hash, buf, (size_t)n);
		from += (uint64_t)n;
		bytes -= (uint64_t)n;
	}
	return 0;
}

int file_digest(const char *path, bool whole, uint64_t *size, char hex[FILE_DIGEST_CHARS + 1], struct err *e)
{
	AUTO_CLOSE int fd = open_regular(path);
	AUTO_FREE uint8_t *buf = xmalloc(CHUNK);
	XXH128_canonical_t canonical;
	XXH3_state_t *hash;
	struct stat st;
	uint64_t n;
	int r = 0, i;

	if (fd == -EINVAL)
		return err_set(e, EINVAL, "%s is not a regular file", path);
	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, fd < 0 ? -fd : errno, "cannot read %s", path);
	n = (uint64_t)st.st_size;
	hash = XXH3_createState();
	XXH3_128bits_reset(hash);
	whole = whole || n <= FILE_DIGEST_WHOLE;
	if (whole)
		r = add(hash, fd, 0, n, buf);
	for (i = 0; !whole && i < SAMPLES && !r; i++)
		r = add(hash, fd, (n - CHUNK) / (SAMPLES - 1) * (uint64_t)i, CHUNK, buf);
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(hash));
	XXH3_freeState(hash);
	if (r)
		return err_sys(e, -r, "cannot read %s", path);
	hex_format(canonical.digest, sizeof(canonical.digest), hex);
	*size = n;
	return 0;
}
