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
	char *script;		      /* script by which a guest that is shut down was named; NULL: none */
	struct guest_scripts scripts; /* other scripts that start the guest */
	char *starter;		      /* beginning of a sentence: what may start the guest again; NULL: nothing known */
	bool images;		      /* images are to lose their names, too */
	json_t *renamed;	      /* {"from", "to"} of files that were renamed; NULL: none */
};

void aside_init(struct aside *a, struct source *src, const struct unit *unit);
/* Renames the scripts. */
int aside_scripts(struct aside *a, struct err *e);
/* Renames the images, if they are to be, once the guest is given up. May be repeated, in any life. */
int aside_images(struct aside *a, struct err *e);
/* True if there are images that are to be renamed, or were. */
bool aside_has_images(const struct aside *a);
/* Gives the images their names back, so that the guest may go on here. */
int aside_give_back(struct aside *a, struct err *e);
/* Present name of that image; malloc'ed. */
char *aside_path(const struct aside *a, const char *path);
/* True if the entry (named-images.h) is of an image that was set aside and gets its name back. */
bool aside_has(const struct aside *a, const json_t *was);
/* Checks that the file can get another name in its directory. what: names it in the message. */
int aside_check_name(const char *path, const char *what, struct err *e);

#endif
