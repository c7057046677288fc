/* ram-mode.c: see ram-mode.h. */
#include "ram-mode.h"
#include "json-text.h"
#include "ram-blocks.h"
#include "util.h"

#include <errno.h>
#include <string.h>

static int count_memories(struct qmp *q, size_t *count, struct err *e)
{
	json_t *list;
	int code = qmp_call(q, "query-memdev", NULL, &list, e);

	if (code)
		return code;
	*count = json_array_size(list);
	json_decref(list);
	return 0;
}

/* State that QEMU sends in rounds among the guest's memory, as its machine has it; NULL: none. */
static const char *state_among_memory(const char *machine)
{
	static const struct {
		const char *machine, *state;
	} rows[] = {{"pseries", "the hash page table of a pseries"}, {"s390-ccw-virtio", "the storage keys of an s390x"}};

	for (size_t i = 0; machine && i < ARRAY_LEN(rows); i++)
		if (!strncmp(machine, rows[i].machine, strlen(rows[i].machine)))
			return rows[i].state;
	return NULL;
}

static int find_early_state(struct ram *r, struct err *e)
{
	json_t *list;
	int code = qmp_call(r->src->qmp, "query-memory-devices", NULL, &list, e);

	if (code)
		return code;
	r->early_state = state_among_memory(r->src->guest.machine);
	if (json_find(list, "type", "virtio-mem"))
		r->early_state = "virtio-mem";
	json_decref(list);
	return r->early_state && r->src->opt->carry.ram_mode == RAM_WISH_PAGES
		       ? err_set(e, ENOTSUP,
				 "the guest has %s, whose state QEMU sends before or among the guest's memory: its memory can travel as "
				 "QEMU's own stream only (--ram-mode opaque)",
				 r->early_state)
		       : 0;
}

enum ram_wish ram_mode_wish(const struct ram *r)
{
	enum ram_wish asked = r->src->opt->carry.ram_mode;

	return asked != RAM_WISH_AUTO ? asked : r->early_state ? RAM_WISH_OPAQUE : r->loses_writes ? RAM_WISH_PAGES : RAM_WISH_AUTO;
}

int ram_mode_refuse(struct err *e)
{
	return err_set(
		e, ENOTSUP,
		"without KVM QEMU loses much of what a guest with several blocks of memory (NUMA, memory plugged in) writes while it is "
		"moved, and nothing would find it: --how quick stops the guest first; --recheck off says that you know");
}

/* The owner of a paused guest may let it go on meanwhile. */
bool ram_mode_runs_without_kvm(const struct ram *r)
{
	return r->src->machine.accel && !strcmp(r->src->machine.accel, "tcg") && (!r->src->run.was_running || !r->src->traits.stops_first);
}

/* QEMU 7.2 does not tell where it has a block, and blocks of one size are not told apart. */
static int can_be_compared(struct ram *r, bool *yes, struct err *e)
{
	struct ram_block_place *told;
	size_t n;
	int code = ram_blocks_ask(r->src->qmp, r->src->guest.pid, &told, &n, e);

	if (code)
		return code;
	*yes = n && !ram_blocks_missing(told, n);
	free(told);
	return 0;
}

int ram_mode_examine(struct ram *r, struct err *e)
{
	size_t memories = 0;
	bool yes = false;
	int code = find_early_state(r, e);

	if (code || !ram_mode_runs_without_kvm(r) || r->src->opt->carry.recheck == RECHECK_OFF)
		return code;
	code = count_memories(r->src->qmp, &memories, e);
	if (code || memories < 2)
		return code;
	r->loses_writes = true;
	code = can_be_compared(r, &yes, e);
	return code || (yes && ram_mode_wish(r) == RAM_WISH_PAGES) ? code : ram_mode_refuse(e);
}
