/* arriving-disks.c: see arriving-disks.h. */
#include "arriving-disks-private.h"
#include "bitmaps.h"
#include "disk-device.h"
#include "fault.h"
#include "image-create.h"
#include "image-held.h"
#include "image-lock.h"
#include "image-name.h"
#include "json-text.h"
#include "log.h"
#include "made.h"
#include "process.h"
#include "room.h"

#include <errno.h>
#include <signal.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELPER_END_MS 10000

/* ---- their images ---- */

static bool is_raw(const struct arriving_disk *d)
{
	return d->as_file || !strcmp(d->format, "raw");
}

static bool has_all_blocks(const struct arriving_disk *d)
{
	return d->set_aside && is_raw(d) && !d->device && !d->empty;
}

bool disk_fills_zeros(const struct arriving_disk *d)
{
	return has_all_blocks(d) || (!is_raw(d) && !d->device && !fault_point("dst-knows-no-fills"));
}

static int make_image(struct disks *ds, struct arriving_disk *d, char *const *env, struct err *e)
{
	AUTO_FREE char *temp = attempt_id_name(ds->part.a->id, d->path);
	const struct image im = {.path = temp,
				 .as = d->path,
				 .format = d->as_file ? "raw" : d->format,
				 .backing = d->backing,
				 .backing_format = d->backing_format,
				 .bytes = d->virtual_size,
				 .cluster_size = d->cluster_size,
				 .qcow2 = d->qcow2,
				 .rights = &d->rights,
				 .full = has_all_blocks(d)};
	int r = made_own(ds->part.a, "file", temp, e) ?: image_create(ds->part.a->loop, ds->target->exe, env, ds->target->run_dir, &im, e);

	if (r > 0) {
		json_array_append_new(ds->target->notices, json_string(e->msg));
		r = 0;
	}
	if (!r) /* the image must not be found unused before our QEMU has it open */
		d->held_fd = open(temp, O_RDONLY | O_CLOEXEC);
	if (!r && d->empty && fsync(d->held_fd)) /* an empty disk is written to no more */
		r = err_sys(e, errno, "cannot write %s", d->path);
	if (!r && d->as_file)
		r = image_lock(temp, IMAGE_OWN, &d->lock_fd, e);
	return r ?: made_publish(ds->part.a, temp, d->path, e);
}

static int go_on_from(struct disks *ds, struct arriving_disk *d, struct err *e)
{
	int r = partial_take(ds->part.a, &d->begins.partial, d->path, is_raw(d) ? d->virtual_size : 0, e);

	if (!r)
		d->held_fd = open(d->path, O_RDONLY | O_CLOEXEC);
	if (!r && d->as_file)
		r = image_lock(d->path, IMAGE_OWN, &d->lock_fd, e);
	return r ? err_prefix(e, "going on from what is kept of it") : 0;
}

static int make_disk(struct disks *ds, struct arriving_disk *d, char *const *env, struct err *e)
{
	int r = d->begins.old.replaced ? old_copy_move_aside(ds->part.a, &d->begins.old, e) : 0;

	if (r)
		return r;
	return d->begins.partial.known ? go_on_from(ds, d, e) : make_image(ds, d, env, e);
}

/* Notes the kinds of disks whose partial copies are kept if the move ends early. */
static int note_kinds(struct disks *ds, struct err *e)
{
	const json_t *described = ds->target->description;
	json_t *of;

	if (!target_keep_partial_s(ds->target))
		return 0;
	of = json_object();
	for (size_t i = 0; i < ds->count; i++) {
		json_t *kind = partial_kind(described, target_described_disk(ds->target, ds->list[i].object));

		if (kind && !ds->list[i].device && !ds->list[i].source.is_unsafe)
			json_object_set(of, ds->list[i].path, kind);
		json_decref(kind);
	}
	return partial_note(ds->part.a, of, e);
}

static int make_disks(struct disks *ds, char *const *env, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < ds->count && !r; i++) {
		struct arriving_disk *d = &ds->list[i];

		r = d->device ? disk_device_take(ds->part.a, d->path, d->virtual_size, &d->lock_fd, e) : make_disk(ds, d, env, e);
	}
	return r;
}

