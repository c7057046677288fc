/*
 * journal.c: the append-only journal of one attempt: the meaning of its records. journal-record.h has the format, journal-file.h makes
 * it durable.
 *
 * The first record is BEGIN: it is in place before the file gets its name. A long journal is rewritten with the records that still
 * count: BEGIN, the state, owned entries, the last notes.
 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "journal-dir.h"
#include "journal-file.h"
#include "journal-record.h"
#include "json-text.h"
#include "util.h"

#define STATES_BYTES (64 * 1024) /* reserved for states: they fit however much else was recorded */
#define ANEW_BYTES   (256 * 1024)

struct journal {
	struct journal_file file;
	off_t anew_at; /* rewritten at this size without records that no longer count */
	bool source;
	uint8_t attempt_id[ATTEMPT_ID_LEN];
	enum handoff_state state;
	json_t *head;  /* the whole first record */
	json_t *begin; /* member of head */
	json_t *owned; /* array, oldest first */
	json_t *notes; /* object: kind → detail */
};

/* ---- the meaning of records ---- */

static int apply_begin(struct journal *j, json_t *o, struct err *e)
{
	const char *id = json_string_value(json_object_get(o, "attempt_id"));
	const char *role = json_string_value(json_object_get(o, "role"));
	json_t *begin = json_object_get(o, "begin");

	if (j->begin)
		return err_set(e, EBADMSG, "begins twice");
	if (!id || !attempt_id_parse(id, j->attempt_id) || !role || !json_is_object(begin) ||
	    (strcmp(role, "source") && strcmp(role, "destination")))
		return err_set(e, EBADMSG, "does not begin as a journal does");
	j->source = !strcmp(role, "source");
	j->state = j->source ? HO_SRC_BEGUN : HO_DST_BEGUN;
	j->head = json_incref(o);
	j->begin = begin;
	return 0;
}

static bool role_has(const struct journal *j, enum handoff_state s)
{
	return handoff_state_of_role(s, j->source ? HO_SOURCE : HO_DESTINATION);
}

static int apply_state(struct journal *j, json_t *o, struct err *e)
{
	const char *name = json_string_value(json_object_get(o, "state"));
	enum handoff_state s;

	if (!name || handoff_state_parse(name, &s) || !role_has(j, s))
		return err_set(e, EBADMSG, "unknown state \"%s\"", name ? name : "");
	j->state = s;
	return 0;
}

/* Index of the newest entry that is equal to o in kind and detail, or owned's size. */
static size_t find_owned(const struct journal *j, const char *kind, const json_t *detail)
{
	size_t n = json_array_size(j->owned);

	for (size_t i = n; i-- > 0;) {
		const json_t *o = json_array_get(j->owned, i);

		if (!strcmp(json_string_value(json_object_get(o, "kind")), kind) && json_equal(json_object_get(o, "detail"), detail))
			return i;
	}
	return n;
}

static int apply_item(struct journal *j, enum record_kind kind, json_t *o, struct err *e)
{
	const char *name = json_string_value(json_object_get(o, "kind"));
	json_t *detail = json_object_get(o, "detail");
	size_t i;
	int r = 0;

	if (!name || !detail)
		return err_set(e, EBADMSG, "a record without kind or detail");
	if (kind == K_NOTE)
		r = json_object_set(j->notes, name, detail);
	else if (kind == K_OWN)
		r = json_array_append_new(j->owned, json_pack("{s:s, s:O}", "kind", name, "detail", detail));
	else if ((i = find_owned(j, name, detail)) < json_array_size(j->owned))
		r = json_array_remove(j->owned, i);
	else
		return err_set(e, EBADMSG, "disowns a %s that was not owned", name);
	return r ? err_set(e, ENOMEM, "out of memory") : 0;
}

static int apply(struct journal *j, enum record_kind kind, json_t *o, struct err *e)
{
	if (!j->begin && kind != K_BEGIN)
		return err_set(e, EBADMSG, "does not begin as a journal does");
	switch (kind) {
	case K_BEGIN:
		return apply_begin(j, o, e);
	case K_STATE:
	case K_TWIN:
		return apply_state(j, o, e);
	case K_OWN:
	case K_DISOWN:
	case K_NOTE:
		return apply_item(j, kind, o, e);
	case K_END:
		break;
	}
	return err_set(e, EBADMSG, "unknown record");
}

