/* store-cost.c: see store-cost.h. */
#include "store-cost.h"
#include "util.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FIRST_BYTES (256 * KIB)
#define LAST_BYTES  (32 * MIB)
#define PIECE_BYTES (256 * KIB)
#define LIMIT_NS    150000000ULL /* nothing more is begun after it */
#define FREE_BYTES  (1024 * MIB)

static bool has_room(int fd)
{
	struct statvfs vfs;

	return !fstatvfs(fd, &vfs) && (uint64_t)vfs.f_bavail * vfs.f_frsize >= FREE_BYTES;
}

/* True if n bytes from at on are on stable storage. */
static bool store(int fd, const uint8_t *piece, uint64_t at, uint64_t n)
{
	uint64_t end = at + n;

	for (; at < end; at += PIECE_BYTES)
		if (pwrite(fd, piece, PIECE_BYTES, (off_t)at) != (ssize_t)PIECE_BYTES)
			return false;
	return !fdatasync(fd);
}

double store_bps(const char *dir)
{
	AUTO_CLOSE int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	AUTO_FREE uint8_t *piece = xmalloc(PIECE_BYTES);
	uint64_t began = now_ns(), since, at = 0, n;
	double bps = 0;

	/* random bytes: no file system makes them smaller */
	if (fd < 0 || !has_room(fd) || getrandom(piece, PIECE_BYTES, 0) != (ssize_t)PIECE_BYTES)
		return 0;
	for (n = FIRST_BYTES; n <= LAST_BYTES && (!at || now_ns() - began < LIMIT_NS); n *= 2) {
		since = now_ns();
		if (!store(fd, piece, at, n))
			break;
		bps = (double)n * 1e9 / (double)MAX(now_ns() - since, 1);
		at += n;
	}
	return bps;
}
