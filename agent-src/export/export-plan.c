/* export-plan.c: see export-plan.h. */
#include "export-plan.h"
#include "disk-line.h"
#include "foreign-image.h"
#include "qcow2-header.h"
#include "qemu-find.h"
#include "unit-text.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BASE_MAX 80 /* length of a file's own name within its name in a bundle */

static void __attribute__((format(printf, 2, 3))) note(struct export_plan *p, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	text_make_printable(text, false);
	words_add(&p->notes, &p->note_count, text);
}

/* ---- the line ---- */

static int take_line(struct bundle *b, const struct guest *g, struct err *e)
{
	int r = qemu_args_expand(&b->argv, &b->argc, g->line.argv, g->line.argc, g->line.configs, g->line.config_count, e);

	if (r)
		return r;
	for (size_t i = 0; i < b->argc; i++)
		if (!text_is_utf8(b->argv[i]))
			return err_set(e, EILSEQ, "argument %zu of the guest's command line is not UTF-8 text", i);
	if (!text_is_utf8(g->cwd) || !text_is_utf8(g->name))
		return err_set(e, EILSEQ, "the guest's name, or its QEMU's directory, is not UTF-8 text");
	b->program = qemu_find_program(g->exe);
	if (!b->program)
		return err_set(e, ENOTSUP,
			       "the guest's QEMU is %s, and not called qemu-system-…, qemu-kvm or kvm: a bundle could not say which it is",
			       g->exe);
	b->cwd = xstrdup(g->cwd);
	b->name = xstrdup(g->name);
	b->machine = xstrdup(g->machine);
	b->version = g->version.major ? xasprintf("%d.%d.%d", g->version.major, g->version.minor, g->version.micro) : NULL;
	return 0;
}

/* ---- disks ---- */

static const struct guest_disk *disk_of(const struct guest *g, const char *path, const char *real)
{
	for (size_t i = 0; i < g->disk_count; i++) {
		const struct guest_disk *d = &g->disks[i];

		if ((d->file && !strcmp(d->file, path)) || (real && d->real_path && !strcmp(d->real_path, real)))
			return d;
	}
	return NULL;
}

/* Snapshots and bitmaps of an image that nobody writes to are in its header. */
static int note_what_stays(struct export_plan *p, const char *path, const char *format, const struct guest_disk *d, struct err *e)
{
	size_t snapshots = d ? d->lacks.snapshots : 0, bitmaps = d ? d->lacks.bitmaps : 0;
	struct qcow2_header h;

	if (!strcmp(format, "qcow2") && !(d && d->block_device)) {
		if (qcow2_header_read(path, &h, e))
			return -e->code;
		snapshots = d ? snapshots : h.snapshots;
		bitmaps = d ? bitmaps : h.bitmaps;
		if (h.is_qcow2 && !h.is_ordinary)
			note(p,
			     "%s has clusters or features of its own (qemu-img info shows them); its image in the bundle is as QEMU makes one "
			     "by default",
			     path);
		qcow2_header_fini(&h);
	}
	if (snapshots)
		note(p, "the snapshots inside %s are not in the bundle", path);
	if (bitmaps)
		note(p, "the dirty bitmaps inside %s are not in the bundle", path);
	return 0;
}

static int take_written(struct export_plan *p, struct export_disk *from, const struct guest *g, const struct guest_disk *d, struct err *e)
{
	int r = d->filter
			? err_set(e, ENOTSUP, "disk %s is seen through a filter ('%s'), which no bundle has", d->real_path ?: d->node,
				  d->filter)
			: guest_disk_movable(d, DISK_ACCEPT_SNAPSHOTS | DISK_ACCEPT_BITMAPS | DISK_ACCEPT_DATA_FILE | DISK_ACCEPT_PART, e);

	r = r ?: note_what_stays(p, d->real_path, d->format, g->pid ? d : NULL, e);
	if (r)
		return r;
	from->live = d;
	from->is_block = d->block_device;
	from->format = d->format;
	from->allocated = guest_disk_allocated(d, true);
	return 0;
}