static void close_image(struct arriving_disk *d)
{
	if (d->held_fd >= 0)
		close(d->held_fd);
	d->held_fd = -1;
}

void disks_close_images(struct disks *ds, bool is_over)
{
	for (size_t i = 0; i < ds->count; i++) {
		if (is_over && ds->list[i].held_fd >= 0)
			partial_note_whole(ds->target, ds->list[i].path, ds->list[i].held_fd);
		close_image(&ds->list[i]);
	}
}

/* Locks an image whose content arrives while no QEMU locks it, so that no other program opens it. Our own QEMU, which waits to take it
 * over, has no locks yet. */
static int lock_image(struct arriving_disk *d, struct err *e)
{
	int r = d->lock_fd >= 0 || d->device || d->empty || !is_raw(d) ? 0 : image_lock(d->path, IMAGE_OWN, &d->lock_fd, e);

	if (r && r != -EBUSY) /* not every file system has locks */
		log_info("%s", e->msg);
	return r == -EBUSY ? err_prefix(e, "another program has opened an image that is to arrive") : 0;
}

void disks_unlock(struct disks *ds)
{
	for (size_t i = 0; i < ds->count; i++) {
		if (ds->list[i].lock_fd >= 0)
			close(ds->list[i].lock_fd);
		ds->list[i].lock_fd = -1;
	}
}

/* Holds the device until this agent ends: the guest may be taken back for long after it has the device. */
static int hold_device(struct disks *ds, const char *path, struct err *e)
{
	int fd = ds->held_device_count < HELD_DEVICES_MAX ? image_hold_device(path, e) : err_set(e, E2BIG, "too many block devices");

	if (fd >= 0)
		ds->held_devices[ds->held_device_count++] = fd;
	return MIN(fd, 0);
}

/* Holds the images, before the guest can run here. */
static int hold_images(struct disks *ds, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	int r = 0;

	for (size_t i = 0; i < ds->count && !r; i++) {
		struct arriving_disk *d = &ds->list[i];
		AUTO_FREE char *mark = image_held_path(d->path);

		r = d->device ? hold_device(ds, d->path, e) : 0;
		r = r ?: attempt_own(ds->part.a, "held", json_pack("{s:s,s:s}", "path", mark, "image", d->path), e);
		if (r)
			return r;
		r = image_hold(mark, attempt_id_format(ds->part.a->id, id), e);
		if (d->device && (r == -EACCES || r == -EPERM || r == -EROFS)) /* a user who may not make the mark has the lock alone */
			r = 0;
	}
	return r;
}

static int undo_held(struct part *p, const json_t *detail, struct err *e)
{
	const char *mark = json_text(detail, "path");
	char id[2 * ATTEMPT_ID_LEN + 1];

	return mark ? image_let_go(mark, attempt_id_format(p->a->id, id), e) : err_set(e, EBADMSG, "the journal does not say which");
}

static int prepare(struct part *p, struct err *e)
{
	struct disks *ds = disks_of(p);
	char **env = target_environment(ds->target);
	int r = note_kinds(ds, e) ?: make_disks(ds, env, e) ?: disks_note_names(ds, e);

	target_free_environment(env);
	partials_close(&ds->partials);
	return r || !target_is_revertible(ds->target) ? r : hold_images(ds, e);
}

/* ---- writing ---- */

/* The QEMU that writes what we cannot. */
static struct qmp *writer(const struct disks *ds)
{
	return ds->helper.qmp ?: ds->target->qmp;
}

/* True if the disk's old copy is an image that only QEMU can read. The guest's own bytes on a raw disk are no reason to take it for such an
 * image. */
static bool has_old_image(const struct arriving_disk *d)
{
	return d->begins.old.path && !d->as_file && (!is_raw(d) || d->source.is_qcow2 || d->begins.old.packed) &&
	       old_copy_is_qcow2(&d->begins.old);
}

static bool needs_qemu(const struct arriving_disk *d)
{
	return !d->empty && (!is_raw(d) || has_old_image(d));
}

