/* disks-throttle.c: slowing the guest's writes down (--on-stall=throttle): QEMU's own I/O limits, and theirs who had set some. */
#include "disks-private.h"
#include "json-text.h"

#include <errno.h>

#define THROTTLE_MIN MIB

static json_t *throttle_args(const char *qdev, uint64_t write_bytes_per_s)
{
	return json_pack("{s:s,s:i,s:i,s:I,s:i,s:i,s:i}", "id", qdev, "bps", 0, "bps_rd", 0, "bps_wr", (json_int_t)write_bytes_per_s,
			 "iops", 0, "iops_rd", 0, "iops_wr", 0);
}

int disks_throttle(struct disks *ds, uint64_t bytes_per_s, struct err *e)
{
	int r = 0;

	ds->throttled = true;
	for (unsigned i = 0; i < ds->count && !r; i++) {
		struct disk *d = ds->list[i];

		if (!d->guest->qdev || d->has_throttle) /* the user's own limit stays */
			continue;
		r = attempt_own(ds->part.a, "throttle", json_pack("{s:s}", "qdev", d->guest->qdev), e);
		if (!r)
			r = qmp_call(ds->src->qmp, "block_set_io_throttle",
				     throttle_args(d->guest->qdev, MAX(THROTTLE_MIN, bytes_per_s / ds->count)), NULL, e);
	}
	return r;
}

static int unthrottle(struct source *s, const json_t *detail, struct err *e)
{
	const char *qdev = json_text(detail, "qdev");

	if (!qdev)
		return err_set(e, EBADMSG, "the journal does not say which disk");
	return qmp_call(s->qmp, "block_set_io_throttle", throttle_args(qdev, 0), NULL, e);
}

int disks_undo_throttle(struct part *p, const json_t *detail, struct err *e)
{
	return MIN(source_undo(disks_of(p)->src, unthrottle, detail, e), 0);
}