/* Takes a disk that QEMU only reads; its file is opened by name. */
static int take_read_only(struct export_plan *p, struct export_disk *from, const struct guest *g, const struct guest_disk *d,
			  const struct args_file *f, const char *real, const struct stat *st, struct err *e)
{
	int r = guest_reads_what_is_there(g, real, e);

	for (size_t i = 0; d && i < d->chain_count && !r; i++)
		r = d->chain[i].real_path ? guest_reads_what_is_there(g, d->chain[i].real_path, e) : 0;
	if (r)
		return r;
	from->format = f->format && !strcmp(f->format, "qcow2") ? "qcow2" : "raw";
	if (!f->format || (strcmp(f->format, "raw") && strcmp(f->format, "qcow2")))
		return err_set(e, ENOTSUP, "the guest's command line does not say that %s is raw or qcow2 (format=…)", f->path);
	from->allocated = (uint64_t)st->st_blocks * 512;
	return note_what_stays(p, real, from->format, NULL, e);
}

static int add_disk(struct export_plan *p, struct bundle *b, const struct guest *g, const struct args_file *f, struct err *e)
{
	AUTO_FREE char *real = realpath(f->path, NULL);
	const struct guest_disk *d = disk_of(g, f->path, real);
	struct export_disk *from = &p->disks[b->disk_count];
	struct bundle_file *to = &b->disks[b->disk_count];
	struct stat st;
	int r;

	if (!real || stat(real, &st))
		return err_sys(e, errno, "the disk %s of the guest", f->path);
	if (b->disk_count == BUNDLE_DISKS_MAX)
		return err_set(e, ENOTSUP, "more than %d disks", BUNDLE_DISKS_MAX);
	if (g->disk_count && !d)
		return err_set(e, ENOTSUP, "the disk %s of the guest's command line is none that its QEMU has now", f->path);
	r = f->read_only ? take_read_only(p, from, g, d, f, real, &st, e) : take_written(p, from, g, d, e);
	if (r)
		return r;
	p->needed += from->allocated;
	from->path = xstrdup(real);
	to->file = xasprintf("disk%zu.qcow2", b->disk_count);
	to->path = xstrdup(f->path);
	to->real_path = text_is_utf8(real) ? xstrdup(real) : NULL;
	snprintf(to->format, sizeof(to->format), "%s", from->format);
	b->disk_count++;
	return 0;
}

/* A floppy, say: a disk as others while the guest runs. */
static bool is_written_medium(const struct guest *g, const struct args_file *f)
{
	AUTO_FREE char *real = realpath(f->path, NULL);
	const struct guest_disk *d = f->role == ARGS_MEDIA && g->pid ? disk_of(g, f->path, real) : NULL;

	return d && !d->read_only;
}

/* ---- other files ---- */

static char *file_name(size_t number, const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *plain = unit_plain_name(slash ? slash + 1 : path);

	return xasprintf("file%zu-%.*s", number, BASE_MAX, plain);
}

/* The reason why a file is not in the bundle; NULL: it is. */
static const char *left_out(const struct guest *g, const struct args_file *f, bool no_media, const struct stat *st)
{
	return f->role != ARGS_MEDIA			  ? NULL
	       : no_media				  ? "as told"
	       : g->pid && !guest_is_inserted(g, f->path) ? "the guest has ejected it"
	       : !S_ISREG(st->st_mode)			  ? "it is not a file"
							  : NULL;
}

/* Files are copied by name, so each must be complete in itself. */
static int take_file(struct export_plan *p, const struct guest *g, const struct args_file *f, const char *real, struct err *e)
{
	bool stays_open = f->role == ARGS_MEDIA || f->role == ARGS_PFLASH_CODE;
	const char *how;
	int r = image_check_alone(real, e);

	if (r)
		return err_prefix(e, "the %s of the guest", args_role_name(f->role));
	if (stays_open)
		return guest_reads_what_is_there(g, real, e);
	how = guest_read_another(g, real);
	if (how)
		note(p, "%s (the guest's %s) %s: what is in it now is in the bundle", f->path, args_role_name(f->role), how);
	return 0;
}

