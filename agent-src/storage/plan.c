/* plan.c: may these disks be moved, and how (moving.h). Changes nothing. */
#include "aside.h"
#include "error-stop.h"
#include "disk-io.h"
#include "earlier-moves.h"
#include "guest-at-rest.h"
#include "guest-scripts.h"
#include "image-name.h"
#include "json-text.h"
#include "moving.h"
#include "options.h"
#include "process.h"
#include "qcow2-header.h"
#include "qemu-migration.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <unistd.h>

#define QMP_OPEN_MS 5000

/* ---- the guest ---- */

static bool names_one_at_rest(const struct storage_options *o)
{
	size_t n = o->line ? 0 : strlen(o->vm);
	struct stat st;

	return o->line || (n > 8 && !strcmp(o->vm + n - 8, ".service") && !strchr(o->vm, '/')) ||
	       (n > 3 && !strcmp(o->vm + n - 3, ".sh")) || (strchr(o->vm, '/') && !stat(o->vm, &st) && S_ISREG(st.st_mode));
}

static json_t *on_request(void *ctx, const char *command, const json_t *args)
{
	struct storage *s = ctx;
	json_int_t rate = json_integer_value(json_object_get(args, "bwlimit"));

	if (!strcmp(command, "cancel") && s->committed)
		return json_pack("{s:s}", "error", "too late: the guest is being given its new disks; that is finished");
	if (!strcmp(command, "set") && !s->rest && rate >= 0) {
		s->bwlimit = (uint64_t)rate;
		return json_pack("{s:s}", "ok", "the limit is changed within a second");
	}
	return NULL;
}

void storage_qmp_closed(void *ctx, const struct err *why)
{
	(void)why;
	((struct storage *)ctx)->qmp_lost = true;
}

/* Notes events of the guest. A guest that QEMU stopped for an I/O error can still be moved: its present disks may be the cause. */
static void on_event(void *ctx, const char *name, json_t *data, uint64_t at_ns)
{
	const char *broken = error_stop_announced(name, data);
	struct storage *s = ctx;

	(void)at_ns;
	if (!strcmp(name, "STOP"))
		s->stop_heard = true;
	if (!strcmp(name, "RESUME"))
		s->broken = NULL;
	if (!broken || s->broken)
		return;
	s->broken = broken;
	report_notice(&s->life.report, "the guest was stopped by %s (run state %s)", error_stop_cause(broken), broken);
}

static int ask_qemu(struct storage *s, struct err *e)
{
	static const struct qmp_handlers on = {.event = on_event, .closed = storage_qmp_closed};

	return guest_open_qmp(&s->guest, &s->qmp, s->life.loop, QMP_OPEN_MS, &on, s, e) ?: guest_query(&s->guest, s->qmp, e);
}

static int check_owner(const struct guest *g, struct err *e)
{
	return !g->owner_hint ? 0
			      : err_set(e, ENOTSUP, "guest %s belongs to %s, which would lose track of its disks; move them with %s",
					g->name, g->owner_hint, strcmp(g->owner_hint, "libvirt") ? "`qm disk move`" : "`virsh blockcopy`");
}

int storage_find(struct storage *s, struct err *e)
{
	int r;

	s->rest = names_one_at_rest(s->o);
	if (s->rest)
		r = guest_at_rest(&s->guest, s->o->vm, s->o->line, s->o->words, &s->starter.path, e);
	else
		r = guest_find(&s->guest, s->o->vm, e);
	if ((!r || r == -ENXIO) && check_owner(&s->guest, e))
		return -e->code;
	if (r)
		return r;
	s->life.how = storage_how(s->rest);
	life_about(&s->life, s->guest.name, NULL, s->guest.pid);
	s->life.request = on_request;
	s->life.ctx = s;
	s->known_as = s->rest ? guest_at_rest_known_as(s->guest.disk_count ? s->guest.disks[0].real_path : NULL) : s->guest.pid;
	r = life_open(&s->life, s->known_as, 0, e);
	return r || s->rest ? r : ask_qemu(s, e);
}

/* ---- may it be touched? ---- */

