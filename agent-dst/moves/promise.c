/* promise.c: see promise.h. */
#include "promise.h"
#include "disks-space.h"
#include "json-text.h"
#include "log.h"
#include "process.h"
#include "room.h"
#include "transfer.h"
#include "util.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#define NAMES_SHOWN 3

static uint64_t bytes_of(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

/* ---- a note ---- */

static void add_file(json_t *files, const char *path, uint64_t bytes)
{
	if (bytes)
		json_array_append_new(files, json_pack("{s:s,s:I}", "path", path, "bytes", (json_int_t)bytes));
}

/* No guest comes to run here by it. */
static bool runs_nothing(const struct transfer *t)
{
	return t->recipe->can_run == cold_can_run || !strcmp(t->recipe->how, "replica");
}

/* {"guest": "vm1", "memory": bytes, "pid": its QEMU, or 0, "files": [{"path", "bytes"}]} */
static json_t *note_of(const struct transfer *t)
{
	json_t *files = json_array();
	size_t i;

	for (i = 0; i < t->disks.count; i++)
		if (!t->disks.list[i].device &&
		    !(t->disks.point && t->disks.list[i].backing)) /* the size of an incremental point is unknown, so it is not counted */
			add_file(files, t->disks.list[i].path, t->disks.list[i].allocated);
	for (i = 0; i < t->files.count; i++)
		if (t->files.list[i].transfer == CARRY_COPY)
			add_file(files, t->files.list[i].to, t->files.list[i].size);
	return json_pack("{s:s*,s:I,s:i,s:o}", "guest", json_text(t->target.description, "name"), "memory",
			 (json_int_t)(runs_nothing(t) ? 0 : bytes_of(t->target.description, "ram_bytes")), "pid", (int)t->target.qemu.pid,
			 "files", files);
}

/* ---- what others were promised ---- */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a - MIN(a, b);
}

static uint64_t memory_to_come(const json_t *note)
{
	json_int_t pid = json_integer_value(json_object_get(note, "pid"));

	return less(bytes_of(note, "memory"), pid > 0 && pid < INT32_MAX ? process_resident_bytes((pid_t)pid) : 0);
}

/* The file system of that directory, or of the one in which it is to be made (in PREPARE). */
static int stat_dir(const char *dir, struct stat *st)
{
	AUTO_FREE char *copy = xstrdup(dir);

	return stat(dir, st) && stat(dirname(copy), st) ? -errno : 0;
}

/* Bytes of its files on that file system that are not written yet. */
static uint64_t bytes_to_come(const json_t *note, dev_t device)
{
	uint64_t all = 0;
	json_t *file;
	size_t i;

	json_array_foreach(json_object_get(note, "files"), i, file) {
		const char *path = json_text(file, "path") ?: "";
		const char *slash = strrchr(path, '/');
		AUTO_FREE char *dir = slash ? xstrndup(path, MAX(1, (size_t)(slash - path))) : xstrdup(".");
		struct stat st, at;

		if (stat_dir(dir, &st) || st.st_dev != device)
			continue;
		all += less(bytes_of(file, "bytes"), stat(path, &at) ? 0 : (uint64_t)at.st_blocks * 512);
	}
	return all;
}

/* "vm1, vm2 and 3 more", malloc'ed. */
static char *names_of(const json_t *notes)
{
	char *text = xstrdup(""), *longer;
	size_t n = json_array_size(notes), i;

	for (i = 0; i < MIN(n, NAMES_SHOWN); i++) {
		AUTO_FREE char *name = text_shown(json_text(json_array_get(notes, i), "guest"));

		longer = xasprintf("%s%s%s", text, i ? ", " : "", name);
		free(text);
		text = longer;
	}
	if (n > NAMES_SHOWN) {
		longer = xasprintf("%s and %zu more", text, n - NAMES_SHOWN);
		free(text);
		text = longer;
	}
	return text;
}