int disks_start_helper(struct disks *ds, struct err *e)
{
	static char *const options[] = {"-machine", "none", NULL};
	char **env;
	size_t i;
	int r;

	ds->late = true;
	for (i = 0; i < ds->count && !needs_qemu(&ds->list[i]); i++)
		;
	if (i == ds->count)
		return 0;
	env = target_environment(ds->target);
	r = qemu_helper_start(&ds->helper, ds->part.a->loop, ds->target->exe, env, ds->target->run_dir, options, e);
	target_free_environment(env);
	if (!r) /* the helper dies with us, but has the images open until it is dead */
		r = attempt_note(ds->part.a, "helper",
				 json_pack("{s:i,s:I}", "pid", (int)ds->helper.proc.pid, "start_time",
					   (json_int_t)ds->helper.proc.start_time),
				 e);
	fault_point("dst-helper-noted");
	return r ? err_prefix(e, "starting a QEMU that writes the disks") : 0;
}

static void end_helper(struct disks *ds)
{
	if (ds->helper.qmp)
		qemu_helper_end(&ds->helper);
}

static void hold_devices_again(struct disks *ds)
{
	json_t *owned, *entry;
	struct err e;
	size_t i;

	if (!target_is_revertible(ds->target) || journal_owned(ds->part.a->journal, &owned))
		return;
	json_array_foreach(owned, i, entry) {
		const char *path = json_text(json_object_get(entry, "detail"), "path");

		if (!strcmp(json_text(entry, "kind") ?: "", "device") && path && hold_device(ds, path, &e))
			log_error("%s", e.msg);
	}
	json_decref(owned);
}

void disks_restore(struct disks *ds)
{
	const json_t *note = journal_last_note(ds->part.a->journal, "helper");
	struct err e;

	if (note && !made_is_rebooted(ds->target) &&
	    process_end((pid_t)json_integer_value(json_object_get(note, "pid")),
			(uint64_t)json_integer_value(json_object_get(note, "start_time")), HELPER_END_MS, &e))
		log_error("%s", e.msg);
	hold_devices_again(ds);
}

/* "vmferry-3", or of its old copy "vmferry-3-old" */
static char *export_id(const struct arriving_disk *d, bool old)
{
	return xasprintf("vmferry-%u%s", d->object, old ? "-old" : "");
}

static int add_node(struct disks *ds, struct arriving_disk *d, struct err *e)
{
	AUTO_FREE char *node = export_id(d, false);
	int r = qmp_call(writer(ds), "blockdev-add",
			 json_pack("{s:s,s:s,s:s,s:{s:s,s:s}}", "driver", d->format, "node-name", node, "discard", "unmap", "file",
				   "driver", d->device ? "host_device" : "file", "filename", d->path),
			 NULL, e);

	if (!r)
		d->node = xstrdup(node);
	return r ? err_prefix(e, "opening the new disk %s", d->path) : 0;
}

int disks_find_node(const struct arriving_disk *d, struct qmp *q, char **node, bool *unsafe, struct err *e)
{
	json_t *nodes, *one;
	size_t i;
	int r = qmp_call(q, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &nodes, e);

	*node = NULL;
	if (r)
		return r;
	json_array_foreach(nodes, i, one) {
		const char *drv = json_text(one, "drv");
		AUTO_FREE char *file = image_name_file(json_text(one, "file")); /* on a larger device its name is not all (size=) */

		if (file && drv && !strcmp(file, d->path) && !strcmp(drv, d->format) && json_text(one, "node-name")) {
			*node = xstrdup(json_text(one, "node-name"));
			*unsafe = json_is_true(json_object_get(json_object_get(one, "cache"), "no-flush"));
			break;
		}
	}
	json_decref(nodes);
	return *node ? 0 : err_set(e, ENOENT, "the destination QEMU has no %s disk at %s", d->format, d->path);
}

int disks_start_nbd(struct disks *ds, struct err *e)
{
	int r = 0;

	if (!ds->nbd_running)
		r = qmp_call(writer(ds), "nbd-server-start",
			     json_pack("{s:{s:s,s:{s:s}},s:i}", "addr", "type", "unix", "data", "path", ds->nbd_socket, "max-connections",
				       0),
			     NULL, e);
	ds->nbd_running |= !r;
	return r;
}

