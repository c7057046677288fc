/* started-again.c: what the disks that the guest left here tell of it after it was handed over: whether somebody has them open, or has written to them. */
#include "transfer.h"
#include "image-mark.h"
#include "json-text.h"
#include "log.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <sys/stat.h>

int cutover_refuse_open_here(const struct transfer *t, struct err *e)
{
	json_t *path;
	pid_t pid;
	size_t i;

	json_array_foreach(t->src.disk_paths, i, path) {
		AUTO_FREE char *now = aside_path(&t->around.aside, json_string_value(path));

		pid = process_that_may_run_from(now, t->a.handoff.qemu_alive ? t->src.guest.pid : 0, disk_locks_guard(t));
		if (pid < 0)
			return err_set(
				e, EBUSY,
				"cannot tell whether the guest's disk %s is open here: the guest may have been started again. Nothing is "
				"changed; see that this host can read that file, then recover again",
				json_string_value(path));
		if (pid)
			return err_set(e, EBUSY,
				       "the guest's disk %s is open here in process %d: the guest may have been started again. Nothing is "
				       "changed; end whichever copy is not to live, then recover again",
				       json_string_value(path), (int)pid);
	}
	return 0;
}

enum disk_since {
	DISK_AS_LEFT,
	DISK_WRITTEN,
	DISK_OLDER,
	DISK_ABSENT,
	DISK_UNKNOWN,
	DISK_NEVER_TOLD /* when it was handed over, either */
};

/* A regular file's older time is no sign: a power failure took that of the last write with it. A device's counter begins anew with its host. */
static enum disk_since disk_since(const struct transfer *t, const char *path)
{
	AUTO_FREE char *at = aside_path(&t->around.aside, path);
	json_int_t then = json_integer_value(json_object_get(journal_last_note(t->a.journal, "disks-written"), path));
	json_int_t now = image_write_stamp(at);
	bool rebooted = !is_this_boot(json_text(journal_begin(t->a.journal), "boot_id")), is_device;
	struct stat st;

	if (!then)
		return DISK_NEVER_TOLD;
	if (!now && stat(at, &st))
		return errno == ENOENT || errno == ENOTDIR ? DISK_ABSENT : DISK_UNKNOWN;
	is_device = !stat(at, &st) && S_ISBLK(st.st_mode);
	if (!now || (is_device && (rebooted || now < then)))
		return DISK_UNKNOWN;
	return now > then ? DISK_WRITTEN : now < then ? DISK_OLDER : DISK_AS_LEFT;
}

/* COMMITTED, and its QEMU gone since (the host was rebooted, say) or held, which looks as if it hung: if anybody else has the disks
 * open here, or has written to them, the guest may have been started again, and only a person can tell which copy is to live. */
int cutover_nobody_restarted_it(const struct transfer *t, struct err *e)
{
	json_t *path;
	size_t i;

	if (cutover_refuse_open_here(t, e))
		return -e->code;
	json_array_foreach(t->src.disk_paths, i, path) {
		enum disk_since since = disk_since(t, json_string_value(path));

		if (since == DISK_WRITTEN)
			return err_set(e, EBUSY,
				       "the guest's disk %s has been written here since the guest was handed over: the guest may have been "
				       "started again. Nothing is changed; end whichever copy is not to live, then recover again: with "
				       "--peer-is-fenced if it is the destination's; otherwise move this disk away first",
				       json_string_value(path));
		if (since == DISK_UNKNOWN && !t->a.handoff.qemu_alive && !t->end.not_started)
			return err_set(
				e, EBUSY,
				"vmferry cannot tell whether the guest's disk %s has been written here since the guest was handed over, "
				"and the guest's QEMU has ended: the guest may have been started again here. Nothing is changed. If it "
				"certainly was not: vmferry recover %s --not-started-here. If the one here is to live, end the one at the "
				"destination, then recover with --peer-is-fenced",
				json_string_value(path), t->src.guest.name ?: "VM");
	}
	return 0;
}

/* ---- changes that the time of the last write does not tell ---- */

#define CHANGED "disks-changed" /* journal note: {path: image_change_stamp()}; none: only the time of the last write is known */

