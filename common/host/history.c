/* history.c: see history.h. */
#include "history.h"
#include "durable-file.h"
#include "json-text.h"
#include "moment.h"
#include "open-regular.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <syslog.h>
#include <time.h>

#define BYTES_MAX (4 * MIB)
#define ENTRY_MAX (64 * KIB)
#define TEXT_MAX  (3 * MIB) /* size of the kept text, chosen so that one more entry can still be read */
#define ROWS_MAX  256	    /* rows of the sums */

static char *read_text(const char *path)
{
	AUTO_CLOSE int fd = open_regular(path);
	char *text;
	size_t n;

	return fd < 0 || read_regular(fd, BYTES_MAX, &text, &n) ? NULL : text;
}

static json_t *read_entries(const char *path, const char *guest)
{
	AUTO_FREE char *text = read_text(path);
	json_t *all = json_array();
	char *rest = text, *line;

	while (rest && (line = strsep(&rest, "\n"))) {
		json_t *entry = json_loads(line, 0, NULL);

		if (json_is_object(entry) && (!guest || !strcmp(json_text(entry, "guest") ?: "", guest)))
			json_array_append(all, entry);
		json_decref(entry);
	}
	return all;
}

json_t *history_read(const char *state_dir, const char *guest)
{
	AUTO_FREE char *path = xasprintf("%s/history", state_dir);

	return read_entries(path, guest);
}

json_t *history_lines(const char *path)
{
	return read_entries(path, NULL);
}

/* The lines of the last entries, with the new one; malloc'ed. */
static char *text_with(json_t *all, json_t *entry)
{
	size_t count, first, bytes = 0, i;
	char **lines, *text, *end;

	json_array_append(all, entry);
	count = json_array_size(all);
	lines = xcalloc(count + 1, sizeof(*lines));
	for (first = count; first > 0 && first + HISTORY_KEPT > count && bytes <= TEXT_MAX; first--) {
		lines[first - 1] = json_text_line(json_array_get(all, first - 1)) ?: xstrdup("");
		bytes += strlen(lines[first - 1]) + 1;
	}
	text = end = xcalloc(bytes + 1, 1);
	for (i = first; i < count; i++) {
		end = stpcpy(end, lines[i]);
		*end++ = '\n';
		free(lines[i]);
	}
	free(lines);
	return text;
}

static int write_entries(const char *path, json_t *all, json_t *entry, struct err *e)
{
	AUTO_FREE char *text = text_with(all, entry);

	return replace_file(path, text, strlen(text), e);
}

int history_append(const char *path, json_t *entry, struct err *e)
{
	json_auto_t *all = read_entries(path, NULL);

	return write_entries(path, all, entry, e);
}

/* ---- sums ---- */

json_t *history_totals(const char *state_dir)
{
	AUTO_FREE char *path = xasprintf("%s/totals", state_dir);
	AUTO_FREE char *text = read_text(path);
	json_t *rows = text ? json_loads(text, 0, NULL) : NULL;

	if (json_is_array(rows))
		return rows;
	json_decref(rows);
	return json_array();
}

static json_t *row_of(json_t *rows, const char *how, json_int_t code)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (!strcmp(json_text(row, "how") ?: "", how) && json_integer_value(json_object_get(row, "exit_code")) == code)
			return row;
	if (json_array_size(rows) >= ROWS_MAX)
		return NULL;
	row = json_pack("{s:s,s:I}", "how", how, "exit_code", code);
	json_array_append_new(rows, row);
	return row;
}

static void add_to(json_t *row, const char *key, double more)
{
	json_object_set_new(row, key, json_real(json_number(row, key) + (more > 0 ? more : 0)));
}

static int add_to_sums(const char *state_dir, const json_t *entry, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/totals", state_dir);
	const json_t *result = json_object_get(entry, "result");
	json_t *rows = history_totals(state_dir),
	       *row = row_of(rows, json_text(entry, "how") ?: "?", json_integer_value(json_object_get(result, "exit_code")));
	AUTO_FREE char *text = NULL;
	int r = 0;

	if (row) {
		add_to(row, "count", 1);
		add_to(row, "seconds", json_number(result, "total_ms") / 1000);
		add_to(row, "bytes", json_number(result, "bytes_wire"));
		add_to(row, "downtime_s", json_number(json_object_get(result, "downtime_ms"), "total") / 1000);
		add_to(row, "leftovers", (double)json_array_size(json_object_get(result, "leftovers")) - json_number(result, "kept"));
		json_object_set(row, "last_at", json_object_get(entry, "at"));
		text = json_dumps(rows, JSON_COMPACT);
		r = text ? replace_file(path, text, strlen(text), e) : 0;
	}
	json_decref(rows);
	return r;
}

