/* image-create.c: see image-create.h. */
#include "image-create.h"
#include "durable-file.h"
#include "log.h"
#include "qcow2-options.h"
#include "qemu-helper.h"
#include "qemu-names.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define JOB_MS 60000

bool image_format_known(const char *format)
{
	return format && (!strcmp(format, "raw") || !strcmp(format, "qcow2"));
}

static int set_blocks_aside(int fd, const struct image *im, struct err *e)
{
	int r;

	do
		r = fallocate(fd, 0, 0, (off_t)im->bytes) ? -errno : 0;
	while (r == -EINTR);
	if (r == -ENOSPC || r == -EDQUOT)
		return err_sys(e, -r, "cannot set %llu bytes aside for %s, which has all its blocks at the source",
			       (unsigned long long)im->bytes, im->as ?: im->path);
	if (r)
		log_info("%s gets its blocks when it is written to: %s", im->path, strerror(-r));
	return 0;
}

int image_dress(int fd, const struct image *im, struct err *e)
{
	struct err why;
	int r;

	if (!strcmp(im->format, "raw") && ftruncate(fd, (off_t)im->bytes))
		return err_sys(e, errno, "cannot make %s %llu bytes long", im->path, (unsigned long long)im->bytes);
	if (im->full && set_blocks_aside(fd, im, e))
		return -e->code;
	r = im->rights ? rights_give(im->rights, fd, im->as ?: im->path, e) : 0;
	if (r >= 0 && sync_parent_dir(im->path, &why))
		return *e = why, -e->code;
	return r;
}

static int create_file(const struct image *im, struct err *e)
{
	AUTO_CLOSE int fd = open(im->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(e, errno, "cannot create %s", im->path) : image_dress(fd, im, e);
}

int image_format(struct loop *l, struct qmp *q, const struct image *im, const char *node, const char *job, struct err *e)
{
	json_t *opt = json_pack("{s:s,s:s,s:I}", "driver", im->format, "file", node, "size", (json_int_t)im->bytes);
	int r;

	if (im->backing)
		json_object_set_new(opt, "backing-file", json_string(im->backing));
	if (im->backing && im->backing_format)
		json_object_set_new(opt, "backing-fmt", json_string(im->backing_format));
	if (im->cluster_size)
		json_object_set_new(opt, "cluster-size", json_integer(im->cluster_size));
	if (!strcmp(im->format, "qcow2"))
		qcow2_options_add(opt, im->qcow2);
	r = qmp_call(q, "blockdev-create", json_pack("{s:s,s:o}", "job-id", job, "options", opt), NULL, e);
	return r ?: qemu_conclude_job(q, l, job, JOB_MS, e);
}

/* A QEMU with no machine at all does what qemu-img would. */
static int run_qemu(struct loop *l, const char *qemu, char *const *env, const char *work_dir, const struct image *im, struct err *e)
{
	char *options[] = {"-machine", "none", NULL};
	struct qemu_helper h;
	int r = qemu_helper_start(&h, l, qemu, env, work_dir, options, e);

	if (r)
		return r;
	r = qmp_call(h.qmp, "blockdev-add", json_pack("{s:s,s:s,s:s}", "driver", "file", "node-name", "f", "filename", im->path), NULL, e);
	r = r ?: image_format(l, h.qmp, im, "f", "create", e);
	qemu_helper_end(&h);
	return r;
}

int image_create(struct loop *l, const char *qemu, char *const *env, const char *work_dir, const struct image *im, struct err *e)
{
	int r = create_file(im, e);
	struct err why;

	if (r < 0 || !strcmp(im->format, "raw") || !run_qemu(l, qemu, env, work_dir, im, &why))
		return r;
	*e = why;
	return err_prefix(e, "formatting %s as %s", im->path, im->format);
}
