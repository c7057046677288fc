/* convert.c: see convert.h. */
#include "convert.h"
#include "child.h"
#include "life.h"
#include "narrow.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ANSWER_MAX 4096
#define WRITES_S   (4ULL << 20) /* bytes: so many at least are unpacked in a second of CPU time */
/* bytes that are written back while others do something with the file: fewer are fast enough, and disturb */
#define SYNC_STEP (1LL << 30)

struct answer {
	char text[ANSWER_MAX];
	size_t n;
};

static void gather(void *ctx, const char *text, size_t n)
{
	struct answer *a = ctx;

	n = MIN(n, ANSWER_MAX - a->n);
	memcpy(a->text + a->n, text, n);
	a->n += n;
}

int convert_run(char *const *argv, const struct image_source *s, const char *target, uint64_t write_bytes, program_said_fn output,
		void *ctx, struct err *e)
{
	size_t count = s->extent_count + s->base_count + 1;
	AUTO_FREE char **files = xcalloc(count, sizeof(*files));
	const struct narrow n = {.read = files,
				 .read_count = count,
				 .write = target,
				 .write_bytes = write_bytes,
				 .more_s = (unsigned)MIN((s->size >> 30) + (target ? s->needed_bytes / WRITES_S : 0), 100000000u)};
	int dir = (int)(strrchr(s->path, '/') - s->path), r;

	if (s->is_own)
		return child_run(argv, output, ctx, e);
	files[0] = xstrdup(s->path);
	for (size_t i = 0; i < s->extent_count; i++)
		files[i + 1] = xasprintf("%.*s/%s", dir, s->path, s->extents[i]);
	for (size_t i = 0; i < s->base_count; i++)
		files[s->extent_count + 1 + i] = xstrdup(s->bases[i].path);
	r = narrow_run(argv, &n, output, ctx, e);
	for (size_t i = 0; i < count; i++)
		free(files[i]);
	return r;
}

/* Sizes of the converted image: "required" must be allocated, "fully-allocated" is the maximum. */
static int measure(const char *qemu_img, const struct image_source *s, const char *name, const char *format, uint64_t *required,
		   uint64_t *whole, struct err *e)
{
	char *argv[] = {(char *)qemu_img, "measure", "--output=json", "-O", (char *)format, "--", (char *)name, NULL};
	struct answer a = {.n = 0};
	json_int_t r, w;
	json_t *o;
	int failed = convert_run(argv, s, NULL, 0, gather, &a, e);

	if (failed)
		return failed;
	o = json_loadb(a.text, a.n, 0, NULL);
	r = json_integer_value(json_object_get(o, "required"));
	w = json_integer_value(json_object_get(o, "fully-allocated"));
	json_decref(o);
	if (r <= 0 || w <= 0)
		return err_set(e, EIO, "%s says nothing of its size", qemu_img);
	*required = (uint64_t)r;
	*whole = (uint64_t)w;
	return 0;
}

/* The longest that an image of that disk can become: qcow2's tables are a few thousandths of its data. */
static uint64_t target_max(const struct image_source *s)
{
	return s->virtual_bytes + s->virtual_bytes / 256 + 64 * MIB;
}

int convert_measure(const char *qemu_img, struct image_source *s, uint64_t *virtual_bytes, uint64_t *needed, struct err *e)
{
	AUTO_FREE char *name = image_source_name(s);
	uint64_t ignored;
	int r;

	if (!name)
		return err_set(e, EILSEQ, "%s has a name that is not UTF-8 text", s->path);
	r = measure(qemu_img, s, name, "raw", &ignored, virtual_bytes, e);
	/* a raw file has holes, too, where there is nothing */
	r = r ?: measure(qemu_img, s, name, "qcow2", needed, &ignored, e);
	if (r)
		return err_prefix(e, "%s", s->path);
	/* QEMU does not tell what of it is allocated, but it compresses nothing: all that there is lies in the file */
	if (!strcmp(s->driver, "vhdx"))
		*needed = MIN(*needed, s->size + *virtual_bytes / 1024 + 4 * MIB);
	s->virtual_bytes = *virtual_bytes;
	s->needed_bytes = *needed;
	return 0;
}

#define CLUSTER 65536u /* cluster size of qcow2 */

/* Clusters with something in them between two places of the file. */
static int count_data(int fd, uint64_t from, uint64_t to, uint64_t *clusters)
{
	AUTO_FREE uint8_t *buf = xmalloc(MIB);

	for (; from < to; from += MIB) {
		ssize_t n = pread(fd, buf, (size_t)MIN(to - from, MIB), (off_t)from), at;

		if (n <= 0)
			return n ? -errno : -EIO;
		if (life_interrupted())
			return -ECANCELED;
		for (at = 0; at < n; at += CLUSTER) {
			size_t each = (size_t)MIN(n - at, (ssize_t)CLUSTER);

			*clusters += buf[at] || memcmp(buf + at, buf + at + 1, each - 1);
		}
		if ((uint64_t)n < MIN(to - from, MIB))
			from -= MIB - (uint64_t)n;
	}
	return 0;
}