static int check_guest(struct storage *s, struct err *e)
{
	const struct guest *g = &s->guest;
	char status[MIGRATION_STATUS_MAX];

	if (guest_check_user(g, e))
		return err_prefix(e, "guest %s", g->name);
	if (!text_is_utf8(g->name) || !text_is_utf8(g->qmp.path))
		return err_set(e, EILSEQ, "the name of the guest, or of its monitor, is not UTF-8 text");
	if (earlier_moves_check(s->o->life.state_dir, g, &s->life.report, e))
		return -e->code;
	if (!run_state_moves(g->status))
		return err_set(e, EBUSY, "the guest is in state '%s'; disks can be moved of a guest that runs, or would go on by cont",
			       g->status);
	if (!qemu_migration_is_over(s->qmp))
		return err_set(e, EBUSY, "a migration of this guest is under way (%s)", qemu_migration_status(s->qmp, status));
	return 0;
}

/* Checks that no other client works on the guest's disks. */
static int check_idle(struct storage *s, struct err *e)
{
	json_auto_t *exports = NULL;
	json_t *jobs;
	int r = qmp_call(s->qmp, "query-jobs", NULL, &jobs, e);

	if (r)
		return r;
	if (json_array_size(jobs))
		r = err_set(e, EBUSY, "a job (%s, %s) is running in this guest's QEMU; wait for it or cancel it first",
			    json_text(json_array_get(jobs, 0), "id") ?: "?", json_text(json_array_get(jobs, 0), "type") ?: "?");
	json_decref(jobs);
	if (r)
		return r;
	r = qmp_call(s->qmp, "query-block-exports", NULL, &exports, e);
	if (r)
		return r;
	if (json_array_size(exports))
		r = err_set(e, EBUSY, "this QEMU exports a disk (block export %s): end that first (block-export-del)",
			    json_text(json_array_get(exports, 0), "id") ?: "?");
	return r;
}

/* ---- its disks ---- */

/* Finds the disk that the user's only word for it names. */
static int find_disk(const struct storage *s, const char *pair, const struct guest_disk **out, struct err *e)
{
	AUTO_FREE char *names = guest_disks_called(&s->guest);
	size_t n = (size_t)(option_pair_value(pair) - 1 - pair), i;
	unsigned hits = 0;

	for (i = 0; i < s->guest.disk_count; i++)
		if (guest_disk_is_called(&s->guest.disks[i], pair, n)) {
			*out = &s->guest.disks[i];
			hits++;
		}
	return hits == 1 ? 0
			 : err_set(e, EINVAL,
				   "--disk %s: %s disk of this guest is called %.*s (its node, drive, device or file name); its disks: %s",
				   pair, hits ? "more than one" : "no", (int)n, pair, names);
}

static int check_disk(const struct storage *s, const struct guest_disk *d, struct err *e)
{
	if (d->removable_empty || d->removable || d->read_only)
		return err_set(e, ENOTSUP, "disk %s is %s: the guest writes nothing to it, and it stays where it is",
			       d->real_path ?: d->qdev ?: "?", d->read_only ? "read-only" : "a drive for removable media");
	if (s->rest)
		return 0;
	if (guest_disk_movable(d, s->o->accept | DISK_ACCEPT_BITMAPS | DISK_ACCEPT_PART, e))
		return -e->code;
	if (d->filter)
		return err_set(e, ENOTSUP, "disk %s is seen through a filter ('%s'), which would go on with the old image", d->real_path,
			       d->filter);
	if (!d->qdev && !d->drive_id)
		return err_set(e, ENOTSUP, "disk %s is used by no device that QEMU names", d->real_path);
	for (size_t i = 0; i < s->guest.disk_count; i++)
		if (&s->guest.disks[i] != d && s->guest.disks[i].real_path && !strcmp(s->guest.disks[i].real_path, d->real_path))
			return err_set(e, ENOTSUP, "two drives of the guest use %s", d->real_path);
	return 0;
}

/* Reads QEMU's options of the disks' nodes. */
static int ask_options(struct storage *s, struct err *e)
{
	json_t *blocks, *block, *in;
	size_t k;
	int r = qmp_call(s->qmp, "query-block", NULL, &blocks, e);

	if (r)
		return r;
	json_array_foreach(blocks, k, block) {
		in = json_object_get(block, "inserted");
		for (unsigned i = 0; i < s->count; i++) {
			struct moving_disk *d = &s->disks[i];
			const json_t *cache = json_object_get(in, "cache");

			if (!json_text(in, "node-name") || strcmp(json_text(in, "node-name"), d->node))
				continue;
			d->direct = json_is_true(json_object_get(cache, "direct"));
			d->no_flush = json_is_true(json_object_get(cache, "no-flush"));
			snprintf(d->detect_zeroes, sizeof(d->detect_zeroes), "%s", json_text(in, "detect_zeroes") ?: "off");
		}
	}
	json_decref(blocks);
	return 0;
}

