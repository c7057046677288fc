/* promise.c: see promise.h. */
#include "promise.h"
#include "disks-space.h"
#include "json-text.h"
#include "log.h"
#include "memory-room.h"
#include "promised.h"
#include "room.h"
#include "arriving-transfer.h"
#include "util.h"

#include <string.h>

/* True if the transfer brings no guest that runs here. */
static bool runs_nothing(const struct transfer *t)
{
	return t->recipe->can_run == cold_can_run || !strcmp(t->recipe->how, "replica");
}

static json_t *note_of(const struct transfer *t)
{
	json_t *files = json_array();

	for (size_t i = 0; i < t->disks.count; i++)
		if (!t->disks.list[i].device &&
		    !(t->disks.point && t->disks.list[i].backing)) /* the size of an incremental point is unknown, so it is not counted */
			promised_add_file(files, t->disks.list[i].path, t->disks.list[i].allocated);
	for (size_t i = 0; i < t->files.count; i++)
		if (t->files.list[i].transfer == CARRY_COPY)
			promised_add_file(files, t->files.list[i].to, t->files.list[i].size);
	if (!runs_nothing(t))
		memory_room_promise(&t->target, files);
	return promised_note(json_text(t->target.description, "name"), runs_nothing(t) ? 0 : json_bytes(t->target.description, "ram_bytes"),
			     t->target.qemu.pid, files);
}

/* ---- for the move ---- */

/* *others: NULL: that cannot be told, and the move is more than its promise. */
static void exchange(struct transfer *t, const json_t *note, json_t **others)
{
	struct err e;

	*others = NULL;
	if (ticket_note(t->turn.ticket, t->cfg->runtime_dir, "in", note, others, &e))
		log_error("vmferry does not count what was promised to guests on their way here: %s", e.msg);
}

json_t *promise_choice(struct transfer *t, const char *dir, uint64_t bytes)
{
	AUTO_FREE char *path = xasprintf("%s/-", dir ?: "");
	json_t *files = json_array(), *note, *others;

	if (dir)
		promised_add_file(files, path, bytes);
	note = promised_note(json_text(t->target.description, "name"), 0, 0, files);
	exchange(t, note, &others);
	json_decref(note);
	return others;
}

/* Memory that the plan refuses without others' promises is not refused once more. */
static void check_memory(struct transfer *t, uint64_t need, const json_t *others)
{
	struct err e;

	if (need <= memory_available() && promised_check_kept(need, t->keep_memory, PROMISED_AT_DESTINATION, &e))
		target_obstacle(&t->target, &e);
	else if (promised_check_memory(others, need, t->keep_memory, PROMISED_AT_DESTINATION, &e))
		target_obstacle(&t->target, &e);
}

static void check_volume(struct transfer *t, const json_t *volume, const json_t *others)
{
	const char *dir = json_text(volume, "dir");
	struct err e;

	if (dir && promised_check_room(others, dir, "the disks", json_bytes(volume, "need"), json_bytes(volume, "free"),
				       PROMISED_AT_DESTINATION, &e))
		target_obstacle(&t->target, &e);
}

void promise_examine(struct transfer *t)
{
	json_t *note = note_of(t), *others, *volumes, *volume;
	size_t i;

	exchange(t, note, &others);
	check_memory(t, json_bytes(note, "memory"), others);
	if (!runs_nothing(t)) {
		memory_room_examine(&t->target);
		memory_room_beside(&t->target, others);
	}
	if (json_array_size(others)) {
		volumes = space_volumes(&t->disks, &t->files);
		json_array_foreach(volumes, i, volume)
			check_volume(t, volume, others);
		json_decref(volumes);
	}
	json_decref(others);
	json_decref(note);
}

void promise_follow_qemu(struct transfer *t)
{
	json_auto_t *note = NULL, *others = NULL;

	if (!t->turn.ticket)
		return;
	note = note_of(t);
	exchange(t, note, &others);
}
