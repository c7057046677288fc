/* disks-chain.c: the backing files of a move's disks, told to the destination: see disks-private.h. */
#include "disks-private.h"
#include "host-file.h"
#include "image-name.h"

#include <errno.h>

#define LONG_READ (2 * GIB) /* takes more than a second */

json_t *disk_describe_backing(const struct disk *d)
{
	const struct guest_backing *first = &d->guest->chain[0];
	AUTO_FREE char *name = image_name_below(first->name);

	return json_pack("{s:s*,s:s*}", "name", name, "format", first->format);
}

static int describe_one_below(const struct disks *ds, const struct disk *d, const struct guest_backing *b, json_int_t parent, json_t *files,
			      struct err *e)
{
	AUTO_FREE char *name = image_name_below(b->name);
	json_t *entry;

	if (b->real_path && b->name && !name)
		return err_set(
			e, ENOTSUP,
			"the backing file %s of disk %s is not named by a path alone, so vmferry cannot tell where the destination's QEMU "
			"would look for it: --chain=flatten makes one image of both",
			b->name, d->guest->real_path);
	if (!b->real_path || !b->name || !text_is_utf8(b->real_path))
		return err_set(e, ENOTSUP, "the backing file %s of disk %s is not a local file: --chain=flatten makes one image of both",
			       b->name ? b->name : "?", d->guest->real_path);
	if (json_array_size(files) == HOST_FILES_MAX)
		return err_set(e, ENOTSUP, "the guest has more than %d files, and no more can be moved", HOST_FILES_MAX);
	if (guest_reads_what_is_there(&ds->src->guest, b->real_path, e))
		return -e->code;
	entry = json_pack("{s:s,s:s,s:b,s:s,s:s,s:i,s:I}", "role", "backing", "option", "", "read_only", 1, "path", b->real_path, "name",
			  name, "object", (int)d->object, "parent", parent);
	if (b->allocated > LONG_READ)
		report_notice(ds->src->report, "reading %s, to know it again at the destination", b->real_path);
	host_file_look(ds->src->opt, entry, NULL);
	json_array_append_new(files, entry);
	return 0;
}

int disk_describe_chain(const struct disks *ds, const struct disk *d, json_t *files, struct err *e)
{
	json_int_t parent = -1;
	int r = 0;

	for (size_t i = 0; i < d->guest->chain_count && disk_keeps_chain(ds, d->guest) && !r; i++) {
		if (describe_one_below(ds, d, &d->guest->chain[i], parent, files, e))
			r = source_obstacle(ds->src, e);
		parent = (json_int_t)json_array_size(files) - 1;
	}
	return r;
}