/* Nodes with names of their own (-blockdev) outlive their use. */
static int list_old_nodes(struct storage *s, struct err *e)
{
	json_t *nodes, *one;
	size_t i;
	int r = qmp_call(s->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, e);

	if (r)
		return r;
	json_array_foreach(nodes, i, one) {
		const char *node = json_text(one, "node-name");
		AUTO_FREE char *file = image_name_file(json_text(one, "file"));
		AUTO_FREE char *full = file ? guest_path(&s->guest, file) : NULL;
		AUTO_FREE char *real = full ? realpath(full, NULL) : NULL;

		for (unsigned k = 0; k < s->count; k++)
			if (node && *node != '#' && real && !strcmp(real, s->disks[k].from))
				json_array_append_new(s->disks[k].old.nodes, json_string(node));
	}
	json_decref(nodes);
	return 0;
}

struct place {
	const struct guest *guest;
	const char *image;
};

static bool is_image(void *ctx, const char *path)
{
	const struct place *p = ctx;
	AUTO_FREE char *full = guest_path(p->guest, path);
	AUTO_FREE char *real = realpath(full, NULL);

	return real && !strcmp(real, p->image);
}

/* Reads the disk's options from QEMU's command line, which names the image unless that replaced another since. */
static int read_line(struct storage *s, struct moving_disk *d, struct err *e)
{
	struct place p = {&s->guest, d->from};
	struct disk_line_change look = {.is_it = is_image, .ctx = &p};
	int r = disk_line_change(s->guest.line.expanded, s->guest.line.expanded_count, &look, NULL, NULL, &d->o, e);

	d->options_known = r > 0;
	return MIN(r, 0);
}

static uint64_t needed(const struct guest_disk *g)
{
	uint64_t sum = g->allocated;

	for (size_t i = 0; i < g->chain_count; i++)
		sum += g->chain[i].allocated;
	return MIN(sum, g->virtual_size) + g->virtual_size / 4096 + MIB;
}

static void take_disk(struct storage *s, const struct guest_disk *g, const char *to)
{
	struct moving_disk *d = &s->disks[s->count];

	*d = (struct moving_disk){.guest = g,
				  .device = xstrdup(g->qdev ?: g->drive_id ?: g->node),
				  .node = xstrdup(g->node),
				  .from = xstrdup(g->real_path),
				  .to = xstrdup(to),
				  .old.format = xstrdup(g->format),
				  .format = xstrdup(s->o->format ?: g->format),
				  .old.is_device = g->block_device,
				  .old.nodes = json_array(),
				  .bitmaps = json_array(),
				  .bytes = g->virtual_size,
				  .old.shows = g->bounds.ends_by_size ? g->virtual_size : 0,
				  .needed = s->rest ? g->allocated : needed(g)};
	if (!strcmp(d->format, "qcow2") && !strcmp(d->old.format, "qcow2"))
		d->cluster = g->cluster_size, d->qcow2 = g->qcow2;
	s->count++;
}

static int take_disks(struct storage *s, struct err *e)
{
	const struct guest_disk *g = NULL;
	unsigned i, k;
	int r = 0;

	s->disks = xcalloc(s->o->disk_count, sizeof(*s->disks));
	for (i = 0; i < s->o->disk_count && !r; i++) {
		r = find_disk(s, s->o->disks[i], &g, e) ?: check_disk(s, g, e);
		for (k = 0; k < s->count && !r; k++)
			if (s->disks[k].guest == g)
				r = err_set(e, EINVAL, "--disk %s: that disk is named already", s->o->disks[i]);
		if (!r)
			take_disk(s, g, option_pair_value(s->o->disks[i]));
		if (!r && !text_is_utf8(s->disks[i].from))
			r = err_set(e, EILSEQ, "the name of the disk file %s is not UTF-8 text", s->disks[i].from);
	}
	return r;
}

