/* points.c: see points.h. */
#include "points.h"
#include "durable-file.h"
#include "json-text.h"
#include "paths.h"
#include "same-file.h"
#include "util.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_MS	     30000
#define SESSION_MS   10000
#define LOCK_LOOK_MS 20
#define JSON_MAX     (1024 * 1024)
#define NUMBER_MAX   999999999

/* ---- paths ---- */

char *points_dir(const char *disk_dir, const char *guest)
{
	AUTO_FREE char *name = path_with_name("%n.replica", guest);

	return xasprintf("%s/%s", disk_dir, name);
}

char *points_path(const struct points *p, const char *slot, const char *file)
{
	return xasprintf("%s/points/%s%s%s", p->dir, slot, file ? "/" : "", file ?: "");
}

char *points_draft(const struct points *p, uint64_t number, const char *attempt)
{
	return xasprintf("%s/points/%06llu.%s%s", p->dir, (unsigned long long)number, attempt, POINT_TMP);
}

/* ---- files of JSON ---- */

static int read_json(const char *path, json_t **out, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	AUTO_FREE char *text = xmalloc(JSON_MAX);
	json_error_t why;
	ssize_t n = 0, r = 0;

	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	while (n < JSON_MAX && (r = read(fd, text + n, (size_t)(JSON_MAX - n))) > 0)
		n += r;
	if (r < 0)
		return err_sys(e, errno, "cannot read %s", path);
	*out = n < JSON_MAX ? json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &why) : NULL;
	if (json_is_object(*out))
		return 0;
	json_decref(*out);
	*out = NULL;
	return err_set(e, EBADMSG, "%s is damaged: it is not a JSON object", path);
}

static int write_json(const char *path, const json_t *v, struct err *e)
{
	AUTO_FREE char *text = json_text_dump(v, JSON_INDENT(1));

	return text ? replace_file(path, text, strlen(text), e) : err_set(e, EINVAL, "%s cannot be written: not text", path);
}

int points_write(const struct points *p, const char *slot, const json_t *point, struct err *e)
{
	AUTO_FREE char *path = points_path(p, slot, "point.json");

	return write_json(path, point, e);
}

int points_set(struct points *p, const char *key, json_t *value, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/replica.json", p->dir);

	json_object_set_new(p->replica, key, value);
	return write_json(path, p->replica, e);
}

/* ---- a replica ---- */

static bool is_vacant(const json_t *replica)
{
	return json_is_true(json_object_get(replica, "over")) || json_is_true(json_object_get(replica, "removed"));
}

/* The guest was taken over at a further host, where the points went on to (onward.h). */
static bool is_replaced_further(const json_t *replica)
{
	return json_text(json_object_get(replica, "onward"), "replaced");
}

/* The primary of that pair, in a lower term or not, may ask still. */
static bool has_replaced(const json_t *replica)
{
	return is_replaced_further(replica) || json_is_true(json_object_get(replica, "over")) ||
	       json_integer_value(json_object_get(replica, "term")) > 1;
}

/* Pairs whose guests were taken over here: who was their primary may ask still. A new reference. */
static json_t *with_past(const json_t *replica, const json_t *had)
{
	json_t *out = json_copy((json_t *)(uintptr_t)replica), *past;

	past = json_deep_copy(json_object_get(had, "past")) ?: json_array();
	if (has_replaced(had) && !json_equal(json_object_get(had, "pair"), json_object_get(replica, "pair")))
		json_array_append_new(past, json_pack("{s:O*,s:O*,s:O*}", "pair", json_object_get(had, "pair"), "term",
						      json_object_get(had, "term"), "removed", json_object_get(had, "removed")));
	json_object_set_new(out, "past", past);
	return out;
}

int points_create(const char *dir, const json_t *replica, struct err *e)
{
	AUTO_FREE char *points = xasprintf("%s/points", dir), *file = xasprintf("%s/replica.json", dir);
	json_t *had = NULL;
	bool taken = read_json(file, &had, e) != -ENOENT && !is_vacant(had);
	int r = 0;
	json_t *about = taken ? NULL : with_past(replica, had);

	json_decref(had);
	if (taken)
		return err_set(e, EEXIST, "there is a replica in %s already", dir);
	if ((mkdir(dir, 0700) && errno != EEXIST) || (mkdir(points, 0700) && errno != EEXIST))
		r = err_sys(e, errno, "cannot make the directory %s of the replica", points);
	r = r ?: sync_parent_dir(dir, e) ?: sync_parent_dir(points, e) ?: write_json(file, about, e);
	json_decref(about);
	return r;
}

