/* rest.c: the disks of a guest that is shut down, locked, copied and compared (storage.h): files as they are; parts of files, and block devices, as the disk. */
#include "block-device.h"
#include "disk-io.h"
#include "durable-file.h"
#include "fault.h"
#include "moving.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CHUNK (8 * MIB)
#define PART  (1 * MIB) /* bytes that are compared at a time */

/* ---- nobody else has it ---- */

int storage_rest_hold(struct storage *s, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < s->count && !r; i++)
		r = images_lock(&s->locked, s->disks[i].from, IMAGE_READ, true, "Of a guest that runs disks are moved by its name or pid",
				e);
	return r;
}

void storage_rest_let_go(struct storage *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (s->disks[i].rest.is_open)
			close(s->disks[i].rest.to);
		s->disks[i].rest.is_open = false;
	}
	images_unlock(&s->locked);
}

/* ---- copying ---- */

/* Zeros stay a hole of a new file; a device may have other contents there, so they are written to it. */
static ssize_t copy_through_us(const struct moving_disk *d, size_t n, loff_t *in, loff_t *out)
{
	static uint8_t buf[PART];
	ssize_t k = pread(d->rest.from, buf, MIN(n, sizeof(buf)), *in);

	if (k > 0 && (d->to_device || !bytes_are_zero(buf, (size_t)k)))
		k = pwrite(d->rest.to, buf, (size_t)k, *out);
	*in += MAX(k, 0);
	*out += MAX(k, 0);
	return k;
}

/* The file system's own way if it has one, through us if not. at: in the disk */
static int copy_range(const struct moving_disk *d, off_t at, size_t n, struct err *e)
{
	loff_t in = d->rest.at + at, out = at;
	bool by_us = d->old.is_device || d->to_device;
	ssize_t k;

	while (n) {
		k = by_us ? copy_through_us(d, n, &in, &out) : copy_file_range(d->rest.from, &in, d->rest.to, &out, n, 0);
		if (!by_us && k < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
			by_us = true;
			continue;
		}
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_sys(e, errno, "cannot copy %s to %s", d->from, d->to);
		if (!k)
			return err_set(e, EIO, "%s has become shorter", d->from);
		n -= (size_t)k;
	}
	return 0;
}

/* The next data of the disk, from and to; the disk's end if there are none. All of a device counts as data. */
static void next_data(const struct moving_disk *d, off_t at, off_t *begin, off_t *end)
{
	off_t last = d->rest.at + d->rest.size, from = d->rest.at + at;

	*begin = d->to_device ? from : lseek(d->rest.from, from, SEEK_DATA);
	if (*begin < 0)
		*begin = errno == ENXIO ? last : from; /* a file system that does not know has data everywhere */
	*end = *begin < last && !d->to_device ? lseek(d->rest.from, *begin, SEEK_HOLE) : last;
	if (*end < 0 || *end > last)
		*end = last;
	*begin = MIN(*begin, last) - d->rest.at;
	*end -= d->rest.at;
}

/* The guest sees whole sectors, the last of which ends with zeros. */
static int fill_last_sector(const struct moving_disk *d, struct err *e)
{
	static const uint8_t zeros[DISK_SECTOR];
	size_t n = (size_t)(disk_padded((uint64_t)d->rest.size) - (uint64_t)d->rest.size);
	int r = d->to_device ? pwrite_all(d->rest.to, zeros, n, d->rest.size) : 0;

	return r ? err_sys(e, -r, "cannot write %s", d->to) : 0;
}

static int copy_data(struct storage *s, struct moving_disk *d, struct err *e)
{
	off_t at = 0, size = d->rest.size, begin, end;
	int r;

	if (!d->to_device && ftruncate(d->rest.to, size))
		return err_sys(e, errno, "cannot make %s %lld bytes long", d->to, (long long)size);
	while (at < size) {
		next_data(d, at, &begin, &end);
		for (at = begin; at < end; at += (off_t)MIN(CHUNK, (uint64_t)(end - at))) {
			r = copy_range(d, at, MIN(CHUNK, (uint64_t)(end - at)), e);
			d->done = (uint64_t)at;
			storage_tell_progress(s);
			fault_point("src-copying");
			r = r ?: storage_wait(s, 0, e);
			if (r)
				return r;
		}
		at = end;
	}
	return fill_last_sector(d, e);
}

