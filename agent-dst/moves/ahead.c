/* ahead.c: the disks of a guest that stays where it is: they arrive as those of one that boots here, and are kept. No QEMU of its own is started. */
#include "arriving-transfer.h"

#include <errno.h>

int ahead_receive(struct transfer *t, struct err *e)
{
	return disks_start_helper(&t->disks, e) ?: disks_open(&t->disks, &t->data.shared, e);
}

int ahead_finish(struct transfer *t, struct err *e)
{
	(void)t;
	return err_set(e, EPROTO, "the source ends the move of a guest whose disks alone were to be brought");
}
