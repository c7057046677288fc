/* journal-kinds.c: see journal-kinds.h. */
#include "journal-kinds.h"
#include "dest-options.h"
#include "exit-code.h"
#include "export.h"
#include "journal.h"
#include "json-text.h"
#include "lent-monitor.h"
#include "storage.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>

/* ---- a move to another host ---- */

struct move_taken_up move_taken_up_of(const struct move_taken_up *u, const json_t *begin)
{
	struct move_taken_up m = *u;

	m.dest.where = u->dest.where ?: life_goes_to(begin);
	m.dest.state_dir = u->life.state_dir;
	m.dest.runtime_dir = u->life.runtime_dir;
	dest_options_load(&m.dest, json_object_get(begin, "reach"), u->dest.where != NULL);
	return m;
}

static int recover_move(const struct move_taken_up *u, const json_t *begin, struct journal *j)
{
	const struct move_taken_up m = move_taken_up_of(u, begin);

	return move_recover(&m, j);
}

/* ---- what goes on on this host alone ---- */

static int recover_storage(const struct move_taken_up *u, const json_t *begin, struct journal *j)
{
	(void)begin;
	return storage_recover(&u->life, j);
}

static int recover_made(const struct move_taken_up *u, const json_t *begin, struct journal *j)
{
	(void)begin;
	return export_recover_by_journal(&u->life, j);
}

/* ---- a monitor that a command was lent ---- */

/* A lent monitor is needed as long as something of that QEMU is not settled. */
static int recover_lent(const struct move_taken_up *u, const json_t *begin, struct journal *j)
{
	const char *guest = json_text(begin, "guest") ?: "?";
	struct err e;
	int r;

	if (lent_is_needed(u->life.state_dir, begin)) {
		journal_close(j);
		fprintf(stderr, "vmferry: the monitor that vmferry has made in the QEMU of %s stays until its move is settled\n", guest);
		return EXIT_LEFTOVERS;
	}
	r = lent_undo(begin, &e);
	if (r && r != -ENOTSUP) {
		journal_close(j);
		fprintf(stderr, "vmferry: the monitor that vmferry has made in the QEMU of %s is left there: %s\n", guest, e.msg);
		return EXIT_LEFTOVERS;
	}
	fprintf(stderr,
		r ? "vmferry: the monitor that vmferry has made in the QEMU of %s stays until that ends\n"
		  : "removed from the QEMU of %s the monitor that vmferry had made there\n",
		guest);
	if (journal_remove(j, false, &e))
		fprintf(stderr, "vmferry: %s\n", e.msg);
	return 0;
}

static const struct journal_kind kinds[] = {
	{"dest", JSON_STRING, "this move", .recover = recover_move, .guard = move_guard},
	{"storage", JSON_OBJECT, "the change of its disks", .recover = recover_storage, .guard = storage_guard},
	{"here", JSON_OBJECT, "its export or import", .apart = true, .recover = recover_made},
	{LENT_MEMBER, JSON_OBJECT, "the monitor that it was lent", .apart = true, .last = true, .recover = recover_lent},
};

const struct journal_kind *journal_kind_of(const json_t *begin)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const json_t *member = json_object_get(begin, kinds[i].member);

		if (member && json_typeof(member) == kinds[i].type)
			return &kinds[i];
	}
	return NULL;
}
