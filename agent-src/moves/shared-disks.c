/*
 * shared-disks.c: disks that both hosts see, and when they were written last. They are newer than the memory that is held here if the guest has run
 * at the destination: then that memory never goes on, whatever a person says of the destination, in this life or a later one.
 */
#include "transfer.h"
#include "image-lock.h"
#include "image-mark.h"
#include "util.h"

#include <errno.h>
#include <poll.h>

static void note_written(json_t *out, const json_t *paths)
{
	json_t *path;
	size_t i;

	json_array_foreach((json_t *)paths, i, path)
		json_object_set_new(out, json_string_value(path), json_integer(file_written_ns(json_string_value(path))));
}

int shared_disks_note_held(struct transfer *t, struct err *e)
{
	json_t *written = json_object();

	note_written(written, t->src.shared_paths);
	return json_array_size(t->src.shared_paths) ? attempt_note(&t->a, "held", written, e) : (json_decref(written), 0);
}

int shared_disks_unwritten(const struct transfer *t, struct err *e)
{
	const char *why, *path = file_written_since(journal_last_note(t->a.journal, "held"), &why);

	return path ? err_set(e, EBUSY,
			      "disk %s, which both hosts see, %s since the guest was handed over: its memory here, in a QEMU that is held "
			      "(process %d), is older, and does not go on. If the guest runs nowhere, end that QEMU and start the guest anew "
			      "from its disk; then recover again",
			      path, why, (int)t->src.guest.pid)
		    : 0;
}

void shared_disks_are_ours(struct transfer *t)
{
	struct err ignored;

	if (json_object_size(journal_last_note(t->a.journal, "held")))
		attempt_note(&t->a, "held", json_object(), &ignored);
}

int shared_disks_may_be_vouched_for(const struct transfer *t, struct err *e)
{
	const char *name = json_string_value(json_array_get(t->src.disks_by_word, 0));

	return name && handoff_is_given_up(&t->a.handoff) && t->a.handoff.qemu_alive
		       ? err_set(e, EBUSY,
				 "vmferry cannot see whether the guest wrote to disk %s at the destination: its memory here, in a QEMU "
				 "that is held (process %d), may be older, and does not go on. If the guest runs nowhere, end that QEMU "
				 "and start the guest anew from its disk; then recover again",
				 name, (int)t->src.guest.pid)
		       : 0;
}

#define LET_GO_POLL_MS 50

int shared_disks_let_go(const struct transfer *t, unsigned wait_ms, struct err *e)
{
	uint64_t until = now_ns() + wait_ms * 1000000ULL;
	json_t *path;
	size_t i;

	json_array_foreach(t->src.shared_paths, i, path) {
		while (image_is_forbidden_to_write(json_string_value(path)) && now_ns() < until)
			poll(NULL, 0, LET_GO_POLL_MS);
		if (image_is_forbidden_to_write(json_string_value(path)))
			return err_set(
				e, EAGAIN,
				"the guest is paused at the source: disk %s, which both hosts see, is locked by another QEMU, as the one at the "
				"destination has not let go of it. The guest would be lost at its first write. See that that one ends, then "
				"recover",
				json_string_value(path));
	}
	return 0;
}
