/*
 * move-files.c: sends the host files that the guest only reads and the destination lacks, over the control channel, before
 * the destination's QEMU is started. Holes are left out. Which files is the destination's decision (ACCEPT).
 */
#include "move-private.h"
#include "log.h"
#include "open-regular.h"
#include "util.h"
#include "xxh.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK	(256 * KIB)
#define TICK_MS 5
#define SECOND	(1000 / TICK_MS)

struct file_out {
	uint32_t file; /* index in DESCRIBE's files */
	const char *path;
	int fd;
	struct stat st; /* when it was opened: it may not change */
	uint64_t at;	/* up to here it was sent */
	struct XXH3_state_s *hash;
};

struct files_out {
	struct file_out *files;
	size_t count, now;
	uint64_t left, sent, begin_ns;
	int64_t credit; /* bytes that --bwlimit lets go now; negative after a piece that was more */
	unsigned ticks;
};

/* Only what was offered, by a wish: of all files that the guest has, a destination gets no others (keys, say). */
static int open_file(struct files_out *out, const json_t *described, uint32_t file, struct err *e)
{
	struct file_out *f = &out->files[out->count];
	const json_t *entry = json_array_get(described, file);
	const char *path = json_string_value(json_object_get(entry, "path"));

	if (!path || !json_object_get(entry, "wish"))
		return err_set(e, EPROTO, "the destination wants file %u, which it was not offered", file);
	*f = (struct file_out){.file = file, .path = path, .fd = open_regular(path)};
	if (f->fd < 0)
		return err_sys(e, -f->fd, "cannot read %s, which the guest needs at the destination", path);
	out->count++;
	f->hash = XXH3_createState();
	XXH3_128bits_reset(f->hash);
	if (fstat(f->fd, &f->st))
		return err_sys(e, errno, "cannot read %s", path);
	out->left += (uint64_t)f->st.st_size;
	return 0;
}

int files_plan(struct move *m, struct err *e)
{
	const json_t *described = json_object_get(m->description, "files"), *carry = json_object_get(m->plan, "carry");
	struct files_out *out = xcalloc(1, sizeof(*out));
	json_t *c;
	size_t i;
	int r = 0;

	m->files = out;
	out->files = xcalloc(json_array_size(carry) + 1, sizeof(*out->files));
	json_array_foreach((json_t *)carry, i, c) {
		const char *transfer = json_string_value(json_object_get(c, "transfer"));
		json_int_t file = json_integer_value(json_object_get(c, "file"));

		if (!r && transfer && !strcmp(transfer, "copy"))
			r = open_file(out, described, file < 0 ? UINT32_MAX : (uint32_t)file, e);
	}
	return r;
}

void files_start(struct move *m)
{
	m->files->begin_ns = now_ns();
	if (m->files->count)
		conductor_tick(&m->con, TICK_MS);
}

static void send_end(struct move *m, struct file_out *f)
{
	XXH128_canonical_t digest;
	struct msg_file_end end = {.file = f->file, .size = (uint64_t)f->st.st_size};
	uint8_t buf[64];
	struct writer w = writer_of(buf, sizeof(buf));

	XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(f->hash));
	memcpy(end.digest, digest.digest, sizeof(end.digest));
	msg_file_end_encode(&w, &end);
	channel_post(m->control, MSG_FILE_END, buf, writer_len(&w));
}

/* Where there is data at or behind f->at; the size if there is none. */
static uint64_t next_data(const struct file_out *f)
{
	off_t at = lseek(f->fd, (off_t)f->at, SEEK_DATA);

	if (at < 0)
		return errno == ENXIO ? (uint64_t)f->st.st_size : f->at; /* EINVAL: this file system does not tell */
	return MAX((uint64_t)at, f->at);
}

/* 1: a piece was sent; 0: the window is full, or the file is done (f->at is its size); -errno. */
static int send_piece(struct move *m, struct file_out *f, struct err *e)
{
	uint64_t size = (uint64_t)f->st.st_size, at = next_data(f);
	uint8_t *p, place[8];
	struct writer w = writer_of(place, sizeof(place));
	ssize_t n;

	if (at >= size) {
		f->at = size;
		return 0;
	}
	p = channel_begin(m->control, 12 + CHUNK);
	if (!p)
		return 0;
	n = pread(f->fd, p + 12, MIN(CHUNK, size - at), (off_t)at);
	if (n <= 0) { /* an empty piece: the frame that was begun must go */
		err_sys(e, n ? errno : EIO, "cannot read %s", f->path);
		n = 0;
	}
	write_u64(&w, at);
	XXH3_128bits_update(f->hash, place, sizeof(place));
	XXH3_128bits_update(f->hash, p + 12, (size_t)n);
	w = writer_of(p, 12);
	write_u32(&w, f->file);
	write_u64(&w, at);
	channel_commit(m->control, MSG_FILE_DATA, 12 + (size_t)n);
	f->at = at + (uint64_t)n;
	m->files->sent += (uint64_t)n;
	return n ? 1 : -e->code;
}

static int check_unchanged(const struct file_out *f, struct err *e)
{
	struct stat st;

	if (fstat(f->fd, &st) || st.st_size != f->st.st_size || st.st_mtim.tv_sec != f->st.st_mtim.tv_sec ||
	    st.st_mtim.tv_nsec != f->st.st_mtim.tv_nsec)
		return err_set(e, ESTALE, "%s was changed while it was copied", f->path);
	return 0;
}

static void show(struct move *m)
{
	struct files_out *out = m->files;
	double seconds = (double)(now_ns() - out->begin_ns) / 1e9, bps = (double)out->sent / seconds;
	uint64_t left = out->left, i;

	for (i = 0; i < out->count; i++)
		left -= out->files[i].at;
	report_emit(&m->report, json_pack("{s:s,s:s,s:f,s:s,s:[],s:I,s:I,s:f,s:f,s:b}", "event", "progress", "stage", "prepare", "t_ms",
					  (double)(now_ns() - m->begin_ns) / 1e6, "file", out->files[out->now].path, "disks", "left", (json_int_t)left, "disk_left", (json_int_t)left,
					  "rate_bps", bps, "eta_s", bps > 1e5 ? (double)left / bps : 0.0, "second", true));
}

int files_on_tick(struct move *m, struct err *e)
{
	struct files_out *out = m->files;
	uint64_t limit = __atomic_load_n(&m->shared.pacer.bytes_per_s, __ATOMIC_RELAXED);
	int r = 1;

	out->credit = limit ? MIN(out->credit, 0) + (int64_t)(limit * TICK_MS / 1000) : INT64_MAX / 2;
	while (r > 0 && out->now < out->count && out->credit > 0) {
		struct file_out *f = &out->files[out->now];
		uint64_t before = out->sent;

		r = send_piece(m, f, e);
		out->credit -= (int64_t)(out->sent - before);
		if (r || f->at < (uint64_t)f->st.st_size)
			continue;
		r = check_unchanged(f, e);
		if (r)
			break;
		send_end(m, f);
		out->now++;
		r = 1;
	}
	if (r < 0)
		return r;
	if (out->now == out->count)
		conductor_tick(&m->con, 0);
	else if (++out->ticks % SECOND == 0)
		show(m);
	return 0;
}

void files_free(struct move *m)
{
	size_t i;

	if (!m->files)
		return;
	for (i = 0; i < m->files->count; i++) {
		close(m->files->files[i].fd);
		XXH3_freeState(m->files->files[i].hash);
	}
	free(m->files->files);
	free(m->files);
}