static int add_export(struct disks *ds, const struct arriving_disk *d, bool old, const char *node, const char *name, struct err *e)
{
	AUTO_FREE char *id = export_id(d, old);
	int r = disks_start_nbd(ds, e);

	return r ? r
		 : qmp_call(writer(ds), "block-export-add",
			    json_pack("{s:s,s:s,s:s,s:s,s:b}", "type", "nbd", "id", id, "node-name", node, "name", name, "writable", !old),
			    NULL, e);
}

static int delete_export(struct disks *ds, const struct arriving_disk *d, bool old, struct err *e)
{
	AUTO_FREE char *id = export_id(d, old);

	return qmp_call(writer(ds), "block-export-del", json_pack("{s:s,s:s}", "id", id, "mode", "hard"), NULL, e);
}

/* Opens the old copy of a disk, whose blocks are in a file of a format that only QEMU can read. */
static int open_old_image(struct disks *ds, struct arriving_disk *d, struct err *e)
{
	AUTO_FREE char *node = export_id(d, true);
	json_t *file = json_pack("{s:s,s:I,s:{s:s,s:s,s:b},s:b}", "driver", "raw", "offset", (json_int_t)d->begins.old.offset, "file",
				 "driver", "file", "filename", d->begins.old.at, "read-only", 1, "read-only", 1);
	/* the old copy's backing files are not part of it */
	int r = qmp_call(writer(ds), "blockdev-add",
			 json_pack("{s:s,s:s,s:b,s:o,s:n}", "driver", "qcow2", "node-name", node, "read-only", 1, "file", file, "backing"),
			 NULL, e);

	if (r)
		return err_prefix(e, "the old copy %s", d->begins.old.path);
	d->begins.old.node = xstrdup(node);
	d->begins.old.export_name = xasprintf("%s/old", d->path);
	return add_export(ds, d, true, node, d->begins.old.export_name, e);
}

/* True if the old copy is to stay in memory: all of it is read twice, and soon again if another move goes on from it. False where other
 * programs would lose memory for that. */
static bool takes_memory(struct disks *ds, const struct arriving_disk *d)
{
	if (!is_raw(d) || d->virtual_size > ds->cache_bytes)
		return false;
	ds->cache_bytes -= d->virtual_size;
	return true;
}

/* Opens the old image; if that fails, all of the disk travels. */
static void read_old_image(struct disks *ds, struct arriving_disk *d, struct disk_target *t)
{
	struct err why;

	if (open_old_image(ds, d, &why)) {
		log_info("%s: all of disk %s travels", why.msg, d->path);
		t->old.path = NULL;
		return;
	}
	t->old = (struct disk_at){.path = ds->nbd_socket, .export_name = d->begins.old.export_name};
}

static int open_disk(struct disks *ds, struct arriving_disk *d, struct disk_target *t, struct err *e)
{
	int r = lock_image(d, e);

	t->bytes = d->virtual_size;
	t->name = t->at.path = d->path;
	t->at.writable = true;
	t->bitmaps = d->bitmaps.count;
	t->alike = d->begins.alike && ds->alike_ms;
	t->begun = d->begins.partial.known || d->begins.above || t->alike;
	t->known = d->begins.known || t->alike; /* the source knows what is in there, or alike-fill.h tells it */
	t->old = (struct disk_at){.path = t->begun ? d->path : d->begins.old.at,
				  .again = !t->begun,
				  .stays = t->begun && takes_memory(ds, d)};
	t->old_name = t->begun ? d->path : d->begins.old.path;
	t->replaces = d->begins.old.replaced;
	t->fills = disk_fills_zeros(d);
	if (!t->begun && has_old_image(d))
		read_old_image(ds, d, t);
	if (r || is_raw(d))
		return r;
	r = ds->helper.qmp ? add_node(ds, d, e) : disks_find_node(d, writer(ds), &d->node, &d->source.is_unsafe, e);
	r = r ?: add_export(ds, d, false, d->node, d->path, e);
	t->at.path = ds->nbd_socket;
	t->at.export_name = d->path;
	if (t->begun)
		t->old = (struct disk_at){.path = ds->nbd_socket, .export_name = d->path};
	return r;
}

