/* promised.c: see promised.h. */
#include "promised.h"
#include "json-text.h"
#include "process.h"
#include "room.h"
#include "same-file.h"
#include "util.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#define NAMES_SHOWN 3

/* ---- a note ---- */

void promised_add_file(json_t *files, const char *path, uint64_t bytes)
{
	if (bytes)
		json_array_append_new(files, json_pack("{s:s,s:I}", "path", path, "bytes", (json_int_t)bytes));
}

json_t *promised_note(const char *guest, uint64_t memory, pid_t pid, json_t *files)
{
	return json_pack("{s:s*,s:I,s:i,s:o}", "guest", guest, "memory", (json_int_t)memory, "pid", (int)pid, "files", files);
}

/* ---- bytes still to come ---- */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a - MIN(a, b);
}

static uint64_t memory_to_come(const json_t *note)
{
	json_int_t pid = json_integer_value(json_object_get(note, "pid"));

	return less(json_bytes(note, "memory"), pid > 0 && pid < INT32_MAX ? process_resident_bytes((pid_t)pid) : 0);
}

/* The file system of that directory, or of the one in which it is to be made. */
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
		struct stat st;

		if (stat_dir(dir, &st) || st.st_dev != device)
			continue;
		all += less(json_bytes(file, "bytes"), path_allocated(path));
	}
	return all;
}

uint64_t promised_room(const json_t *others, const char *dir)
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

/* ---- checks ---- */

static const char *where_word(enum promised_where where)
{
	return where == PROMISED_HERE ? "here" : "at the destination";
}

static const char *way_word(enum promised_where where)
{
	return where == PROMISED_HERE ? "here" : "there";
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

int promised_check_kept(uint64_t need, uint64_t keep, enum promised_where where, struct err *e)
{
	uint64_t available = memory_available();
	char a[24], b[24], c[24];

	if (!need || !keep || !available || need + keep <= available)
		return 0;
	return err_set(e, ENOMEM,
		       "the guest has %s of memory, and of the %s that are available %s %s stay free (keep-memory in /etc/vmferry/host)",
		       format_bytes(a, need), format_bytes(b, available), where_word(where), format_bytes(c, keep));
}

int promised_check_memory(const json_t *others, uint64_t need, uint64_t keep, enum promised_where where, struct err *e)
{
	uint64_t available = memory_available(), promised = 0;
	AUTO_FREE char *names = names_of(others);
	char a[24], b[24], c[24];
	json_t *note;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)others, i, note)
		promised += memory_to_come(note);
	if (!need || !promised || !available || need + keep > available || need + keep + promised <= available)
		return 0;
	return err_set(e, ENOMEM,
		       "the guest has %s of memory, and of the %s that are available %s %s are promised to guests on their way %s (%s)",
		       format_bytes(a, need), format_bytes(b, available), where_word(where), format_bytes(c, promised), way_word(where),
		       names);
}

int promised_check_room(const json_t *others, const char *dir, const char *what, uint64_t need, uint64_t available,
			enum promised_where where, struct err *e)
{
	uint64_t promised = promised_room(others, dir);
	AUTO_FREE char *names = names_of(others);
	char a[24], b[24], c[24];

	if (!need || !promised || need > available || need + promised <= available)
		return 0;
	return err_set(e, ENOSPC, "%s need %s, and of the %s that are free in %s %s %s are promised to guests on their way %s (%s)", what,
		       format_bytes(a, need), format_bytes(b, available), dir, where_word(where), format_bytes(c, promised),
		       way_word(where), names);
}