static int parse_and_apply(void *arg, const struct record *r, struct err *e)
{
	json_t *o = json_loadb((const char *)r->payload, r->len, 0, NULL);
	int rc;

	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(e, EBADMSG, "a record is not a JSON object");
	}
	rc = apply(arg, r->kind, o, e);
	json_decref(o);
	return rc;
}

/* ---- writing ---- */

static int append(struct journal *j, enum record_kind kind, json_t *o, struct err *e)
{
	AUTO_FREE char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	AUTO_FREE uint8_t *buf = NULL;
	off_t limit = kind == K_STATE ? JOURNAL_FILE_MAX_BYTES : JOURNAL_FILE_MAX_BYTES - STATES_BYTES;
	size_t len, one;

	if (!text)
		return err_set(e, EINVAL, "journal %s: a record cannot be written as JSON", j->file.path);
	len = strlen(text);
	if (len > JOURNAL_PAYLOAD_MAX)
		return err_set(e, EMSGSIZE, "journal %s: a record of %zu bytes is too long", j->file.path, len);
	one = record_bytes(len);
	buf = xcalloc(2, one);
	record_encode(buf, kind, text, len);
	if (kind == K_STATE)
		record_encode(buf + one, K_TWIN, text, len);
	return journal_file_append(&j->file, buf, kind == K_STATE ? 2 * one : one, limit, e);
}

static double wall_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec + (double)(ts.tv_nsec / 1000000) / 1000;
}

/* ---- writing it anew ---- */

struct image {
	uint8_t *buf;
	size_t len;
};

static void image_put(struct image *im, enum record_kind kind, json_t *o /* stolen */)
{
	AUTO_FREE char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	size_t len, all;

	if (!text)
		abort(); /* dumping cannot fail: the value was parsed or dumped before */
	len = strlen(text);
	all = record_bytes(len);
	im->buf = xrealloc(im->buf, im->len + all);
	memset(im->buf + im->len, 0, all);
	record_encode(im->buf + im->len, kind, text, len);
	im->len += all;
	json_decref(o);
}

static struct image image_of(struct journal *j)
{
	struct image im = {NULL, 0};
	json_t *state = json_pack("{s:s, s:f}", "state", handoff_state_name(j->state), "time", wall_clock());
	json_t *o, *detail;
	const char *kind;
	size_t i;

	image_put(&im, K_BEGIN, json_incref(j->head));
	image_put(&im, K_STATE, json_incref(state));
	image_put(&im, K_TWIN, state);
	json_array_foreach(j->owned, i, o)
		image_put(&im, K_OWN,
			  json_pack("{s:O, s:O, s:f}", "kind", json_object_get(o, "kind"), "detail", json_object_get(o, "detail"), "time",
				    wall_clock()));
	json_object_foreach(j->notes, kind, detail)
		image_put(&im, K_NOTE, json_pack("{s:s, s:O, s:f}", "kind", kind, "detail", detail, "time", wall_clock()));
	return im;
}

/* Rewrites the journal; if there is no room for a second file, the first goes on growing. */
static int begin_anew(struct journal *j, struct err *e)
{
	struct image im = image_of(j);
	bool done = false;
	int r = 0;

	if ((off_t)im.len < j->file.end / 2)
		r = journal_file_rewrite(&j->file, im.buf, im.len, &done, e);
	free(im.buf);
	j->anew_at = done ? MAX(ANEW_BYTES, 2 * j->file.end) : 2 * j->file.end;
	return r;
}

/* Appends, then does in memory what a replay would do. Consumes o. */
static int record(struct journal *j, enum record_kind kind, json_t *o, struct err *e)
{
	int r = 0;

	if (!o)
		return err_set(e, ENOMEM, "out of memory, or text that is not UTF-8, in a journal record");
	if (kind != K_STATE && j->file.end > j->anew_at && !j->file.broken)
		r = begin_anew(j, e);
	r = r ?: append(j, kind, o, e) ?: apply(j, kind, o, e);
	json_decref(o);
	return r;
}

bool journal_refused(const struct journal *j)
{
	return j->file.refused;
}

int journal_state(struct journal *j, enum handoff_state s, struct err *e)
{
	if (!role_has(j, s))
		return err_set(e, EINVAL, "%s is not a state of this side", handoff_state_name(s));
	return record(j, K_STATE, json_pack("{s:s, s:f}", "state", handoff_state_name(s), "time", wall_clock()), e);
}

static int record_item(struct journal *j, enum record_kind k, const char *kind, json_t *detail, struct err *e)
{
	json_t *d = detail ? json_incref(detail) : json_null();

	return record(j, k, json_pack("{s:s, s:o, s:f}", "kind", kind, "detail", d, "time", wall_clock()), e);
}

