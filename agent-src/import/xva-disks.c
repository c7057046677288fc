/* xva-disks.c: the disks of an XVA (xva.h), unpacked to where they are converted from: a row of packed-sources.h. */
#include "packed-sources.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

/* Finds the folder of each disk of d. */
static void find(struct sources *s, struct guest_description *d, const struct sources_named *named)
{
	(void)named;
	for (size_t i = 0; i < d->disk_count; i++) {
		unsigned number;

		if (d->disks[i].file && sscanf(d->disks[i].file, "Ref:%9u", &number) == 1)
			s->numbers[i] = number + 1; /* 0: there is none */
	}
}

static int unpack(struct sources *s, struct guest_description *d, struct err *e)
{
	struct unpack_target list[GUEST_DISKS_MAX];
	size_t i, n = 0;

	for (i = 0; i < d->disk_count; i++) {
		if (!s->numbers[i] || s->disks[i].path) /* the user has another for it */
			continue;
		s->disks[i].path = xasprintf("%s/%u.raw", s->spool.path, s->numbers[i] - 1);
		list[n++] = (struct unpack_target){.number = s->numbers[i] - 1, .bytes = d->disks[i].capacity, .path = s->disks[i].path};
	}
	return n ? unpack_xva(s->description, list, n, e) : 0;
}

const struct archive_kind xva_archive = {.text = "description", .find = find, .unpack = unpack};
