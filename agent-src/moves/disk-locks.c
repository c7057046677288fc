/*
 * disk-locks.c: locks on the disks that a guest leaves here, as QEMU takes them: from when it is held, or, of one that is shut down, about to be given up, until
 * its QEMU was ended or it goes on here. Who starts it meanwhile from them, by an old script or by libvirt, is refused by QEMU, whatever becomes of the QEMU that
 * is held, and of us: the guard has the locks, too (guard_lend()).
 */
#include "transfer.h"
#include "json-text.h"
#include "process.h"

/* How the images are locked: beside the locks of a QEMU that was shut down for a warm move, which keeps them as long as it lives; otherwise
 * a disk that another QEMU has is left alone, without a lock. */
static enum image_use use_of(const struct transfer *t)
{
	return t->src.traits.boots_after && t->a.handoff.qemu_alive ? IMAGE_BESIDE : IMAGE_SHARE;
}

/* Disks that cannot be locked stay as they are: another QEMU may have them, or the file system knows no locks. */
static void lock(struct transfer *t)
{
	struct err ignored;
	json_t *path;
	size_t i;

	json_array_foreach(t->src.disk_paths, i, path) {
		AUTO_FREE char *now =
			t->a.taken_up ? aside_path(&t->around.aside, json_string_value(path)) : xstrdup(json_string_value(path));

		if (!images_locked(&t->left, now))
			images_lock_beside(&t->left, now, use_of(t), &ignored);
	}
}

static void lend(struct transfer *t)
{
	for (size_t i = 0; i < t->left.count; i++)
		guard_lend(&t->guard, t->left.list[i].fd);
}

void disk_locks_take(struct transfer *t)
{
	lock(t);
	lend(t);
}

pid_t disk_locks_guard(const struct transfer *t)
{
	const json_t *noted = journal_last_note(t->a.journal, NOTED_GUARD);
	pid_t pid = (pid_t)json_integer_value(json_object_get(noted, "pid"));
	uint64_t start_time = (uint64_t)json_integer_value(json_object_get(noted, "start_time"));

	return pid > 0 && is_this_boot(json_text(journal_begin(t->a.journal), "boot_id")) && qemu_is_alive(pid, start_time) ? pid : 0;
}

/* The guard of an agent that has died holds them until the guest has gone for good, or comes back. */
static void relieve_guard(const struct transfer *t)
{
	const json_t *noted = journal_last_note(t->a.journal, NOTED_GUARD);

	if (t->a.taken_up && journal_last_note(t->a.journal, NOTED_GIVEN_UP))
		guard_relieve(disk_locks_guard(t), (uint64_t)json_integer_value(json_object_get(noted, "start_time")));
}

void disk_locks_drop(struct transfer *t)
{
	for (size_t i = 0; i < t->left.count; i++)
		image_unlock(t->left.list[i].fd);
	images_unlock(&t->left);
	relieve_guard(t);
}

bool disk_locks_outlive(const struct transfer *t)
{
	return handoff_is_given_up(&t->a.handoff) && t->left.count;
}

/* The guard of an earlier life may have died with its agent, or with its host; and a QEMU that has ended since was not held in this life, which is when disks are
 * locked otherwise. Of a guest that seems to have been started here again nothing is locked. */
void disk_locks_leave(struct transfer *t)
{
	struct err e;

	if (!handoff_is_given_up(&t->a.handoff) || t->end.ran_on || disk_locks_guard(t))
		return;
	disk_locks_take(t);
	if (!t->left.count)
		return;
	guard_dismiss(&t->guard);
	if (transfer_begin_guard(t, &e))
		report_notice(&t->life.report, "cannot keep the guest's disks here locked until its move is settled: %s", e.msg);
	disk_locks_take(t);
}