int journal_own(struct journal *j, const char *kind, json_t *detail, struct err *e)
{
	return record_item(j, K_OWN, kind, detail, e);
}

int journal_disown(struct journal *j, const char *kind, json_t *detail, struct err *e)
{
	json_t *null = json_null();

	if (find_owned(j, kind, detail ? detail : null) == json_array_size(j->owned))
		return err_set(e, ENOENT, "the journal knows no such %s", kind);
	return record_item(j, K_DISOWN, kind, detail, e);
}

int journal_note(struct journal *j, const char *kind, json_t *detail, struct err *e)
{
	const json_t *last = journal_last_note(j, kind);

	if (last && detail && json_equal(last, detail))
		return 0;
	return record_item(j, K_NOTE, kind, detail, e);
}

/* ---- files ---- */

static struct journal *new_journal(void)
{
	struct journal *j = xcalloc(1, sizeof(*j));

	*j = (struct journal){.anew_at = ANEW_BYTES, .owned = json_array(), .notes = json_object()};
	if (!j->owned || !j->notes)
		abort();
	return j;
}

int journal_want(const char *path)
{
	return journal_file_want(path);
}

bool journal_wanted(const struct journal *j)
{
	return journal_file_wanted(&j->file);
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	journal_file_close(&j->file);
	json_decref(j->head);
	json_decref(j->owned);
	json_decref(j->notes);
	free(j);
}

int journal_create(struct journal **out, const char *dir, const uint8_t attempt_id[ATTEMPT_ID_LEN], bool source, json_t *begin,
		   struct err *e)
{
	struct journal *j = new_journal();
	char id[2 * ATTEMPT_ID_LEN + 1];
	AUTO_FREE char *path = NULL;
	int r;

	attempt_id_format(attempt_id, id);
	path = xasprintf("%s/%s-%s%s", dir, id, source ? "src" : "dst", SUFFIX);
	r = journal_file_create(&j->file, path, e);
	if (r)
		goto fail;
	r = record(j, K_BEGIN,
		   json_pack("{s:s, s:s, s:O, s:f}", "attempt_id", id, "role", source ? "source" : "destination", "begin", begin, "time",
			     wall_clock()),
		   e);
	r = r ?: journal_file_publish(&j->file, e);
	if (r) {
		journal_file_discard(&j->file);
		goto fail;
	}
	*out = j;
	return 0;

fail:
	journal_close(j);
	return r;
}

/* Replays the journal, and zeroes a torn tail: records written behind it would make it look like damage. */
static int replay_all(struct journal *j, struct err *e)
{
	struct journal_file *f = &j->file;
	AUTO_FREE uint8_t *buf = NULL;
	size_t size, end;
	bool torn;
	int r = journal_file_read(f->fd, f->path, &buf, &size, e) ?: record_replay(buf, size, f->path, &end, &torn, parse_and_apply, j, e);

	if (r)
		return r;
	if (!j->begin)
		return err_set(e, EBADMSG, "%s is not a journal", f->path);
	f->end = (off_t)end;
	f->allocated = (off_t)size;
	return torn && !f->broken ? journal_file_zero_tail(f, e) : 0;
}

int journal_open(struct journal **out, const char *path, struct err *e)
{
	struct journal *j = new_journal();
	int r = journal_file_open(&j->file, path, e) ?: replay_all(j, e);

	if (r)
		journal_close(j);
	else
		*out = j;
	return r;
}

enum handoff_state journal_last_state(const struct journal *j)
{
	return j->state;
}

double journal_write_ms(const struct journal *j)
{
	return j->file.writes ? (double)j->file.write_ns / 1e6 / (double)j->file.writes : 0;
}

const uint8_t *journal_attempt_id(const struct journal *j)
{
	return j->attempt_id;
}

const char *journal_path(const struct journal *j)
{
	return j->file.path;
}

const json_t *journal_begin(const struct journal *j)
{
	return j->begin;
}

const json_t *journal_last_note(const struct journal *j, const char *kind)
{
	return json_object_get(j->notes, kind);
}

int journal_owned(const struct journal *j, json_t **array)
{
	json_t *a = json_array();

	if (!a)
		return -ENOMEM;
	for (size_t i = json_array_size(j->owned); i-- > 0;)
		if (json_array_append(a, json_array_get(j->owned, i))) {
			json_decref(a);
			return -ENOMEM;
		}
	*array = a;
	return 0;
}

