/* disks-writeback.c: what the guest wrote is brought to stable storage here shortly before it is stopped: QEMU does that when it stops it,
 * and then the guest waits for it. Once in a move, and not for long: what takes longer QEMU is left to wait for. */
#include "disks-private.h"
#include "disk-io.h"
#include "log.h"

#include <string.h>

#define WAIT_MS 1000

struct writeback {
	struct disks *ds;
	struct disk_io *io;
	struct disk_req req;
};

/* Closing waits for a sync that the kernel is at, which then is done and closes, too. */
static void close_once(struct writeback *w)
{
	struct disk_io *io = w->io;

	w->io = NULL;
	disk_io_close(io);
}

static void on_synced(struct disk_req *req, int res)
{
	struct writeback *w = container_of(req, struct writeback, req);
	const char *path = w->ds->list[w - w->ds->writing.jobs]->guest->real_path;

	if (res)
		log_info("disk %s cannot be brought to stable storage here: %s", path, strerror(-res));
	else
		log_info("disk %s is on stable storage here", path);
	w->ds->writing.left--;
	close_once(w);
}

static void begin(struct disks *ds)
{
	struct err e;

	ds->writing.jobs = xcalloc(ds->count, sizeof(*ds->writing.jobs));
	ds->writing.began_ns = now_ns();
	for (unsigned i = 0; i < ds->count; i++) {
		struct writeback *w = &ds->writing.jobs[i];

		w->ds = ds;
		w->req.done = on_synced;
		if (disk_io_open_raw(&w->io, ds->part.a->loop, &(struct disk_at){.path = ds->list[i]->guest->real_path}, &e)) {
			log_info("%s", e.msg);
			continue;
		}
		ds->writing.left++;
		disk_io_sync(w->io, &w->req);
	}
}

bool disks_written_back(struct disks *ds)
{
	if (!ds->count || !loop_has_io_uring(ds->part.a->loop)) /* writeback without io_uring would hold up everything */
		return true;
	if (!ds->writing.jobs)
		begin(ds);
	return !ds->writing.left || now_ns() - ds->writing.began_ns > WAIT_MS * 1000000ULL;
}

void disks_end_writeback(struct disks *ds)
{
	for (unsigned i = 0; ds->writing.jobs && i < ds->count; i++)
		close_once(&ds->writing.jobs[i]);
	free(ds->writing.jobs);
	ds->writing.jobs = NULL;
}