/* A plan that is very long is left out: it may have long lists of files. */
static void cut(json_t *entry)
{
	AUTO_FREE char *text = json_dumps(entry, JSON_COMPACT);

	if (!text || strlen(text) > ENTRY_MAX)
		json_object_del(entry, "plan");
}

static void tell_system(const json_t *entry)
{
	AUTO_FREE char *line = history_line(entry);

	syslog(LOG_DAEMON | LOG_NOTICE, "%s", line);
}

static int lock_files(const char *state_dir, struct err *e)
{
	AUTO_FREE char *lock = xasprintf("%s/history.lock", state_dir);
	int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0 && !flock(fd, LOCK_EX))
		return fd;
	err_sys(e, errno, "cannot lock %s", lock);
	if (fd >= 0)
		close(fd);
	return -e->code;
}

int history_count(const char *state_dir, json_t *entry, struct err *e)
{
	AUTO_CLOSE int fd = lock_files(state_dir, e);

	json_object_set_new(entry, "at", json_integer((json_int_t)time(NULL)));
	return fd < 0 ? fd : add_to_sums(state_dir, entry, e);
}

/* An attempt may end twice, as recover settles what its agent has left: the first entry goes, and the new one has its plan. */
static bool take_earlier(json_t *all, json_t *entry)
{
	const char *attempt = json_text(json_object_get(entry, "result"), "attempt");
	bool found = false;

	for (size_t i = json_array_size(all); attempt && i-- > 0;) {
		const json_t *earlier = json_array_get(all, i);

		if (strcmp(json_text(json_object_get(earlier, "result"), "attempt") ?: "", attempt) != 0)
			continue;
		if (json_object_get(earlier, "plan") && !json_object_get(entry, "plan"))
			json_object_set(entry, "plan", json_object_get(earlier, "plan"));
		json_array_remove(all, i);
		found = true;
	}
	return found;
}

/* An attempt counts once, as it ended first. */
static int add_to_file(const char *state_dir, json_t *entry, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/history", state_dir);
	AUTO_CLOSE int fd = lock_files(state_dir, e);

	json_auto_t *all = fd < 0 ? NULL : read_entries(path, NULL);
	bool again = take_earlier(all, entry);
	int r = fd < 0 ? fd : write_entries(path, all, entry, e);

	return r || again ? r : add_to_sums(state_dir, entry, e);
}

int history_add(const char *state_dir, json_t *entry, struct err *e)
{
	json_object_set_new(entry, "at", json_integer((json_int_t)time(NULL)));
	tell_system(entry);
	cut(entry);
	return add_to_file(state_dir, entry, e);
}

char *history_line(const json_t *entry)
{
	const json_t *result = json_object_get(entry, "result");
	const char *reason = json_text(result, "reason"), *to = json_text(entry, "destination");
	double ahead_ms = json_number(json_object_get(result, "ahead"), "ms"),
	       downtime_ms = json_number(json_object_get(result, "downtime_ms"), "total");
	AUTO_FREE char *stood = downtime_ms > 0 ? xasprintf(", stood still %.0f ms", downtime_ms) : xstrdup("");
	AUTO_FREE char *ahead = ahead_ms > 0 ? xasprintf(" after a head start of %.1f s", ahead_ms / 1000) : xstrdup("");
	char at[MOMENT_TEXT];
	char *line = xasprintf("%s%s%s, %s: %s (%s) in %.1f s%s%s%s%s", json_text(entry, "guest") ?: "?", to ? " -> " : "", to ?: "",
			       moment_text(at, (time_t)json_number(entry, "at")), json_text(result, "outcome") ?: "?",
			       json_text(entry, "how") ?: "?", json_number(result, "total_ms") / 1000, ahead, stood, reason ? ": " : "",
			       reason ?: "");

	text_make_printable(line, false);
	return line;
}