static int take_lock(const char *path, unsigned most_ms, int *fd, struct err *e)
{
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	for (unsigned waited = 0; flock(*fd, LOCK_EX | LOCK_NB); waited += LOCK_LOOK_MS) {
		int r = errno;

		if (r == EWOULDBLOCK && waited < most_ms) {
			poll(NULL, 0, LOCK_LOOK_MS);
			continue;
		}
		close(*fd);
		*fd = -1;
		return r == EWOULDBLOCK ? err_set(e, EBUSY, "%s is locked", path) : err_sys(e, r, "cannot lock %s", path);
	}
	if (file_has_name(*fd, path))
		return 0;
	close(*fd);
	return take_lock(path, most_ms, fd, e);
}

static int lock_store(const char *dir, unsigned most_ms, int *fd, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/lock", dir);
	int r = take_lock(path, most_ms, fd, e);

	return r == -EBUSY
		       ? err_set(e, EBUSY,
				 "another vmferry is changing the replica in %s, or a guest is about to run from it (vmferry-dst recover)",
				 dir)
		       : r;
}

int points_lock(const char *dir, int *fd, struct err *e)
{
	return lock_store(dir, LOCK_MS, fd, e);
}

int points_lock_now(const char *dir, int *fd, struct err *e)
{
	return lock_store(dir, 0, fd, e);
}

static int lock_session(const char *dir, unsigned most_ms, int *fd, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/session", dir);
	int r = take_lock(path, most_ms, fd, e);

	return r == -EBUSY ? err_set(e, EBUSY, "another point is being made in %s; that ends within a minute if its source is gone", dir)
			   : r;
}

int points_session(const char *dir, int *fd, struct err *e)
{
	return lock_session(dir, SESSION_MS, fd, e);
}

int points_session_now(const char *dir, int *fd, struct err *e)
{
	return lock_session(dir, 0, fd, e);
}

static bool is_plain(const char *name)
{
	return name && *name && *name != '.' && !strchr(name, '/') && strlen(name) < 64;
}

/* True for a valid point: later code relies on these members. */
static bool is_point(const json_t *o)
{
	json_int_t number = json_integer_value(json_object_get(o, "number")), term = json_integer_value(json_object_get(o, "term"));
	const json_t *disks = json_object_get(o, "disks");

	if (number < 1 || number > NUMBER_MAX || term < 1 || !json_array_size(disks) || json_array_size(disks) > POINT_DISKS_MAX)
		return false;
	for (size_t i = 0; i < json_array_size(disks); i++) {
		const json_t *d = json_array_get(disks, i);

		if (!is_plain(json_text(d, "file")) || !json_text(d, "format") || json_integer_value(json_object_get(d, "bytes")) < 0)
			return false;
	}
	return true;
}

static void point_fini(struct point *pt)
{
	free(pt->slot);
	json_decref(pt->json);
}

static void add_damaged(struct points *p, const char *slot, const char *why)
{
	p->damaged = xrealloc(p->damaged, (p->damaged_count + 1) * sizeof(*p->damaged));
	p->damaged[p->damaged_count++] = (struct damaged_point){.slot = xstrdup(slot), .why = xstrdup(why)};
}

static void add_slot(struct points *p, const char *slot)
{
	AUTO_FREE char *path = points_path(p, slot, "point.json");
	struct err e;
	json_t *o;
	int r = read_json(path, &o, &e);

	if (r == -ENOENT) /* the rest of one that was merged */
		return;
	if (r) {
		add_damaged(p, slot, e.msg);
		return;
	}
	if (is_plain(json_text(o, "merging"))) {
		free(p->merging);
		free(p->into);
		p->merging = xstrdup(json_text(o, "merging"));
		p->into = xstrdup(slot);
		json_decref(o);
		return;
	}
	if (!is_point(o)) {
		AUTO_FREE char *why = xasprintf("%s is damaged: it does not describe a point", path);

		json_decref(o);
		add_damaged(p, slot, why);
		return;
	}
	p->list = xrealloc(p->list, (p->count + 1) * sizeof(*p->list));
	p->list[p->count++] = (struct point){.slot = xstrdup(slot),
					     .number = (uint64_t)json_integer_value(json_object_get(o, "number")),
					     .term = (uint64_t)json_integer_value(json_object_get(o, "term")),
					     .at_ms = (int64_t)json_integer_value(json_object_get(o, "at_ms")),
					     .json = o};
}