static int examine_running(struct storage *s, struct err *e)
{
	int r = check_guest(s, e) ?: check_idle(s, e) ?: take_disks(s, e);

	for (unsigned i = 0; i < s->count && !r; i++)
		r = read_line(s, &s->disks[i], e);
	return r ?: list_old_nodes(s, e) ?: ask_options(s, e) ?: bitmaps_check(s, e);
}

/* Reads from the guest's start script which part of the old image is its disk. If that cannot be read the image is copied whole, and a
 * person who edits the command line changes only the file name. */
static int take_part(struct storage *s, struct moving_disk *d, struct err *e)
{
	struct err ignored;
	uint64_t all = d->guest->inner_size; /* size of the file, which a raw disk is */

	if (strcmp(d->old.format, "raw"))
		return 0;
	if (!read_line(s, d, &ignored)) {
		d->old.begins = d->o.begins;
		d->old.shows = d->o.shows;
	}
	if (d->old.begins >= all || d->old.shows > all - d->old.begins)
		return err_set(e, EINVAL,
			       "disk %s is said to be %llu bytes (0: all) behind byte %llu of it (size=, offset=), and it has %llu",
			       d->from, (unsigned long long)d->old.shows, (unsigned long long)d->old.begins, (unsigned long long)all);
	d->rest.at = (off_t)d->old.begins;
	d->rest.size = (off_t)(d->old.shows ?: all - d->old.begins);
	d->bytes = disk_padded((uint64_t)d->rest.size);
	d->needed = MIN(d->needed, d->bytes);
	return 0;
}

/* The image is copied as the file that it is: what it names it names there, too. */
static int check_image_at_rest(const struct moving_disk *d, struct err *e)
{
	const struct guest_backing *b = d->guest->chain_count ? &d->guest->chain[0] : NULL;
	const char *a = strrchr(d->from, '/'), *z = strrchr(d->to, '/');
	AUTO_FREE char *below = b ? image_name_below(b->name) : NULL;

	if (strcmp(d->format, d->old.format))
		return err_set(
			e, ENOTSUP,
			"disk %s is %s, and the guest is shut down: its image is copied as it is; a disk gets another format while its "
			"guest runs",
			d->from, d->old.format);
	if (b && (!below || below[0] != '/') && (a - d->from != z - d->to || memcmp(d->from, d->to, (size_t)(a - d->from))))
		return err_set(e, ENOTSUP, "disk %s names its backing file %s from where it lies: it cannot go to another directory",
			       d->from, b->name);
	return 0;
}

static int examine_at_rest(struct storage *s, struct err *e)
{
	int r = earlier_moves_check(s->o->life.state_dir, &s->guest, &s->life.report, e);

	if (!r && s->bwlimit)
		r = err_set(e, ENOTSUP, "--bwlimit is for a guest that runs: the images of one that is shut down are copied at once");
	r = r ?: take_disks(s, e);
	for (unsigned i = 0; i < s->count && !r; i++)
		r = check_image_at_rest(&s->disks[i], e) ?: take_part(s, &s->disks[i], e);
	return r ?: storage_rest_hold(s, e);
}

/* ---- what becomes of what was there ---- */

/* Something may start the guest that will not name its new images. */
static bool has_other_starter(const struct storage *s)
{
	return !s->starter.path || s->starter.other_line || s->starter.other;
}

static void tell_other_starter(struct storage *s)
{
	if (s->starter.other && s->old != OLD_REMOVE)
		report_notice(&s->life.report, "%s, too, would start the guest, from its old images%s", s->starter.other,
			      s->old == OLD_ASIDE ? ": vmferry renames those images, so that it cannot" : ": make sure that it is not run");
}

/* True if the name, in the header of the image at path, is or may be the other image. A json: name is searched for the other's file
 * name. */
static bool is_name_of(const char *name, const char *path, const char *other)
{
	AUTO_FREE char *copy = xstrdup(path), *full = NULL, *real = NULL;

	if (!name)
		return false;
	if (!strncmp(name, "json:", 5))
		return text_has_name(name, strrchr(other, '/') + 1);
	name += strncmp(name, "file:", 5) ? 0 : 5;
	full = *name == '/' ? xstrdup(name) : xasprintf("%s/%s", dirname(copy), name);
	real = realpath(full, NULL);
	return real && !strcmp(real, other);
}

