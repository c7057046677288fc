/*
 * lent-monitor.h: a QMP monitor of our own in a guest's QEMU, for as long as a command needs it, where none of those that it has can be used.
 *
 * QEMU 11.1 can be told by any of its monitors, HMP too, to make another one (-object monitor-qmp). What a QEMU can is asked of it. vmferry has it make one
 * on a unix socket in its runtime directory, named as the one of `vmferry attach`, so that everything finds it there; and afterwards has QEMU
 * remove it, with its socket: by its property close-action=delete, which QEMU heeds when its client leaves, whoever that is.
 *
 * A journal of its own says so before it is made, and is locked by whoever uses the monitor: once that has died, `vmferry
 * recover` removes the monitor, or the guard if it leaves nothing to settle, as whoever settles the move needs the monitor.
 */
#ifndef VMFERRY_LENT_MONITOR_H
#define VMFERRY_LENT_MONITOR_H

#include "attach.h"
#include "err.h"
#include "journal.h"
#include "qemu-discover.h"

#include <jansson.h>
#include <stdbool.h>

#define LENT_MEMBER "lent" /* member of its journal's beginning */

struct lent_monitor {
	char *path;	 /* path of its socket; NULL: none needed, or none made */
	char *by;	 /* name of the monitor that made it; NULL: attached */
	unsigned number; /* number in the names of objects made in QEMU */
	struct attached attached;
	struct journal *journal;
	struct loop *loop;
};

/* Need for a monitor. */
struct lent_need {
	const char *state_dir, *runtime_dir;
	bool attach; /* the user asks for it */
};

/*
 * Makes one if no QMP monitor of the guest vm can be used. 0: one was made, or none is needed, or it is not for us to say why not (whoever looks for
 * the guest next does). Otherwise -errno: none can be used, and *e says of each why.
 */
int lent_make(struct lent_monitor *m, const char *vm, const struct lent_need *need, struct err *e);
/*
 * Whether lent_make() could: by which monitor (malloc'ed), or NULL, and why not (malloc'ed, NULL: the guest has no human monitor). QEMU is asked, and
 * nothing is changed; on a mux, whose keyboard would have to be taken, it is not asked.
 */
char *lent_way(const struct guest *g, char **why);
/* Has QEMU remove the monitor. -errno: it stays, *e says why. Does nothing for one that was not made, or a second time. */
int lent_return(struct lent_monitor *m, struct err *e);
/* Removes the monitor at this path of that process through itself, whichever command made it. -ENOTSUP: QEMU before 11.1. */
int lent_remove(pid_t pid, const char *path, struct loop *l, struct err *e);
/* Removes the monitor named in a journal's beginning. 0: it is gone. */
int lent_undo(const json_t *begin, struct err *e);
/* Removes this QEMU's lent monitors whose users have died, and their journals. */
void lent_undo_dead(const char *state_dir, pid_t pid, uint64_t start_time);
/* True if an unsettled journal of the same QEMU (a move's, say) still needs the monitor. */
bool lent_is_needed(const char *state_dir, const json_t *begin);

#endif