/* Slots of seven digits exist, too. */
static int compare_slots(const char *x, const char *y)
{
	unsigned long long in_x = strtoull(x, NULL, 10), in_y = strtoull(y, NULL, 10);

	return in_x != in_y ? (in_x < in_y ? -1 : 1) : strcmp(x, y);
}

static int compare(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	return x->number != y->number ? (x->number < y->number ? -1 : 1) : compare_slots(x->slot, y->slot);
}

static int compare_damaged(const void *a, const void *b)
{
	const struct damaged_point *x = a, *y = b;

	return compare_slots(x->slot, y->slot);
}

const struct damaged_point *points_damaged_between(const struct points *p, const char *above, const char *below)
{
	for (size_t i = 0; i < p->damaged_count; i++)
		if (compare_slots(p->damaged[i].slot, above) > 0 && (!below || compare_slots(p->damaged[i].slot, below) < 0))
			return &p->damaged[i];
	return NULL;
}

uint64_t points_next_number(const struct points *p)
{
	const struct point *newest = points_newest(p);
	uint64_t number = newest ? newest->number : 0;

	for (size_t i = 0; i < p->damaged_count; i++)
		number = MAX(number, (uint64_t)strtoull(p->damaged[i].slot, NULL, 10));
	return number + 1;
}

/* Forgets a slot that was merged. If a merge was cut off at its end two slots have one point: the slot that was merged into has all of
 * it. */
static void forget_merged(struct points *p)
{
	size_t i, n = 0;

	for (i = 0; i < p->count; i++) {
		if (n && p->list[n - 1].number == p->list[i].number)
			point_fini(&p->list[i]);
		else
			p->list[n++] = p->list[i];
	}
	p->count = n;
}

static bool is_slot(const char *name)
{
	return is_plain(name) && isdigit((unsigned char)*name);
}

static bool is_draft(const char *name)
{
	size_t n = strlen(name);

	return n > strlen(POINT_TMP) && !strcmp(name + n - strlen(POINT_TMP), POINT_TMP);
}

bool points_are_over(const struct points *p)
{
	return json_is_true(json_object_get(p->replica, "over"));
}

bool points_are_vacant(const struct points *p)
{
	return is_vacant(p->replica);
}

json_int_t points_replaced_in(const json_t *past, const char *pair, json_int_t term)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)past, i, one) {
		json_int_t then = json_integer_value(json_object_get(one, "term"));

		if (!strcmp(json_text(one, "pair") ?: "", pair) && then >= term + json_is_true(json_object_get(one, "removed")))
			return then;
	}
	return 0;
}

static int read_list(struct points *p, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/points", p->dir);
	DIR *d = opendir(path);
	struct dirent *de;

	if (!d)
		return errno == ENOENT ? 0 /* they were being removed */ : err_sys(e, errno, "cannot read %s", path);
	while ((de = readdir(d)))
		if (is_slot(de->d_name) && !is_draft(de->d_name))
			add_slot(p, de->d_name);
	closedir(d);
	if (p->count)
		qsort(p->list, p->count, sizeof(*p->list), compare);
	if (p->damaged_count)
		qsort(p->damaged, p->damaged_count, sizeof(*p->damaged), compare_damaged);
	forget_merged(p);
	return 0;
}

int points_read(struct points *p, const char *dir, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/replica.json", dir);
	int r;

	*p = (struct points){.dir = xstrdup(dir)};
	r = read_json(path, &p->replica, e);
	if (!r && json_integer_value(json_object_get(p->replica, "term")) < 1)
		r = err_set(e, EBADMSG, "%s is damaged: it has no term", path);
	return r ?: read_list(p, e);
}

static void forget_damaged(struct points *p)
{
	for (; p->damaged_count; p->damaged_count--) {
		free(p->damaged[p->damaged_count - 1].slot);
		free(p->damaged[p->damaged_count - 1].why);
	}
	free(p->damaged);
	p->damaged = NULL;
}

void points_close(struct points *p)
{
	for (size_t i = 0; i < p->count; i++)
		point_fini(&p->list[i]);
	forget_damaged(p);
	FREE_ALL(p->list, p->dir, p->merging, p->into);
	json_decref(p->replica);
	*p = (struct points){.dir = NULL};
}