static int add_file(struct export_plan *p, struct bundle *b, const struct guest *g, const struct args_file *f, bool no_media, struct err *e)
{
	struct bundle_file *to = &b->files[b->file_count];
	AUTO_FREE char *real = realpath(f->path, NULL);
	struct stat st = {.st_mode = 0};
	const char *why;

	if (b->file_count == BUNDLE_FILES_MAX)
		return err_set(e, ENOTSUP, "more than %d files", BUNDLE_FILES_MAX);
	if (real && stat(real, &st))
		return err_sys(e, errno, "%s", f->path);
	why = left_out(g, f, no_media, &st);
	if (!why && !S_ISREG(st.st_mode))
		return err_set(e, real ? ENOTSUP : ENOENT, "the %s %s of the guest %s", args_role_name(f->role), f->path,
			       real ? "is not a regular file" : "is not there any more");
	if (!why && take_file(p, g, f, real, e))
		return -e->code;
	*to = (struct bundle_file){.role = f->role, .path = xstrdup(f->path)};
	to->real_path = real && text_is_utf8(real) ? xstrdup(real) : NULL;
	if (why) {
		note(p, "the medium %s is not in the bundle: %s", f->path, why);
	} else {
		p->files[b->file_count] = xstrdup(real);
		p->needed += (uint64_t)st.st_blocks * 512;
		to->file = file_name(b->file_count, f->path);
	}
	b->file_count++;
	return 0;
}

/* ---- disks that are a part of their file ---- */

struct named_disk {
	const struct guest *g;
	const char *real;
};

static bool is_named_disk(void *ctx, const char *path)
{
	const struct named_disk *n = ctx;
	AUTO_FREE char *full = guest_path(n->g, path);
	AUTO_FREE char *real = realpath(full, NULL);

	return real && !strcmp(real, n->real);
}

static int note_part(struct export_disk *from, const struct guest_disk *d, const struct disk_line_options *o, struct err *e)
{
	uint64_t all = d->inner_size; /* size of the file, if the guest is shut down */

	if (o->begins >= all || o->shows > all - o->begins)
		return err_set(e, EINVAL, "the disk %s is to be a part of its file (offset=, size=) that is not in it", from->path);
	from->part_at = o->begins;
	from->part_bytes = o->shows ?: all - o->begins;
	from->allocated = MIN(from->allocated, from->part_bytes);
	return 0;
}

/*
 * The bundle's image is the disk that the guest sees, so its line says nothing of a part of a file. Where the line of a guest that is shut down cannot be
 * read so, both stay as they are.
 */
static int take_part(struct bundle *b, const struct guest *g, struct export_disk *from, const char *named, struct err *e)
{
	struct named_disk n = {g, from->path};
	struct disk_line_change c = {.is_it = is_named_disk, .ctx = &n, .to = named, .format = from->format, .to_device = from->is_block};
	struct disk_line_options o = {.begins = 0};
	char **out = NULL;
	size_t count = 0;
	int r = disk_line_change(b->argv, b->argc, &c, &out, &count, &o, e);

	if (r <= 0 && !from->live->bounds.begins_later)
		return 0;
	if (r <= 0)
		return r ? err_prefix(e, "the disk %s is a part of its file", from->path)
			 : err_set(e, ENOTSUP, "the guest's command line does not say which part of its file the disk %s is", from->path);
	r = (g->pid ? from->live->bounds.begins_later : o.begins || o.shows) ? 1 : 0;
	if (r && !g->pid)
		r = note_part(from, from->live, &o, e) ?: 1;
	if (r != 1) {
		args_free_strings(out, count);
		return r;
	}
	args_free_strings(b->argv, b->argc);
	b->argv = out;
	b->argc = count;
	return 0;
}