static int measure_zeros(const struct image_source *s, uint64_t *needed, struct err *e)
{
	AUTO_CLOSE int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint64_t clusters = 0, at = s->offset, end = s->offset + s->size;
	int r = fd < 0 ? -errno : 0;

	while (!r && at < end) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			break; /* nothing but a hole is left */
		hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (data < 0 || hole < 0) { /* a device that has no holes */
			data = (off_t)at;
			hole = (off_t)end;
		}
		r = count_data(fd, MIN((uint64_t)data - ((uint64_t)data - s->offset) % CLUSTER, end), MIN((uint64_t)hole, end), &clusters);
		at = (uint64_t)hole;
	}
	if (r == -ECANCELED)
		return err_set(e, ECANCELED, "interrupted");
	if (r)
		return err_sys(e, -r, "cannot look through %s", s->path);
	*needed = MIN(s->needed_bytes, clusters * CLUSTER + s->virtual_bytes / 1024 + 4 * MIB);
	return 0;
}

int convert_measure_zeros(const struct image_source *disks, size_t count, uint64_t *needs, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < count && !r; i++)
		if (needs[i] && !strcmp(disks[i].driver, "raw"))
			r = measure_zeros(&disks[i], &needs[i], e);
	return r;
}

struct shown {
	char line[64];
	size_t n;
	int target;
	off_t step, next; /* bytes between what is begun to be written back, so that the sync at its end is short */
};

static void write_back(struct shown *s)
{
	struct stat st;

	if (fstat(s->target, &st) || st.st_blocks * 512 < s->next)
		return;
	sync_file_range(s->target, 0, 0, SYNC_FILE_RANGE_WRITE);
	s->next = st.st_blocks * 512 + s->step;
}

/* "    (12.34/100%)\r" */
static void show(void *ctx, const char *text, size_t n)
{
	struct shown *s = ctx;
	double percent;

	for (size_t i = 0; i < n; i++) {
		if (text[i] != '\r' && text[i] != '\n') {
			if (s->n < sizeof(s->line) - 1)
				s->line[s->n++] = text[i];
			continue;
		}
		s->line[s->n] = '\0';
		s->n = 0;
		if (sscanf(s->line, " (%lf/", &percent) == 1)
			life_percent(life_now(), percent);
		write_back(s);
	}
}

/* options: words for -o; NULL: none. */
static int create(const char *qemu_img, const char *target, const char *format, const char *options, const char *size, struct err *e)
{
	char *argv[11] = {(char *)qemu_img, "create", "-q", "-f", (char *)format};
	size_t n = 5;

	if (options) {
		argv[n++] = "-o";
		argv[n++] = (char *)options;
	}
	argv[n++] = "--";
	argv[n++] = (char *)target;
	argv[n++] = (char *)size;
	return child_run(argv, NULL, NULL, e);
}

/*
 * zstd takes a quarter of the time of qcow2's own zlib, and as much room. QEMU reads it since 5.1, where it was built with it. What qemu-img
 * cannot write, it refuses here, at once, and the result is NULL. Leaves an image of no meaning in target.
 */
static const char *codec_of(const char *qemu_img, const char *target)
{
	static const char zstd[] = "compression_type=zstd";
	struct err ignored;

	return create(qemu_img, target, "qcow2", zstd, "64k", &ignored) ? NULL : zstd;
}

int convert_image(const char *qemu_img, const struct image_source *s, const char *target, const char *format, const struct convert_how *how,
		  const char *what, struct err *e)
{
	AUTO_FREE char *name = image_source_name(s), *rate = how && how->rate ? xasprintf("%llu", (unsigned long long)how->rate) : NULL;
	char *argv[14] = {(char *)qemu_img, "convert", "-p", "-O", (char *)format};
	AUTO_CLOSE int fd = open(target, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct shown shown = {.target = fd};
	const char *codec;
	size_t n = 5;
	int r;

	if (!name)
		return err_set(e, EILSEQ, "%s has a name that is not UTF-8 text", s->path);
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", target);
	if (how && how->compress)
		argv[n++] = "-c";
	codec = how && how->compress ? codec_of(qemu_img, target) : NULL;
	if (codec) {
		argv[n++] = "-o";
		argv[n++] = (char *)codec;
	}
	if (rate) {
		argv[n++] = "-r";
		argv[n++] = rate;
	}
	argv[n++] = "--";
	argv[n++] = name;
	argv[n++] = (char *)target;
	if (how && how->unsynced)
		shown.step = shown.next = SYNC_STEP;
	life_stage(life_now(), what);
	r = convert_run(argv, s, target, target_max(s), show, &shown, e);
	if (r)
		return err_prefix(e, "converting %s", s->path);
	if (!(how && how->unsynced) && fsync(fd))
		return err_sys(e, errno, "cannot sync %s", target);
	return 0;
}

int convert_blank(const char *qemu_img, const char *target, const char *format, bool compress, uint64_t bytes, struct err *e)
{
	AUTO_FREE char *size = xasprintf("%llu", (unsigned long long)bytes);
	const char *codec = compress ? codec_of(qemu_img, target) : NULL;
	AUTO_CLOSE int fd = open(target, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r = create(qemu_img, target, format, codec, size, e);

	if (r)
		return err_prefix(e, "making a blank disk %s", target);
	return fd >= 0 && !fsync(fd) ? 0 : err_sys(e, errno, "cannot sync %s", target);
}