/* A device is nobody else's until it is the guest's: nobody mounts it meanwhile. */
static int open_new(struct moving_disk *d, struct err *e)
{
	int r = d->to_device ? block_device_open_alone(d->to, &d->rest.to, e) : 0;

	if (!d->to_device)
		d->rest.to = open(d->to, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	d->rest.is_open = !r && d->rest.to >= 0;
	return r || d->rest.is_open ? r : err_sys(e, errno, "cannot open %s", d->to);
}

static int copy(struct storage *s, struct moving_disk *d, struct err *e)
{
	const struct locked_image *from = images_locked(&s->locked, d->from);
	int r;

	d->rest.from = from->fd;
	if (goes_as_it_is(s, d))
		d->rest.size = from->st.st_size;
	d->total = 2 * (uint64_t)d->rest.size; /* the copy is read again */
	r = open_new(d, e);
	if (!r)
		r = goes_as_it_is(s, d) && !ioctl(d->rest.to, FICLONE, d->rest.from) ? 0 : copy_data(s, d, e);
	if (!r && fsync(d->rest.to))
		r = err_sys(e, errno, "cannot sync %s", d->to);
	return r;
}

/* ---- comparing ---- */

/* Compares all of both, as it is on the disk where the cache can be dropped. */
static int compare(struct storage *s, struct moving_disk *d, struct err *e)
{
	static uint8_t a[PART], b[PART];
	off_t at, size = d->rest.size;
	ssize_t n, m;
	int r = 0;

	posix_fadvise(d->rest.to, 0, 0, POSIX_FADV_DONTNEED);
	for (at = 0; at < size && !r; at += n) {
		n = pread(d->rest.from, a, MIN(sizeof(a), (size_t)(size - at)), d->rest.at + at);
		m = pread(d->rest.to, b, MAX(n, 0), at);
		if (n <= 0 || m < 0)
			return err_sys(e, n ? errno : EIO, "cannot read %s", m < 0 ? d->to : d->from);
		if (n != m || memcmp(a, b, (size_t)n))
			return err_set(e, EIO, "%s is not what was written to it, behind byte %lld", d->to, (long long)at);
		d->done = (uint64_t)(size + at);
		storage_tell_progress(s);
		r = storage_wait(s, 0, e);
	}
	if (!r && !d->to_device && lseek(d->rest.to, 0, SEEK_END) != size)
		r = err_set(e, EIO, "%s has another size than %s", d->to, d->from);
	return r;
}

/* ---- */

int storage_rest(struct storage *s, struct err *e)
{
	int r = 0;

	life_stage(&s->life, "prepare");
	for (unsigned i = 0; i < s->count && !r; i++)
		r = storage_image_make(s, &s->disks[i], e);
	fault_point("src-made");
	life_stage(&s->life, "copy");
	for (unsigned i = 0; i < s->count && !r; i++)
		r = copy(s, &s->disks[i], e);
	life_stage(&s->life, "verify");
	fault_point("src-copied");
	for (unsigned i = 0; i < s->count && !r; i++)
		r = compare(s, &s->disks[i], e);
	life_stage(&s->life, "switchover");
	r = r ?: starter_prepare(s, e) ?: images_unchanged(&s->locked, e);
	for (unsigned i = 0; i < s->count && !r; i++)
		r = storage_image_sync(s, &s->disks[i], e);
	for (unsigned i = 0; i < s->count && !r && !s->starter.path; i++)
		r = old_set_aside(s, &s->disks[i], e);
	r = r ?: starter_switch(s, e) ?: journal_state(s->life.journal, HO_SRC_COMMITTED, e);
	if (r)
		return r;
	s->committed = true;
	fault_point("src-committed");
	return 0;
}
