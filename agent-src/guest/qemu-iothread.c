/*
 * qemu-iothread.c: a disk whose I/O is done in a thread of its own, in a QEMU that would abort by what we do to others.
 *
 * QEMU before 9.0 closes the export of such a disk without that thread's lock once a client of its NBD server has gone, and aborts
 * (nbd_blockdev_client_closed()): the guest would be lost as soon as its disks have been read, or as a move of it is taken back.
 *
 * QEMU 9.0 and later abort if such a guest is stopped while a mirror of the disk comes to its end (job_set_aio_context(); seen with 10.0 and
 * 11.1, not with a thread of the disk's controller).
 */
#include "qemu-discover.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define FIRST_GOOD_MAJOR 9
#define BACKEND		 "/virtio-backend"

/* Sets *thread to the path of the iothread of the device at that path, or of the controller whose bus it is on; NULL: QEMU's main one. */
static int thread_at(const struct guest *g, struct qmp *q, const char *at, json_t **thread, struct err *e)
{
	AUTO_FREE char *path = xstrdup(at);
	char *backend = strstr(path, BACKEND);
	int r;

	if (backend)
		backend[sizeof(BACKEND) - 1] = '\0';
	r = guest_get(g, q, path, "iothread", thread, e);
	if (!r && *thread && !*(json_string_value(*thread) ?: "")) {
		json_decref(*thread);
		*thread = NULL;
	}
	return r;
}

int guest_has_thread(const struct guest *g, struct qmp *q, const char *device, bool *has, struct err *e)
{
	json_auto_t *thread = NULL, *queues = NULL;
	int r = thread_at(g, q, device, &thread, e);

	if (!r && !thread) /* a thread for each of its queues */
		r = guest_get(g, q, device, "iothread-vq-mapping", &queues, e);
	*has = thread || json_array_size(queues);
	return r;
}

int guest_check_iothread(const struct guest *g, struct qmp *q, const struct guest_disk *d, struct err *e)
{
	AUTO_FREE char *path = guest_disk_device(d);
	json_auto_t *thread = NULL, *bus = NULL;
	int r;

	if (g->version.major >= FIRST_GOOD_MAJOR || !d->qdev)
		return 0;
	r = thread_at(g, q, path, &thread, e);
	if (!r && !thread)
		r = guest_get(g, q, path, "parent_bus", &bus, e);
	if (!r && !thread && *(json_string_value(bus) ?: ""))
		r = thread_at(g, q, json_string_value(bus), &thread, e);
	if (r || !thread)
		return r;
	return err_set(
		e, ENOTSUP,
		"disk %s has a thread of its own (iothread=), and QEMU %d.%d, which runs the guest, ends once such a disk has been read "
		"over NBD (fixed in QEMU 9.0). The guest can go with --how cold: it is shut down here, and boots there",
		d->real_path ?: d->node, g->version.major, g->version.minor);
}