/* The image at path has the other one as its backing or data file. */
static bool needs(const char *path, const char *other)
{
	struct qcow2_header h;
	struct err ignored;
	bool yes;

	if (!strcmp(path, other) || qcow2_header_read(path, &h, &ignored))
		return false;
	yes = is_name_of(h.backing, path, other) || is_name_of(h.data_file, path, other);
	qcow2_header_fini(&h);
	return yes;
}

/* Refuses to move an image away while another image beside it has it as its backing file. */
static int check_nobody_needs(const char *image, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(image);
	const char *dir = dirname(copy);
	DIR *list = opendir(dir);
	struct dirent *x;
	int r = 0;

	while (list && !r && (x = readdir(list))) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, x->d_name);

		if (needs(path, image))
			r = err_set(
				e, EBUSY,
				"%s has the image %s as its backing or data file, and would be of no use without it: --old keep leaves that there",
				path, image);
	}
	if (list)
		closedir(list);
	return r;
}

static int check_is_all_disk(const struct moving_disk *d, struct err *e)
{
	const struct guest_disk *g = d->guest;

	return d->old.begins || d->old.shows || (g && (g->bounds.begins_later || g->bounds.ends_by_size))
		       ? err_set(e, EBUSY,
				 "%s holds more than this disk, which is a part of it (offset=, size=): --old keep leaves it there",
				 d->from)
		       : 0;
}

static int check_removable(const struct storage *s, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < s->count && !r && s->old == OLD_REMOVE; i++)
		r = s->disks[i].old.is_device ? 0 : check_is_all_disk(&s->disks[i], e) ?: check_nobody_needs(s->disks[i].from, e);
	return r;
}

static int decide_old(struct storage *s, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];

	s->old = s->o->old != OLD_AUTO ? s->o->old : has_other_starter(s) ? OLD_ASIDE : OLD_KEEP;
	if (check_removable(s, e))
		return -e->code;
	tell_other_starter(s);
	if (s->starter.other_line)
		report_notice(
			&s->life.report,
			"the guest was not started by %s as that is now: its command line is another. What else starts it has to name the new "
			"images, too%s",
			s->starter.path, s->old == OLD_ASIDE ? "; the old ones get other names, so that it does not start from them" : "");
	attempt_id_format(s->id, id);
	for (unsigned i = 0; i < s->count && s->old != OLD_KEEP; i++) {
		struct moving_disk *d = &s->disks[i];

		if (d->old.is_device && (!s->starter.path || (has_other_starter(s) && s->o->old == OLD_AUTO)))
			return err_set(
				e, ENOTSUP,
				"vmferry does not know what starts this guest again (%s), and cannot rename the block device %s: the "
				"guest would be started from its old disk. Name what starts it (--start-script), or take care of that "
				"yourself (--old keep)",
				!s->starter.path	? s->starter.why
				: s->starter.other_line ? "its command line is another than that of the script beside its disks"
							: "it is more than one script",
				d->from);
		if (d->old.another)
			continue;
		if (!d->old.is_device && (s->old == OLD_ASIDE || !s->starter.path) &&
		    (check_is_all_disk(d, e) || aside_check_name(d->from, "the old image", e)))
			return -e->code;
		if (!d->old.is_device && (s->old == OLD_ASIDE || !s->starter.path))
			d->old.aside = xasprintf("%s.moved-%.8s", d->from, id);
	}
	return 0;
}

int storage_examine(struct storage *s, struct err *e)
{
	int r = s->rest ? examine_at_rest(s, e) : examine_running(s, e);

	r = r ?: starter_find(s, e);
	for (unsigned i = 0; i < s->count && !s->rest; i++)
		s->disks[i].old.begins = s->disks[i].o.begins;
	for (unsigned i = 0; i < s->count && !s->rest; i++)
		s->disks[i].old.another = !s->disks[i].old.is_device && process_shows_files(s->guest.pid) &&
					  !process_has_open(s->guest.pid, s->disks[i].from);
	r = r ?: storage_images_check(s, e) ?: decide_old(s, e);
	for (unsigned i = 0; i < s->count && !r; i++)
		if (!s->rest && !s->disks[i].options_known)
			report_notice(&s->life.report,
				      "how QEMU reads and writes %s (aio, discard) is on no command line that is known: the new image has "
				      "QEMU's defaults",
				      s->disks[i].from);
	return r;
}