static int take_parts(struct export_plan *p, struct bundle *b, const struct guest *g, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < b->disk_count && !r; i++)
		if (p->disks[i].live && !strcmp(p->disks[i].format, "raw"))
			r = take_part(b, g, &p->disks[i], b->disks[i].path, e);
	return r;
}

/* ---- all of them ---- */

static bool is_known(const struct bundle *b, const char *path)
{
	for (size_t i = 0; i < b->disk_count; i++)
		if (!strcmp(b->disks[i].path, path))
			return true;
	for (size_t i = 0; i < b->file_count; i++)
		if (!strcmp(b->files[i].path, path))
			return true;
	return false;
}

static int add(struct export_plan *p, struct bundle *b, const struct guest *g, const struct args_file *f, bool no_media, struct err *e)
{
	if (!f->path || is_known(b, f->path))
		return 0;
	if (!text_is_utf8(f->path))
		return err_set(e, EILSEQ, "the name %s is not UTF-8 text", f->path);
	if (f->role == ARGS_PMEM)
		return err_set(e, ENOTSUP, "the guest has memory that it keeps (nvdimm), in %s, which a bundle does not have", f->path);
	if (f->role == ARGS_DISK || f->role == ARGS_PFLASH_VARS || (!no_media && is_written_medium(g, f)))
		return add_disk(p, b, g, f, e);
	if (args_role_is_content(f->role))
		return add_file(p, b, g, f, no_media, e);
	if ((!args_role_is_made(f->role) || args_role_is_memory(f->role)) &&
	    strcmp(f->option, "L")) /* QEMU looks elsewhere without the files of -L */
		note(p, "-%s names %s, which is not in the bundle: where it is imported there must be one", f->option, f->path);
	return 0;
}

/* Checks that every disk of the guest is on its line, so that none is missing in the bundle unnoticed. */
static int check_all_are_named(const struct guest *g, const struct args_result *line, struct err *e)
{
	size_t i, k;

	for (i = 0; i < g->disk_count; i++) {
		const struct guest_disk *d = &g->disks[i];

		for (k = 0; k < line->file_count; k++) {
			AUTO_FREE char *real = realpath(line->files[k].path, NULL);

			if ((d->file && !strcmp(d->file, line->files[k].path)) || (real && d->real_path && !strcmp(d->real_path, real)))
				break;
		}
		if (d->real_path && !d->removable && k == line->file_count)
			return err_set(
				e, ENOTSUP,
				"disk %s is not on the guest's command line: a device without an id was plugged in, or its image has changed",
				d->real_path);
	}
	return 0;
}

int export_plan(struct export_plan *p, struct bundle *b, const struct guest *g, bool no_media, struct err *e)
{
	struct args_options o = {.cwd = g->cwd, .at_rest = !g->pid};
	struct args_result line;
	int r;

	*p = (struct export_plan){.needed = 0};
	r = take_line(b, g, e) ?: disk_line_check_bases(b->argv, b->argc, "which a bundle, whose images are whole, cannot", e);
	r = r ?: qemu_args_rewrite(&line, b->argv, b->argc, &o, e);
	if (r)
		return r;
	for (size_t i = 0; i < line.file_count && !r; i++)
		r = add(p, b, g, &line.files[i], no_media, e);
	r = r ?: check_all_are_named(g, &line, e) ?: take_parts(p, b, g, e);
	args_result_fini(&line);
	return r;
}

void export_plan_fini(struct export_plan *p)
{
	for (size_t i = 0; i < BUNDLE_DISKS_MAX; i++)
		free(p->disks[i].path);
	for (size_t i = 0; i < BUNDLE_FILES_MAX; i++)
		free(p->files[i]);
	for (size_t i = 0; i < p->note_count; i++)
		free(p->notes[i]);
	free(p->notes);
}