/* Memory that the host's owner keeps free is nobody's. */
static void check_kept(struct transfer *t, uint64_t need)
{
	uint64_t available = memory_available();
	char a[24], b[24], c[24];
	struct err e;

	if (!need || !t->keep_memory || !available || need > available || need + t->keep_memory <= available)
		return;
	err_set(&e, ENOMEM,
		"the guest has %s of memory, and of the %s that are available at the destination %s stay free (keep-memory in /etc/vmferry/host)",
		format_bytes(a, need), format_bytes(b, available), format_bytes(c, t->keep_memory));
	target_obstacle(&t->target, &e);
}

static void check_memory(struct transfer *t, uint64_t need, const json_t *others)
{
	uint64_t available = memory_available(), promised = 0;
	AUTO_FREE char *names = names_of(others);
	char a[24], b[24], c[24];
	json_t *note;
	struct err e;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)others, i, note)
		promised += memory_to_come(note);
	if (!need || !promised || !available || need + t->keep_memory > available || need + t->keep_memory + promised <= available)
		return; /* or it was refused already, without them */
	err_set(&e, ENOMEM,
		"the guest has %s of memory, and of the %s that are available at the destination %s are promised to guests on their way there (%s)",
		format_bytes(a, need), format_bytes(b, available), format_bytes(c, promised), names);
	target_obstacle(&t->target, &e);
}

static void check_volume(struct transfer *t, const json_t *volume, const json_t *others)
{
	uint64_t need = bytes_of(volume, "need"), available = bytes_of(volume, "free"), promised = 0;
	const char *dir = json_text(volume, "dir");
	AUTO_FREE char *names = names_of(others);
	char a[24], b[24], c[24];
	struct err e;

	if (!dir)
		return;
	promised = promise_of_room(others, dir);
	if (!need || !promised || need > available || need + promised <= available)
		return;
	err_set(&e, ENOSPC,
		"the disks need %s, and of the %s that are free in %s at the destination %s are promised to guests on their way there (%s)",
		format_bytes(a, need), format_bytes(b, available), dir, format_bytes(c, promised), names);
	target_obstacle(&t->target, &e);
}

/* ---- for the move ---- */

/* *others: NULL: that cannot be told, and the move is more than its promise. */
static void exchange(struct transfer *t, const json_t *note, json_t **others)
{
	struct err e;

	*others = NULL;
	if (ticket_note(t->turn.ticket, t->cfg->runtime_dir, "in", note, others, &e))
		log_error("what guests on their way here were promised is not counted: %s", e.msg);
}

json_t *promise_choice(struct transfer *t, const char *dir, uint64_t bytes)
{
	AUTO_FREE char *path = xasprintf("%s/-", dir ?: "");
	json_t *files = json_array(), *note, *others;

	if (dir)
		add_file(files, path, bytes);
	note = json_pack("{s:s*,s:o}", "guest", json_text(t->target.description, "name"), "files", files);
	exchange(t, note, &others);
	json_decref(note);
	return others;
}

uint64_t promise_of_room(const json_t *others, const char *dir)
{
	uint64_t promised = 0;
	json_t *note;
	struct stat st;
	size_t i;

	if (stat_dir(dir, &st))
		return 0;
	json_array_foreach((json_t *)(uintptr_t)others, i, note)
		promised += bytes_to_come(note, st.st_dev);
	return promised;
}

void promise_examine(struct transfer *t)
{
	json_t *note = note_of(t), *others, *volumes, *volume;
	size_t i;

	exchange(t, note, &others);
	check_kept(t, bytes_of(note, "memory"));
	if (json_array_size(others)) {
		check_memory(t, bytes_of(note, "memory"), others);
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
	json_t *note, *others;

	if (!t->turn.ticket)
		return;
	note = note_of(t);
	exchange(t, note, &others);
	json_decref(others);
	json_decref(note);
}