int disks_open(struct disks *ds, struct receive_shared *shared, struct err *e)
{
	int r = disks_look_at_word(ds, e);

	ds->cache_bytes = memory_available() / 4 * 3; /* some is the source's, if that is on this host */
	for (size_t i = 0; i < ds->count && !r; i++)
		if (!ds->list[i].empty)
			r = open_disk(ds, &ds->list[i], &shared->disk[ds->list[i].object], e);
	if (ds->alike_ms && !r)
		shared->alike = ds->alike = alike_fill_new(shared, ds->images.list, ds->images.count, ds->alike_ms);
	if (!r && !ds->late)
		r = bitmaps_prepare(ds, e);
	shared->saves = target_keep_partial_s(ds->target) > 0;
	if (!r && shared->saves) /* kinds of the disks are known now */
		r = note_kinds(ds, e);
	return r;
}

void disks_take_alike(struct disks *ds, const json_t *prepare)
{
	json_int_t ms = json_integer_value(json_object_get(json_object_get(prepare, "alike"), "ms"));

	if (disks_offer_alike(ds) && ms > 0)
		ds->alike_ms = (unsigned)MIN(ms, ALIKE_MS_MAX);
}

int disks_compare(struct disks *ds, struct receive_shared *shared, struct err *e)
{
	for (size_t i = 0; i < ds->count; i++)
		if (ds->list[i].begins.old.path || ds->list[i].begins.partial.known || ds->list[i].begins.above)
			return old_reader_start(&ds->old_reader, shared, e);
	return 0;
}

void disks_compared(struct disks *ds, uint32_t object)
{
	if (ds->old_reader)
		old_reader_enough(ds->old_reader, object);
}

/* Some write to a file that they opened, and some to what has its name: a file that took its place meanwhile would have a part of the disk,
 * or none. */
static bool is_in_place(const struct arriving_disk *d)
{
	int fd = d->device ? d->lock_fd : d->held_fd;
	struct stat made, now;

	if (fd < 0)
		return true;
	return !fstat(fd, &made) && !stat(d->path, &now) &&
	       (d->device ? S_ISBLK(now.st_mode) && made.st_rdev == now.st_rdev : made.st_dev == now.st_dev && made.st_ino == now.st_ino);
}

/* A file is made as long as its disk, and nobody who writes to it makes it longer. */
static bool has_its_length(const struct arriving_disk *d)
{
	struct stat st;

	return d->held_fd < 0 || d->as_file || !is_raw(d) || (!fstat(d->held_fd, &st) && (uint64_t)st.st_size == d->virtual_size);
}

int disks_have_their_length(const struct disks *ds, struct err *e)
{
	for (size_t i = 0; i < ds->count; i++)
		if (!has_its_length(&ds->list[i]))
			return err_set(
				e, ESTALE,
				"another program cut or lengthened %s at the destination while the disk arrived there (qemu-img resize or "
				"create, truncate): prevent that, and move the guest again",
				ds->list[i].path);
	return 0;
}

int disks_let_go(struct disks *ds, struct err *e)
{
	if (disks_have_their_length(ds, e))
		return -e->code;
	for (size_t i = 0; i < ds->count; i++)
		if (!is_in_place(&ds->list[i]))
			return err_set(
				e, ESTALE,
				"another program replaced %s at the destination while the disk arrived there, for example a copy or a "
				"backup: end that program, and move the guest again",
				ds->list[i].path);
	disks_close_images(ds, false);
	return disks_are_named(ds, e);
}

int disks_trim(struct disks *ds, struct err *e)
{
	for (size_t i = 0; i < ds->count; i++) {
		const struct arriving_disk *d = &ds->list[i];

		if (d->as_file && !d->device && (ftruncate(d->lock_fd, (off_t)d->file_bytes) || fsync(d->lock_fd)))
			return err_sys(e, errno, "cannot give %s its size", d->path);
	}
	return 0;
}

