/* import-turn.c: see import-turn.h. */
#include "import-turn.h"
#include "host-settings.h"
#include "json-text.h"
#include "promised.h"
#include "room.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define LOOK_MS 100

/* The guest is more than its place in a queue. */
static void go_without(struct import_turn *u, struct life *l, const struct err *why)
{
	life_notice(l, "this import does not wait for others, nor others for it: %s", why->msg);
	ticket_return(u->ticket);
	u->ticket = NULL;
}

static void tell(struct life *l, unsigned ahead)
{
	if (ahead == l->ahead)
		return;
	l->ahead = ahead;
	if (ahead)
		life_notice(l, "waits for its turn: %u guest%s to this host before it; `vmferry cancel` ends the waiting, --now passes it",
			    ahead, ahead == 1 ? " comes" : "s come");
}

/* Reads the settings. in: as many moves may come at once; 0: any number. */
static int read_settings(struct import_turn *u, unsigned *in, struct err *e)
{
	struct host_settings settings;
	int r = host_settings_read(&settings, e);

	if (r)
		return r;
	*in = settings.in;
	u->keep_memory = settings.keep_memory;
	host_settings_fini(&settings);
	return 0;
}

/* The owner may change the limit meanwhile. */
static int look(struct import_turn *u, struct life *l, bool *waits, struct err *e)
{
	unsigned ahead = 0, in;
	struct err why;
	int r = read_settings(u, &in, e);

	if (r)
		return r;
	r = in ? ticket_ahead(u->ticket, &ahead, &why) : 0;
	if (r && r != -EAGAIN)
		go_without(u, l, &why);
	else if (!r)
		tell(l, in && ahead >= in ? ahead : 0);
	*waits = r == -EAGAIN || l->ahead;
	return 0;
}

int import_turn_wait(struct import_turn *u, struct life *l, const struct import_options *o, bool stream, struct err *e)
{
	bool waits = !o->now && !stream;
	unsigned ignored;
	struct err why;
	int r = read_settings(u, &ignored, e);

	if (r || !l->runtime_dir || o->dry_run)
		return r;
	if (ticket_take(&u->ticket, l->runtime_dir, "in", &why))
		go_without(u, l, &why);
	while (u->ticket && waits && !r) {
		r = look(u, l, &waits, e);
		if (!r && waits && life_interrupted())
			r = err_set(e, ECANCELED, "interrupted while it waited for its turn");
		if (!r && waits)
			poll(NULL, 0, LOOK_MS);
	}
	l->ahead = 0;
	return r;
}

/* *others: NULL: that cannot be told, and the guest is more than its promise. */
static void exchange(const struct import_turn *u, const struct life *l, json_t **others)
{
	json_auto_t *note = promised_note(l->subject.guest, u->memory, 0, u->files ? json_incref(u->files) : json_array());
	struct err ignored;

	*others = NULL;
	if (l->runtime_dir)
		ticket_note(u->ticket, l->runtime_dir, "in", note, others, &ignored);
}

static void tell_others(const struct import_turn *u, const struct life *l)
{
	json_auto_t *others = NULL;

	if (!u->ticket)
		return;
	exchange(u, l, &others);
}

void import_turn_needs(struct import_turn *u, const char *path, uint64_t bytes)
{
	u->files = u->files ?: json_array();
	promised_add_file(u->files, path, bytes);
}

static uint64_t bytes_of_files(const json_t *files)
{
	uint64_t bytes = 0;
	json_t *file;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)files, i, file)
		bytes += (uint64_t)json_integer_value(json_object_get(file, "bytes"));
	return bytes;
}

int import_turn_promise(struct import_turn *u, const struct life *l, uint64_t memory, const char *dir, struct err *e)
{
	struct room room;
	json_auto_t *others = NULL;
	int r;

	u->memory = memory;
	exchange(u, l, &others);
	r = promised_check_kept(memory, u->keep_memory, PROMISED_HERE, e);
	r = r ?: promised_check_memory(others, memory, u->keep_memory, PROMISED_HERE, e);
	if (!r && !room_get(dir, &room))
		r = promised_check_room(others, dir, "the disks", bytes_of_files(u->files), room.disk, PROMISED_HERE, e);
	return r;
}

void import_turn_is_written(struct import_turn *u, const struct life *l, const char *path, const char *draft)
{
	json_t *file = json_find(u->files, "path", path);

	if (file)
		json_object_set_new(file, "path", json_string(draft));
	tell_others(u, l);
}

void import_turn_has_written(struct import_turn *u, const struct life *l)
{
	json_array_clear(u->files);
	tell_others(u, l);
}

void import_turn_end(struct import_turn *u)
{
	ticket_return(u->ticket);
	json_decref(u->files);
	*u = (struct import_turn){.ticket = NULL};
}
