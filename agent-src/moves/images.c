/* images.c: the guest's images at the source, should others take their names while it moves (source-images.h). Shared by all kinds that carry its memory. */
#include "transfer.h"
#include "named-images.h"
#include "source-images.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

void images_let_complete(struct transfer *t, int r, uint64_t until_ns)
{
	struct err ignored;

	if (!r && source_images_named(&t->src.guest, t->src.images, &ignored))
		ram_let_complete(&t->ram, until_ns);
}

int images_are_there(struct transfer *t, struct err *e)
{
	if (!source_images_named_again(&t->src.guest, t->src.images, e))
		return 0;
	t->end.other_image = true;
	e->code = ECANCELED;
	return -ECANCELED;
}

/* A file that was set aside has its name again before the guest goes on, and so has a link that leads nowhere meanwhile; then all names are looked at. */
static bool is_another(const struct transfer *t, const char *path, const json_t *was)
{
	struct stat st;

	return !named_image_is(was, path) && !(stat(path, &st) && errno == ENOENT && aside_has(&t->around.aside, was));
}

int images_fit_memory(const struct transfer *t, struct err *e)
{
	AUTO_FREE char *at = NULL;
	const char *path;
	json_t *was;

	json_object_foreach(t->src.images, path, was) {
		if (!t->a.handoff.qemu_alive || !is_another(t, path, was))
			continue;
		at = source_image_held_at(&t->src.guest, was);
		return err_set(
			e, EBUSY,
			"%s file has the name of its disk %s: the guest's memory, in a QEMU that is held (process %d), does not go on over "
			"that. What the guest wrote last is %s%s. If the guest runs nowhere, copy that (cp --sparse=always) and give the copy the "
			"disk's name; then end that QEMU, and start the guest anew",
			access(path, F_OK) ? "no" : "another", path, (int)t->src.guest.pid,
			at ? "as long as it lives at " : "in a file that it has no more, and that may have another name", at ?: "");
	}
	return 0;
}