void disks_stop(struct disks *ds)
{
	end_helper(ds);
	disks_leave(ds);
}

void disks_leave(struct disks *ds)
{
	disks_unlock(ds);
	alike_fill_end(ds->alike);
	old_reader_stop(ds->old_reader);
	ds->old_reader = NULL;
}

bool disks_have_exports(const struct disks *ds)
{
	for (size_t i = 0; i < ds->count; i++)
		if (ds->list[i].node || ds->list[i].begins.old.node)
			return ds->nbd_running;
	return false;
}

static int delete_exports(struct disks *ds, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < ds->count && !r; i++) {
		if (ds->list[i].begins.old.node)
			r = delete_export(ds, &ds->list[i], true, e);
		if (!r && ds->list[i].node)
			r = delete_export(ds, &ds->list[i], false, e);
	}
	return r;
}

static int delete_node(struct disks *ds, const char *node, struct err *e)
{
	return qmp_call(writer(ds), "blockdev-del", json_pack("{s:s}", "node-name", node), NULL, e);
}

/* Deletes the nodes once the server has stopped: nothing uses them any more, while before that an export that was deleted may. */
static int delete_nodes(struct disks *ds, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < ds->count && !r; i++) {
		if (ds->list[i].begins.old.node)
			r = delete_node(ds, ds->list[i].begins.old.node, e);
		if (!r && ds->helper.qmp && ds->list[i].node) /* closes the image as it is to be */
			r = delete_node(ds, ds->list[i].node, e);
	}
	return r;
}

int disks_close_exports(struct disks *ds, struct err *e)
{
	int r;

	if (!ds->nbd_running)
		return 0;
	r = delete_exports(ds, e) ?: bitmaps_delete_exports(ds, e) ?: qmp_call(writer(ds), "nbd-server-stop", NULL, NULL, e);
	r = r ?: delete_nodes(ds, e);
	ds->nbd_running = r != 0;
	if (!r &&
	    ds->helper.qmp) /* the helper has closed all images: end_helper() waits for its end later, as a guest may stand still now */
		kill(ds->helper.proc.pid, SIGKILL);
	return r;
}

/* ---- their life ---- */

static void fini(struct part *p)
{
	struct disks *ds = disks_of(p);

	end_helper(ds);
	disks_unlock(ds);
	for (size_t i = 0; i < ds->held_device_count; i++)
		close(ds->held_devices[i]);
	disks_close_images(ds, false);
	for (size_t i = 0; i < ds->count; i++)
		arriving_disk_fini(&ds->list[i]);
	for (size_t i = 0; i < ds->stays; i++)
		staying_disk_fini(&ds->stay[i]);
	free(ds->stay);
	alike_fill_free(ds->alike);
	alike_images_fini(&ds->images);
	partials_close(&ds->partials);
	free(ds->list);
	free(ds->nbd_socket);
}

static int undo_old_copy(struct part *p, const json_t *detail, struct err *e)
{
	return old_copy_undo(disks_of(p)->target, detail, e);
}

static int undo_partial(struct part *p, const json_t *detail, struct err *e)
{
	return partial_undo(disks_of(p)->target, detail, e);
}

static int undo_device(struct part *p, const json_t *detail, struct err *e)
{
	return disk_device_undo(disks_of(p)->target, detail, e);
}

static const struct part_undo undo[] = {
	{"device", "a block device that a disk was written to", undo_device},
	{"partial", "what has arrived of a disk", undo_partial},
	{"old-copy", "an old copy that was in the way of a disk", undo_old_copy},
	{"held", "the mark of an image whose guest may be taken back", undo_held},
	{NULL, NULL, NULL},
};

static const struct part_ops ops =
	{.name = "disks", .examine = disks_examine, .describe = disks_describe, .prepare = prepare, .undo = undo, .fini = fini};

void disks_init(struct disks *ds, struct target *target, const char *state_dir)
{
	*ds = (struct disks){.part = {&ops, target->part.a}, .target = target, .state_dir = state_dir};
}
