/*
 * aside.h: names that a guest's files lose at the source when the guest goes, so that nothing starts the old copy; as a part of its move, for every kind
 * of transfer.
 *
 *   scripts   NAME.sh that vmferry wrote, wherever it lies, and the script by which a guest that is shut down was named. They are renamed
 *             before the guest is given up, as its unit is blocked: from then on a reboot, cron or a person does not start it by them.
 *   images    where a starter is known that nobody can keep from starting the guest again (started-by.h). They are renamed once COMMITTED is
 *             durable, and at the latest before the source QEMU ends, which is when a starter wakes. They are not renamed earlier, as a QEMU
 *             that goes on opens its images by name once more. For the same reason they have their names again before the guest goes on here.
 *             Of a guest that is shut down they are renamed before COMMITTED: nothing is held here but by an agent, which may die.
 *   sockets   and the pidfile, which QEMU removes when it ends by itself, and not when it is ended. They are removed once it was.
 *
 * Each is journaled before it is done, settled in any later life, and undone unless the guest has gone (RELEASED). In place nothing loses its name: what
 * started the guest starts it again.
 */
#ifndef VMFERRY_ASIDE_H
#define VMFERRY_ASIDE_H

#include "guest-scripts.h"
#include "source.h"
#include "unit.h"

struct aside {
	struct part part;
	struct source *src;
	const struct unit *unit;
	char *script;		      /* of a guest that is shut down: by which it was named; NULL: none */
	struct guest_scripts scripts; /* the others */
	char *starter;		      /* the beginning of a sentence: what may start the guest again; NULL: nothing that is known */
	bool images;		      /* so they are to lose their names, too */
	json_t *renamed;	      /* {"from", "to"} of what has lost its name; NULL: nothing */
};

void aside_init(struct aside *a, struct source *src, const struct unit *unit);
/* The scripts lose their names. */
int aside_scripts(struct aside *a, struct err *e);
/* The images do, if they are to; the guest is given up. Again, too, and in any life. */
int aside_images(struct aside *a, struct err *e);
/* The images have their names, and the guest may go on here. */
int aside_give_back(struct aside *a, struct err *e);
/* The image of that name, as it is called now; malloc'ed. */
char *aside_path(const struct aside *a, const char *path);
/* The file of that entry (named-images.h) is an image that was set aside, and gets its name back. */
bool aside_has(const struct aside *a, const json_t *was);

#endif
