/*
 * disks-at-rest.c: the disks of a guest that is shut down: files, which are copied byte for byte in one round, whatever format, snapshots or
 * keys they have inside. They are locked as QEMU locks what others may only read, so that nobody starts the guest meanwhile; who writes to
 * them all the same is noticed before anything is promised.
 */
#include "disks-private.h"
#include "head-start.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* True if the guest's QEMU runs and has the disks open: they are read as they are at that moment. */
static bool is_written_to(const struct disks *ds)
{
	return ds->src->opt->cold.head && !ds->src->opt->cold.head->is_down;
}

static int hold(struct disks *ds, const char *path, enum image_use use, struct err *e)
{
	return images_lock(&ds->locked, path, use, use != IMAGE_SHARE, "A guest that runs is named by its name or pid",
			   e); /* a base may be read by others */
}

static int hold_chain(struct disks *ds, const struct guest_disk *g, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < g->chain_count && !r; i++)
		if (hold(ds, g->chain[i].real_path, IMAGE_SHARE, e))
			r = source_obstacle(ds->src, e);
	return r;
}

int disks_unchanged(const struct disks *ds, struct err *e)
{
	return images_unchanged(&ds->locked, e);
}

/* ---- the plan ---- */

static int examine(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);
	const struct guest *g = &ds->src->guest;
	int r = 0;

	if (g->disk_count > DISKS_MAX) {
		err_set(e, ENOTSUP, "the guest has %zu disks; %d can be moved", g->disk_count, DISKS_MAX);
		r = source_obstacle(ds->src, e);
	}
	if (ds->src->opt->disks.chain == CHAIN_FLATTEN) {
		err_set(e, EINVAL, "--chain flatten needs a guest that runs: of one that is shut down the images are copied as they are");
		r = source_obstacle(ds->src, e);
	}
	for (size_t i = 0; i < MIN(g->disk_count, DISKS_MAX) && !r; i++) {
		struct disk *d = disk_add(ds, &g->disks[i]);

		d->left_behind = disk_is_left_behind(ds, d->guest);
		json_array_append_new(ds->src->disk_paths, json_string(d->guest->real_path));
		if (disks_check_left(ds, d->guest, e))
			r = source_obstacle(ds->src, e);
		if (!r && !is_written_to(ds) && hold(ds, d->guest->real_path, IMAGE_READ, e))
			r = source_obstacle(ds->src, e);
	}
	for (size_t i = 0; i < ds->count && !r && !is_written_to(ds); i++) /* behind the disks, as describe() counts on */
		r = hold_chain(ds, &g->disks[i], e);
	return r ?: disks_check_words(ds, e);
}

/* ---- what the last pass of a head start has left there ---- */

static const struct known_disk *find_known(const struct disks *ds, const struct guest_disk *g)
{
	const struct head_start *h = ds->src->opt->cold.head;

	for (unsigned i = 0; h && i < h->known_count; i++)
		if (!strcmp(h->known[i].path, g->real_path))
			return &h->known[i];
	return NULL;
}

struct have *disks_known(const struct disks *ds, const struct guest_disk *g)
{
	const struct known_disk *k = find_known(ds, g);

	return k ? have_resized(k->have, g->virtual_size) : NULL;
}

void disks_note_known(struct disks *ds)
{
	struct head_start *h = ds->src->opt->cold.head;

	attempt_id_format(ds->part.a->id, h->known_by);
	for (unsigned i = 0; i < ds->count; i++) {
		struct disk *d = ds->list[i];

		if (!d->notes)
			continue;
		h->known[h->known_count++] = (struct known_disk){xstrdup(d->guest->real_path), d->notes};
		d->notes = NULL;
	}
}

void disks_forget_known(struct head_start *h)
{
	while (h->known_count) {
		struct known_disk *k = &h->known[--h->known_count];

		free(k->path);
		have_free(k->have);
	}
}

/* File size when the image was locked; if it could not be locked, its size now. */
static json_int_t size_of(const struct disks *ds, const struct guest_disk *g)
{
	const struct locked_image *h = images_locked(&ds->locked, g->real_path);
	struct stat st;

	if (is_written_to(ds) || g->block_device) /* the file may have grown since it was found */
		return (json_int_t)g->virtual_size;
	if (h)
		return (json_int_t)h->st.st_size;
	return (json_int_t)(stat(g->real_path, &st) ? (off_t)g->virtual_size : st.st_size);
}

static int describe(struct part *p, json_t *out, struct err *e)
{
	struct disks *ds = disks_of(p);
	int r = disks_describe(p, out, e);

	for (unsigned i = 0; i < ds->count && !r; i++) {
		json_t *o = json_array_get(ds->described, i);

		if (!ds->list[i]->left_behind)
			json_object_set_new(o, "file_bytes", json_integer(size_of(ds, ds->list[i]->guest)));
		if (find_known(ds, ds->list[i]->guest))
			json_object_set_new(o, "known", json_string(ds->src->opt->cold.head->known_by));
	}
	return r;
}

/* ---- copying ---- */

static struct disk_at place_of(const struct disks *ds, const struct disk *d)
{
	return (struct disk_at){.path = d->guest->real_path,
				.pads = true,
				.cached = true,
				.was_bytes = is_written_to(ds) ? d->guest->virtual_size : 0};
}

void disks_read_at_rest(struct disks *ds)
{
	for (unsigned i = 0; i < ds->count; i++) {
		struct disk *d = ds->list[i];
		struct disk_round round = {.object = d->object,
					   .at = place_of(ds, d),
					   .name = d->guest->real_path,
					   .size = d->guest->virtual_size,
					   .have = d->have,
					   .alike = d->alike,
					   .knows = d->knows,
					   .notes = d->notes,
					   .fills = d->begun || d->alike ? DISK_SECTOR : 0,
					   .detect_zeros = true};

		d->progress.in_flight = true;
		disk_reader_round(ds->reader, &round);
	}
}

static void where_file_is(const struct disks *ds, const struct disk *d, struct want_disk *out)
{
	out->at = place_of(ds, d);
}

static int begin(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);

	ds->final = true;
	for (unsigned i = 0; i < ds->count; i++) {
		struct disk *d = ds->list[i];

		d->progress.started = d->progress.final = true;
		d->notes = is_written_to(ds) ? have_new(d->guest->virtual_size, HAVE_SHIFT) : NULL;
	}
	if (ds->src->opt->cold.head) /* the contents there change now, so what was known about them is no longer true */
		disks_forget_known(ds->src->opt->cold.head);
	if (ds->others.alike.ms)
		return disks_want(ds, where_file_is, e);
	disks_read_at_rest(ds);
	return 0;
}

static const struct part_ops ops = {.name = "disks",
				    .examine = examine,
				    .describe = describe,
				    .agree = disks_agree,
				    .begin = begin,
				    .event = disks_event,
				    .reached = disks_reached,
				    .tell = disks_tell,
				    .fini = disks_fini};

void disks_rest(struct disks *ds)
{
	ds->part.ops = &ops;
	ds->rests = true;
}