int cutover_note_changes(struct transfer *t, struct err *e)
{
	json_t *changed = json_object(), *ignored;
	const char *path;

	json_object_foreach((json_t *)journal_last_note(t->a.journal, "disks-written"), path, ignored) {
		AUTO_FREE char *now = aside_path(&t->around.aside, path);

		json_object_set_new(changed, path, json_integer(image_change_stamp(now)));
	}
	return attempt_note(&t->a, CHANGED, changed, e);
}

/* An image, or one that it is based on, that was changed since; NULL: none. Borrowed. */
static const char *changed_since(const struct transfer *t)
{
	const char *path;
	json_t *then;

	json_object_foreach((json_t *)journal_last_note(t->a.journal, CHANGED), path, then) {
		AUTO_FREE char *now = aside_path(&t->around.aside, path);

		if (json_integer_value(then) && image_change_stamp(now) != json_integer_value(then))
			return path;
	}
	return NULL;
}

/* Our own renames change images, too, so they are looked at before, and noted again after. Should we die in between, the time of the last write
 * is left to tell. */
static int rename_images(struct transfer *t, int (*act)(struct aside *a, struct err *e), struct err *e)
{
	bool notes = aside_has_images(&t->around.aside) && journal_last_note(t->a.journal, CHANGED) && !changed_since(t);
	struct err why;
	int r;

	notes = notes && !attempt_note(&t->a, CHANGED, json_object(), &why);
	r = act(&t->around.aside, e);
	if (notes && cutover_note_changes(t, &why))
		log_error("%s", why.msg);
	return r;
}

int cutover_set_images_aside(struct transfer *t, struct err *e)
{
	return rename_images(t, aside_images, e);
}

int cutover_give_images_back(struct transfer *t, struct err *e)
{
	return rename_images(t, aside_give_back, e);
}

static int check_unchanged(const struct transfer *t, struct err *e)
{
	const char *path = t->end.not_started ? NULL : changed_since(t);

	return path ? err_set(e, EBUSY,
			      "the file of %s was changed here since the guest was handed over, though the time of its last write is the same: "
			      "somebody has written to it and set that time back, or given it another owner, mode or name. The guest's memory of "
			      "then does not go on over a disk that may be another. Let the guest stay there (vmferry keep %s). If it is lost "
			      "there, and certainly nobody has written to that disk: vmferry recover %s --peer-is-fenced --not-started-here",
			      path, t->src.guest.name ?: "VM", t->src.guest.name ?: "VM")
		    : 0;
}

bool transfer_has_disk(const struct transfer *t, const char *path)
{
	return json_find(t->src.disk_paths, NULL, path);
}

/* Others may use them, too, so that it tells nothing of the guest if they were written. */
static int bases_fit_memory(const struct transfer *t, struct err *e)
{
	const char *path;
	json_t *then;

	json_object_foreach((json_t *)journal_last_note(t->a.journal, "disks-written"), path, then) {
		enum disk_since since = transfer_has_disk(t, path) ? DISK_AS_LEFT : disk_since(t, path);

		if (since != DISK_AS_LEFT && (since != DISK_NEVER_TOLD || t->revert.asked))
			return err_set(
				e, EBUSY,
				"%s, on which a disk of the guest is based, was written here since the guest was handed over, or vmferry "
				"cannot tell whether it was: the guest's old memory does not fit it any more. Let it stay there (vmferry "
				"keep %s)",
				path, t->src.guest.name ?: "VM");
	}
	return 0;
}

int cutover_memory_fits_disks(const struct transfer *t, struct err *e)
{
	json_t *path;
	size_t i;
	int r = images_fit_memory(t, e) ?: cutover_nobody_restarted_it(t, e) ?: bases_fit_memory(t, e);

	json_array_foreach(t->src.disk_paths, i, path) {
		enum disk_since since = disk_since(t, json_string_value(path));

		/* the plan does not ask without --revert-within whether a disk can tell */
		if (!r && since != DISK_AS_LEFT && (since != DISK_NEVER_TOLD || t->revert.asked))
			r = err_set(
				e, EBUSY,
				"vmferry cannot tell whether the guest's disk %s is as the guest left it here: the disk is in use "
				"(mounted, say), has another name, or does not report when it was written. The guest's memory of then, in "
				"a QEMU that is held (process %d), does not go on over another disk. If the guest runs nowhere and is to "
				"start anew from that disk, end that QEMU",
				json_string_value(path), (int)t->src.guest.pid);
	}
	return r ?: check_unchanged(t, e);
}
