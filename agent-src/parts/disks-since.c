/*
 * disks-since.c: the disks of a guest that goes, as it runs, to where its replica is. There they begin as overlays of its newest point, so that what travels is
 * what was written since. The point's bitmaps end as those of a next one do: should the move fail, the next point finds both (point-bitmaps.h).
 */
#include "disk-line.h"
#include "disks-private.h"
#include "qemu-args.h"

#include <errno.h>
#include <string.h>

struct named {
	const char *file, *real;
};

static bool is_it(void *ctx, const char *path)
{
	const struct named *n = ctx;

	return !strcmp(path, n->file) || !strcmp(path, n->real);
}

/* An overlay is a qcow2 image, whatever the disk is here. */
static int say_format(const struct guest_disk *g, char ***argv, size_t *argc, struct err *e)
{
	struct named n = {g->file, g->real_path};
	const struct disk_line_change change = {.is_it = is_it, .ctx = &n, .to = g->file, .format = "qcow2", .may_have_base = true};
	struct disk_line_options ignored;
	char **out = NULL;
	size_t count = 0;
	int r = disk_line_change(*argv, *argc, &change, &out, &count, &ignored, e);

	r = r ?: err_set(e, ENOTSUP, "the guest's command line does not name disk %s", g->real_path);
	if (r < 0)
		return r;
	args_free_strings(*argv, *argc);
	*argv = out;
	*argc = count;
	return 0;
}

static int say_formats(struct disks *ds, json_t *out, struct err *e)
{
	const json_t *was = json_object_get(out, "argv");
	size_t argc = json_array_size(was), k;
	char **argv = xcalloc(argc + 1, sizeof(*argv));
	json_t *now = json_array();
	int r = 0;

	for (k = 0; k < argc; k++)
		argv[k] = xstrdup(json_string_value(json_array_get(was, k)) ?: "");
	for (unsigned i = 0; i < ds->count && !r; i++)
		r = say_format(ds->list[i]->guest, &argv, &argc, e);
	for (k = 0; k < argc; k++)
		json_array_append_new(now, json_string(argv[k]));
	args_free_strings(argv, argc);
	json_object_set_new(out, "argv", now);
	return r ? source_obstacle(ds->src, e) : 0;
}

static int describe(struct part *p, json_t *out, struct err *e)
{
	struct disks *ds = disks_of(p);
	int r;

	for (unsigned i = 0; i < ds->count; i++)
		ds->list[i]->since.left_out = disk_is_left_out(ds, ds->list[i]->guest);
	r = disks_describe(p, out, e) ?: point_bitmaps_look(ds, e) ?: say_formats(ds, out, e);
	point_bitmaps_describe(ds, out);
	return r;
}

static int agree(struct part *p, const json_t *accept, struct err *e)
{
	struct disks *ds = disks_of(p);
	int r = disks_agree(p, accept, e) ?: point_bitmaps_agree(ds, accept, e);

	if (!r && !ds->since.from)
		r = err_set(e, EAGAIN, "what the guest has written since the newest point there is not known: vmferry replica sync first");
	return r;
}

static int prepare(struct part *p, struct err *e)
{
	return disks_prepare(p, e) ?: point_bitmaps_settle(disks_of(p), e);
}

void disks_begin_on_point(struct disks *ds, struct replica_sync *sync)
{
	static struct part_ops ops; /* the rest is as in any move */

	ops = *ds->part.ops;
	ops.describe = describe;
	ops.agree = agree;
	ops.prepare = prepare;
	ds->since.sync = sync;
	ds->part.ops = &ops;
}