int journal_remove(struct journal *j, bool keep, struct err *e)
{
	int r = journal_file_remove(&j->file, keep, e);

	if (keep)
		journal_prune_done(j->file.path);
	journal_close(j);
	return r;
}

/* ---- for people ---- */

struct dump {
	struct journal *j;
	FILE *to;
	enum record_kind last;
};

static int dump_record(void *arg, const struct record *r, struct err *e)
{
	static const char *const names[] = {[K_END] = "end", [K_BEGIN] = "begin",   [K_STATE] = "state", [K_TWIN] = "state",
					    [K_OWN] = "own", [K_DISOWN] = "disown", [K_NOTE] = "note"};
	struct dump *d = arg;
	bool again = r->kind == K_TWIN && d->last == K_STATE;
	json_auto_t *o = NULL;
	double t;
	time_t secs;
	struct tm tm;
	char when[32] = "";
	int rc = parse_and_apply(d->j, r, e);

	d->last = r->kind;
	if (rc || again)
		return rc;
	o = json_loadb((const char *)r->payload, r->len, 0, NULL);
	t = json_real_value(json_object_get(o, "time"));
	if (!(t >= 0 && t < 1e11))
		t = 0;
	secs = (time_t)t;
	if (gmtime_r(&secs, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(d->to, "%s.%03dZ  %-6s  ", when, (int)((t - (double)secs) * 1000 + 0.5), names[r->kind]);
	if (r->kind == K_STATE || r->kind == K_TWIN) {
		AUTO_FREE char *state = text_shown(json_string_value(json_object_get(o, "state")));

		fprintf(d->to, "%s\n", state);
	} else {
		AUTO_FREE char *text = NULL;

		json_object_del(o, "time");
		text = json_text_dump(o, JSON_COMPACT | JSON_SORT_KEYS);
		fprintf(d->to, "%s\n", text ? text : "");
	}
	return 0;
}

/* Reads a whole journal without locking it. */
static int read_file(const char *path, int flags, uint8_t **buf, size_t *size, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	return fd < 0 ? err_sys(e, errno, "cannot open journal %s", path) : journal_file_read(fd, path, buf, size, e);
}

int journal_peek(const char *path, char attempt[2 * ATTEMPT_ID_LEN + 1], json_t **begin, struct err *e)
{
	AUTO_FREE uint8_t *buf = NULL;
	struct journal *j;
	struct record first;
	size_t size;
	int r = read_file(path, O_NOFOLLOW, &buf, &size, e);

	if (r)
		return r;
	if (!record_decode(buf, size, &first))
		return err_set(e, EBADMSG, "%s is not a journal, or damaged: it does not begin as one does", path);
	j = new_journal();
	r = parse_and_apply(j, &first, e);
	if (!r) {
		attempt_id_format(j->attempt_id, attempt);
		*begin = json_incref(j->begin);
	}
	journal_close(j);
	return r;
}

int journal_look(struct journal **out, const char *path, struct err *e)
{
	AUTO_FREE uint8_t *buf = NULL;
	struct journal *j;
	size_t size, end;
	bool torn;
	int r = read_file(path, O_NOFOLLOW, &buf, &size, e);

	if (r)
		return r;
	j = new_journal();
	r = record_replay(buf, size, path, &end, &torn, parse_and_apply, j, e);
	if (!r && !j->begin)
		r = err_set(e, EBADMSG, "%s is not a journal", path);
	if (r)
		journal_close(j);
	else
		*out = j;
	return r;
}

int journal_look_finished(struct journal **out, const char *path, struct err *e)
{
	AUTO_FREE char *finished = xasprintf("%s.done", path);

	return journal_look(out, finished, e);
}

int journal_dump(const char *path, FILE *to, struct err *e)
{
	AUTO_FREE uint8_t *buf = NULL;
	struct dump d = {.to = to};
	size_t size, end;
	bool torn;
	int r = read_file(path, 0, &buf, &size, e);

	if (r)
		return r;
	d.j = new_journal();
	r = record_replay(buf, size, path, &end, &torn, dump_record, &d, e);
	if (!r && !d.j->begin)
		r = err_set(e, EBADMSG, "%s is not a journal", path);
	if (!r)
		fprintf(to, "now: %s, %zu owned%s\n", handoff_state_name(d.j->state), json_array_size(d.j->owned),
			torn ? ", after a last record that was cut off and does not count" : "");
	journal_close(d.j);
	return r;
}