const struct point *points_newest(const struct points *p)
{
	return p->count ? &p->list[p->count - 1] : NULL;
}

const json_t *point_disk(const struct point *pt, size_t i)
{
	return json_array_get(json_object_get(pt->json, "disks"), i);
}

bool point_disk_is_left_out(const struct point *pt, size_t i)
{
	return json_is_true(json_object_get(point_disk(pt, i), "empty"));
}

json_t *point_left_out(const struct point *pt)
{
	json_t *out = json_array();

	for (size_t i = 0; point_disk(pt, i); i++)
		if (point_disk_is_left_out(pt, i))
			json_array_append_new(out, json_string(json_text(point_disk(pt, i), "from") ?: "?"));
	return out;
}

/* ---- a point by its name ---- */

/* "14:05[:06]" is of today, or else of yesterday; "2026-11-29 14:05[:06]". False: it is no time. The end of the minute, or second, that it
 * names. */
static bool parse_time(const char *word, time_t *out)
{
	static const char *const formats[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%H:%M:%S", "%H:%M"};
	time_t now = time(NULL);

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		bool has_date = i < 2, has_seconds = i % 2 == 0;
		struct tm tm = {.tm_isdst = -1};
		const char *end;

		if (!has_date)
			localtime_r(&now, &tm);
		tm.tm_sec = 0;
		end = strptime(word, formats[i], &tm);
		if (!end || *end)
			continue;
		tm.tm_isdst = -1;
		*out = mktime(&tm) + (has_seconds ? 0 : 59);
		if (!has_date && *out - 59 > now)
			*out -= 24 * 3600;
		return true;
	}
	return false;
}

static const struct point *newest_until(const struct points *p, time_t at)
{
	for (size_t i = p->count; i-- > 0;)
		if (p->list[i].at_ms / 1000 <= at)
			return &p->list[i];
	return NULL;
}

int points_find(const struct points *p, const char *word, const struct point **out, struct err *e)
{
	const struct damaged_point *damaged;
	unsigned long long number = 0;
	time_t at;
	int n = 0;

	*out = NULL;
	if (!word) {
		*out = points_newest(p);
		damaged = *out ? points_damaged_between(p, (*out)->slot, NULL) : NULL;
		if (damaged)
			return err_set(e, EBADMSG,
				       "a point that may be newer is damaged (%s); %llu is the newest that is whole: --point %llu",
				       damaged->why, (unsigned long long)(*out)->number, (unsigned long long)(*out)->number);
	} else if (sscanf(word, "%9llu%n", &number, &n) == 1 && !word[n]) {
		for (size_t i = 0; i < p->count; i++)
			if (p->list[i].number == number)
				*out = &p->list[i];
	} else if (parse_time(word, &at)) {
		*out = newest_until(p, at);
	} else {
		return err_set(e, EINVAL, "'%s' names no point: a number, or a time as 14:05 or 2026-11-29 14:05", word);
	}
	return *out ? 0 : err_set(e, ENOENT, "the replica in %s has no point %s", p->dir, word ?: "yet");
}

/* ---- making and removing one ---- */

int points_publish(const struct points *p, const char *draft, const json_t *point, struct err *e)
{
	AUTO_FREE char *slot = xasprintf("%06lld", (long long)json_integer_value(json_object_get(point, "number")));
	AUTO_FREE char *path = points_path(p, slot, NULL), *json = xasprintf("%s/point.json", draft);
	json_t *disk;
	size_t i;
	int r = is_point(point) ? 0 : err_set(e, EINVAL, "this is not the description of a point");

	json_array_foreach(json_object_get(point, "disks"), i, disk) {
		AUTO_FREE char *file = r ? NULL : xasprintf("%s/%s", draft, json_text(disk, "file"));

		r = r ?: sync_file(file, e);
	}
	r = r ?: write_json(json, point, e); /* the point's directory is durable then */
	if (!r && renameat2(AT_FDCWD, draft, AT_FDCWD, path, RENAME_NOREPLACE) &&
	    (errno != EINVAL || !access(path, F_OK) || rename(draft, path)))
		r = err_sys(e, errno, "cannot give point %s its name", path);
	return r ?: sync_parent_dir(path, e);
}

static int remove_file(const char *path, struct err *e)
{
	return unlink(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path) : 0;
}

int points_remove_slot(const struct points *p, const char *slot, struct err *e)
{
	AUTO_FREE char *path = points_path(p, slot, NULL), *json = points_path(p, slot, "point.json");
	DIR *d = opendir(path);
	struct dirent *de;
	int r;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot read %s", path);
	r = remove_file(json, e); /* first: a slot without it is no point */
	r = r ?: sync_parent_dir(json, e);
	while (!r && (de = readdir(d))) {
		AUTO_FREE char *file = points_path(p, slot, de->d_name);

		if (strcmp(de->d_name, ".") && strcmp(de->d_name, ".."))
			r = remove_file(file, e);
	}
	closedir(d);
	return r ?: rmdir(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path) : 0;
}

static bool has_slot(const struct points *p, const char *slot)
{
	for (size_t i = 0; i < p->count; i++)
		if (!strcmp(p->list[i].slot, slot))
			return true;
	for (size_t i = 0; i < p->damaged_count; i++)
		if (!strcmp(p->damaged[i].slot, slot))
			return true;
	return (p->merging && !strcmp(p->merging, slot)) || (p->into && !strcmp(p->into, slot));
}

int points_sweep(struct points *p, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/points", p->dir);
	DIR *d = opendir(path);
	struct dirent *de;
	int r = 0;

	if (!d)
		return err_sys(e, errno, "cannot read %s", path);
	while (!r && (de = readdir(d)))
		if (is_slot(de->d_name) && !has_slot(p, de->d_name))
			r = points_remove_slot(p, de->d_name, e);
	closedir(d);
	return r;
}

/* Removes the points, and the directory that they were in. */
static int remove_points(struct points *p, struct err *e)
{
	AUTO_FREE char *points = xasprintf("%s/points", p->dir), *session = xasprintf("%s/session", p->dir);
	int fd, r = lock_session(p->dir, 0, &fd, e); /* the owner of the session waits for our lock */

	if (!r)
		close(fd);
	while (!r && p->count) { /* the newest first: what is left can be read at any moment */
		r = points_remove_slot(p, p->list[p->count - 1].slot, e);
		if (!r)
			point_fini(&p->list[--p->count]);
	}
	free(p->merging);
	free(p->into);
	p->merging = p->into = NULL;
	forget_damaged(p); /* they go with what is swept */
	if (!r && !access(points, F_OK))
		r = points_sweep(p, e);
	if (!r && rmdir(points) && errno != ENOENT)
		r = err_sys(e, errno, "cannot remove %s", points);
	return r ?: remove_file(session, e);
}

static int retire_as(struct points *p, const char *what, struct err *e)
{
	static const char *const gone[] = {"run", "test", "keep", "not_dropped"};
	int r = remove_points(p, e);

	if (r)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(gone); i++)
		json_object_del(p->replica, gone[i]);
	if (!is_replaced_further(p->replica))
		json_object_del(p->replica, "onward");
	return points_set(p, what, json_true(), e);
}

/* The rest of a replica that is over: nothing of this pair is taken here any more. */
int points_retire(struct points *p, struct err *e)
{
	return retire_as(p, "over", e);
}

static int remove_all(struct points *p, struct err *e)
{
	AUTO_FREE char *json = xasprintf("%s/replica.json", p->dir), *lock = xasprintf("%s/lock", p->dir);
	int r = remove_points(p, e) ?: remove_file(lock, e) ?: remove_file(json, e);

	if (!r && rmdir(p->dir) && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST)
		r = err_sys(e, errno, "cannot remove %s", p->dir);
	return r;
}

int points_remove_all(struct points *p, bool *stays, struct err *e)
{
	*stays = has_replaced(p->replica) || json_array_size(json_object_get(p->replica, "past"));
	return *stays ? retire_as(p, "removed", e) : remove_all(p, e);
}

json_t *points_told(const struct points *p, const char *state_dir)
{
	const json_t *run = json_object_get(p->replica, "run");
	AUTO_FREE char *journal = xasprintf("%s/%s-dst.journal", state_dir, json_text(run, "attempt") ?: "");

	return json_pack("{s:O*,s:O*,s:b,s:O*,s:b,s:O*,s:O*}", "pair", json_object_get(p->replica, "pair"), "term",
			 json_object_get(p->replica, "term"), "taken_over", run || points_are_over(p), "taken_over_at",
			 json_object_get(run, "at"), "unsettled", json_text(run, "attempt") && !access(journal, F_OK), "past",
			 json_object_get(p->replica, "past"), "onward", json_object_get(p->replica, "onward"));
}
