/* clang-format off */
/*
 * journal.c: the append-only journal of one attempt.
 *
 * A file of records, each on an 8 byte boundary, little endian:
 *
 *   u32 length    of the payload, 1 … JOURNAL_PAYLOAD_MAX; 0: the end (what is preallocated is zeros)
 *   u16 kind      enum kind
 *   u16 version   1
 *   u64 checksum  XXH3-64 over the 8 bytes before it and the payload
 *   payload       a JSON object as text; then zeros up to the boundary
 *
 * The first record is BEGIN: it is in place before the file gets its name. A state is written twice
 * by one write, the second time as a TWIN: if only the first copy has gone bad the twin counts, and
 * if only the twin has it does not matter; so neither a write that was cut off nor one bad spot
 * makes COMMITTED unheard of. Bytes that are no record and have no record after them are the tail
 * that a crash tore: ignored, and zeroed by the next writer. With a record after them they are
 * damage: -EBADMSG.
 *
 * The file is opened O_DSYNC, so a record is durable when its write returns.
 *
 * A journal that has become long is written anew, with what still counts: BEGIN, the state, what is owned, the last notes.
 * It has its name by rename(2), so there is at any moment one whole journal, and both mean the same.
 */
/* clang-format on */
#include "journal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "json-text.h"
#include "paths.h"
#include "journal-dir.h"
#include "util.h"

#define VERSION	       1
#define HEADER_BYTES   16
#define CHUNK_BYTES    (64 * 1024)
#define FILE_MAX_BYTES (16 * 1024 * 1024)
#define STATES_BYTES   (64 * 1024) /* of which only states may take: however much else was recorded, they fit */
#define ANEW_BYTES     (256 * 1024)

enum kind { K_END = 0, K_BEGIN = 1, K_STATE = 2, K_TWIN = 3, K_OWN = 4, K_DISOWN = 5, K_NOTE = 6 };

struct journal {
	int fd;
	char *path;
	off_t end;	 /* where the next record goes */
	off_t allocated; /* bytes of the file */
	off_t anew_at;	 /* with so much in it, what no longer counts is left out */
	bool broken;	 /* a write failed: what is on disk is not known */
	bool refused;	 /* but of that write certainly nothing */
	bool source;
	uint8_t attempt_id[ATTEMPT_ID_LEN];
	enum handoff_state state;
	json_t *head;  /* the whole first record */
	json_t *begin; /* in it */
	json_t *owned; /* array, oldest first */
	json_t *notes; /* object: kind → detail */
};

/* ---- records
 * -------------------------------------------------------------------------------------------------
 */

static void put_le(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_le(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static size_t record_bytes(size_t payload_bytes)
{
	return (HEADER_BYTES + payload_bytes + 7) & ~(size_t)7;
}

static uint64_t checksum(const uint8_t head[8], const uint8_t *payload, size_t len)
{
	XXH3_state_t *s = XXH3_createState();
	uint64_t sum;

	if (!s)
		abort();
	XXH3_64bits_reset(s);
	XXH3_64bits_update(s, head, 8);
	XXH3_64bits_update(s, payload, len);
	sum = XXH3_64bits_digest(s);
	XXH3_freeState(s);
	return sum;
}

/* Writes one record to out, which has record_bytes(len) zeroed bytes. */
static void encode(uint8_t *out, enum kind kind, const char *text, size_t len)
{
	put_le(out, len, 4);
	put_le(out + 4, kind, 2);
	put_le(out + 6, VERSION, 2);
	memcpy(out + HEADER_BYTES, text, len);
	put_le(out + 8, checksum(out, out + HEADER_BYTES, len), 8);
}

struct record {
	enum kind kind;
	const uint8_t *payload;
	size_t len;
};

/* True if a sound record starts at p. */
static bool decode(const uint8_t *p, size_t left, struct record *r)
{
	uint64_t len, kind;

	if (left < HEADER_BYTES)
		return false;
	len = get_le(p, 4);
	kind = get_le(p + 4, 2);
	if (!len || len > JOURNAL_PAYLOAD_MAX || record_bytes(len) > left || kind < K_BEGIN ||
	    kind > K_NOTE || get_le(p + 6, 2) != VERSION ||
	    get_le(p + 8, 8) != checksum(p, p + HEADER_BYTES, len))
		return false;
	*r = (struct record){.kind = (enum kind)kind, .payload = p + HEADER_BYTES, .len = len};
	return true;
}

/* The whole file, at most FILE_MAX_BYTES. */
static int read_all(int fd, uint8_t **out, size_t *size, const char *path, struct err *e)
{
	AUTO_FREE uint8_t *buf = NULL;
	struct stat st;
	size_t have = 0;

	if (fstat(fd, &st))
		return err_sys(e, errno, "cannot read journal %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX_BYTES)
		return err_set(e, EBADMSG, "%s is not a journal", path);
	buf = xmalloc((size_t)st.st_size + 1);
	while (have < (size_t)st.st_size) {
		ssize_t n = pread(fd, buf + have, (size_t)st.st_size - have, (off_t)have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "cannot read journal %s", path);
		if (!n)
			break;
		have += (size_t)n;
	}
	*out = buf;
	buf = NULL;
	*size = have;
	return 0;
}

/*
 * Calls fn for every record. *end: the offset after the last one; *torn: bytes behind it are not
 * zero.
 */
static int replay(const uint8_t *buf, size_t size, const char *path, size_t *end, bool *torn,
		  int (*fn)(void *arg, const struct record *r, struct err *e), void *arg,
		  struct err *e)
{
	size_t at = 0;
	struct record r;

	*torn = false;
	while (at < size) {
		size_t next = at;

		if (!decode(buf + at, size - at, &r)) {
			for (next = at + 8; next < size && !decode(buf + next, size - next, &r);
			     next += 8)
				;
			if (next >= size)
				break;
			if (r.kind != K_TWIN || next - at != record_bytes(r.len))
				return err_set(e, EBADMSG, "journal %s is damaged at byte %zu",
					       path, at);
		}
		int rc = fn(arg, &r, e);
		if (rc)
			return err_prefix(e, "journal %s, byte %zu", path, next);
		at = next + record_bytes(r.len);
	}
	*end = at;
	for (; at < size; at++)
		*torn |= buf[at] != 0;
	return 0;
}

/* ---- what records mean
 * --------------------------------------------------------------------------------------- */

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

		if (!strcmp(json_string_value(json_object_get(o, "kind")), kind) &&
		    json_equal(json_object_get(o, "detail"), detail))
			return i;
	}
	return n;
}

static int apply_item(struct journal *j, enum kind kind, json_t *o, struct err *e)
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
		r = json_array_append_new(j->owned,
					  json_pack("{s:s, s:O}", "kind", name, "detail", detail));
	else if ((i = find_owned(j, name, detail)) < json_array_size(j->owned))
		r = json_array_remove(j->owned, i);
	else
		return err_set(e, EBADMSG, "disowns a %s that was not owned", name);
	return r ? err_set(e, ENOMEM, "out of memory") : 0;
}

static int apply(struct journal *j, enum kind kind, json_t *o, struct err *e)
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

/* ---- writing
 * -------------------------------------------------------------------------------------------------
 */

/* Is what lies behind the end still nothing? Of a write that failed something may be there, and reach the disk later. */
static bool nothing_there(const struct journal *j, size_t len, off_t at)
{
	AUTO_FREE char *buf = xmalloc(len);
	ssize_t n = pread(j->fd, buf, len, at), i;

	for (i = 0; i < n && !buf[i];)
		i++;
	return n >= 0 && i == n;
}

static int write_at(struct journal *j, const uint8_t *buf, size_t len, off_t at, struct err *e)
{
	while (len) {
		ssize_t n = pwrite(j->fd, buf, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			j->broken = true;
			return err_sys(e, n ? errno : EIO, "cannot write journal %s", j->path);
		}
		buf += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Room for len more bytes, with a record header of zeros behind them. */
static int reserve(struct journal *j, enum kind kind, size_t len, struct err *e)
{
	off_t limit = kind == K_STATE ? FILE_MAX_BYTES : FILE_MAX_BYTES - STATES_BYTES;
	off_t need = j->end + (off_t)len + HEADER_BYTES;
	int r;

	if (need > limit)
		return err_set(e, EFBIG, "journal %s is full", j->path);
	if (need <= j->allocated)
		return 0;
	need = (need + CHUNK_BYTES - 1) / CHUNK_BYTES * CHUNK_BYTES;
	r = posix_fallocate(j->fd, j->allocated, need - j->allocated);
	if (!r && fsync(j->fd))
		r = errno;
	if (r)
		return err_sys(e, r, "cannot extend journal %s", j->path);
	j->allocated = need;
	return 0;
}

static int append(struct journal *j, enum kind kind, json_t *o, struct err *e)
{
	AUTO_FREE char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	AUTO_FREE uint8_t *buf = NULL;
	size_t len, one, all;
	int r;

	if (!text)
		return err_set(e, EINVAL, "journal %s: a record cannot be written as JSON",
			       j->path);
	len = strlen(text);
	if (len > JOURNAL_PAYLOAD_MAX)
		return err_set(e, EMSGSIZE, "journal %s: a record of %zu bytes is too long",
			       j->path, len);
	if (j->broken)
		return err_set(e, EIO, "journal %s: an earlier write failed", j->path);
	one = record_bytes(len);
	all = kind == K_STATE ? 2 * one : one;
	r = reserve(j, kind, all, e);
	j->refused = r != 0;
	if (r)
		return r;
	buf = xcalloc(1, all);
	encode(buf, kind, text, len);
	if (kind == K_STATE)
		encode(buf + one, K_TWIN, text, len);
	r = write_at(j, buf, all, j->end, e);
	j->refused = r && nothing_there(j, all, j->end);
	if (r)
		return r;
	j->end += (off_t)all;
	return 0;
}

static double wall_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec + (double)(ts.tv_nsec / 1000000) / 1000;
}

/* O_EXCL; a left-over of a creation that crashed is replaced: nobody else has this attempt's id. */
static int open_new(const char *tmp)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_DSYNC | O_CLOEXEC | O_NOFOLLOW;
	int fd = open(tmp, flags, 0600);

	if (fd < 0 && errno == EEXIST && !unlink(tmp))
		fd = open(tmp, flags, 0600);
	return fd;
}

/* ---- writing it anew ---- */

struct image {
	uint8_t *buf;
	size_t len;
};

static void image_put(struct image *im, enum kind kind, json_t *o /* stolen */)
{
	AUTO_FREE char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	size_t len, all;

	if (!text)
		abort(); /* it was written, or read, before */
	len = strlen(text);
	all = record_bytes(len);
	im->buf = xrealloc(im->buf, im->len + all);
	memset(im->buf + im->len, 0, all);
	encode(im->buf + im->len, kind, text, len);
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
		image_put(&im, K_OWN, json_pack("{s:O, s:O, s:f}", "kind", json_object_get(o, "kind"), "detail",
						json_object_get(o, "detail"), "time", wall_clock()));
	json_object_foreach(j->notes, kind, detail)
		image_put(&im, K_NOTE, json_pack("{s:s, s:O, s:f}", "kind", kind, "detail", detail, "time", wall_clock()));
	return im;
}

/* Under another name, whole and durable; the new file, or -1. */
static int write_image(const char *tmp, const struct image *im, off_t *allocated)
{
	struct journal anew = {.fd = open_new(tmp), .path = (char *)tmp};
	struct err ignored;

	if (anew.fd < 0)
		return -1;
	if (!flock(anew.fd, LOCK_EX | LOCK_NB) && !reserve(&anew, K_NOTE, im->len, &ignored) &&
	    !write_at(&anew, im->buf, im->len, 0, &ignored) && !fsync(anew.fd)) {
		*allocated = anew.allocated;
		return anew.fd;
	}
	close(anew.fd);
	unlink(tmp);
	return -1;
}

/* Where there is no room for a second one, the first goes on growing. */
static int begin_anew(struct journal *j, struct err *e)
{
	AUTO_FREE char *tmp = xasprintf("%s.new", j->path);
	struct image im = image_of(j);
	off_t allocated = 0;
	int fd = (off_t)im.len < j->end / 2 ? write_image(tmp, &im, &allocated) : -1;

	free(im.buf);
	if (fd >= 0 && rename(tmp, j->path)) {
		close(fd);
		unlink(tmp);
		fd = -1;
	}
	if (fd < 0) {
		j->anew_at = 2 * j->end;
		return 0;
	}
	close(j->fd);
	j->fd = fd;
	j->end = (off_t)im.len;
	j->allocated = allocated;
	j->anew_at = MAX(ANEW_BYTES, 2 * j->end);
	if (!sync_parent_dir(j->path, e))
		return 0;
	j->broken = true; /* whose name it is after a crash is not known */
	return -e->code;
}

/* Appends, then does in memory what a replay would do. Consumes o. */
static int record(struct journal *j, enum kind kind, json_t *o, struct err *e)
{
	int r = 0;

	if (!o)
		return err_set(e, ENOMEM,
			       "out of memory, or text that is not UTF-8, in a journal record");
	if (kind != K_STATE && j->end > j->anew_at && !j->broken)
		r = begin_anew(j, e);
	if (!r)
		r = append(j, kind, o, e);
	if (!r)
		r = apply(j, kind, o, e);
	json_decref(o);
	return r;
}

bool journal_refused(const struct journal *j)
{
	return j->refused;
}

int journal_state(struct journal *j, enum handoff_state s, struct err *e)
{
	if (!role_has(j, s))
		return err_set(e, EINVAL, "%s is not a state of this side", handoff_state_name(s));
	return record(j, K_STATE,
		      json_pack("{s:s, s:f}", "state", handoff_state_name(s), "time", wall_clock()),
		      e);
}

static int record_item(struct journal *j, enum kind k, const char *kind, json_t *detail,
		       struct err *e)
{
	json_t *d = detail ? json_incref(detail) : json_null();

	return record(
	    j, k, json_pack("{s:s, s:o, s:f}", "kind", kind, "detail", d, "time", wall_clock()), e);
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

/* ---- files
 * ---------------------------------------------------------------------------------------------------
 */

static struct journal *new_journal(int fd, char *path)
{
	struct journal *j = xcalloc(1, sizeof(*j));

	*j = (struct journal){
	    .fd = fd, .path = path, .anew_at = ANEW_BYTES, .owned = json_array(), .notes = json_object()};
	if (!j->owned || !j->notes)
		abort();
	return j;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	if (j->fd >= 0)
		close(j->fd);
	free(j->path);
	json_decref(j->head);
	json_decref(j->owned);
	json_decref(j->notes);
	free(j);
}

int journal_create(struct journal **out, const char *dir, const uint8_t attempt_id[ATTEMPT_ID_LEN],
		   bool source, json_t *begin, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	AUTO_FREE char *tmp = NULL;
	struct journal *j;
	int r;

	attempt_id_format(attempt_id, id);
	tmp = xasprintf("%s/%s-%s%s.new", dir, id, source ? "src" : "dst", SUFFIX);
	j = new_journal(open_new(tmp),
			xasprintf("%s/%s-%s%s", dir, id, source ? "src" : "dst", SUFFIX));
	if (j->fd < 0 || flock(j->fd, LOCK_EX | LOCK_NB)) {
		r = err_sys(e, errno, "cannot create journal %s", tmp);
		goto fail;
	}
	r = record(j, K_BEGIN,
		   json_pack("{s:s, s:s, s:O, s:f}", "attempt_id", id, "role",
			     source ? "source" : "destination", "begin", begin, "time",
			     wall_clock()),
		   e);
	if (r)
		goto fail_unlink;
	if (fsync(j->fd) || link(tmp, j->path)) {
		r = err_sys(e, errno, "cannot create journal %s", j->path);
		goto fail_unlink;
	}
	unlink(tmp);
	r = sync_parent_dir(j->path, e);
	if (r) {
		unlink(j->path);
		goto fail;
	}
	*out = j;
	return 0;

fail_unlink:
	unlink(tmp);
fail:
	journal_close(j);
	return r;
}

/* What a crash tore must not be taken for damage once there are records behind it. */
static int zero_tail(struct journal *j, struct err *e)
{
	size_t len = (size_t)(j->allocated - j->end);
	AUTO_FREE uint8_t *zeros = xcalloc(1, len + 1);

	return write_at(j, zeros, len, j->end, e);
}

int journal_open(struct journal **out, const char *path, struct err *e)
{
	AUTO_FREE uint8_t *buf = NULL;
	struct journal *j = new_journal(-1, xstrdup(path));
	struct stat st;
	size_t size, end;
	bool torn;
	int r;

	j->fd = open(path, O_RDWR | O_DSYNC | O_CLOEXEC | O_NOFOLLOW);
	if (j->fd < 0 && errno == EROFS) { /* what it says counts all the same */
		j->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		j->broken = j->refused = true;
	}
	if (j->fd < 0) {
		r = err_sys(e, errno, "cannot open journal %s", path);
		goto fail;
	}
	if (flock(j->fd, LOCK_EX | LOCK_NB)) {
		r = errno == EWOULDBLOCK
			? err_set(e, EBUSY, "journal %s is in use by a running agent", path)
			: err_sys(e, errno, "cannot lock journal %s", path);
		goto fail;
	}
	if (fstat(j->fd, &st) || !st.st_nlink) { /* removed by the agent that held it until now */
		r = err_sys(e, ENOENT, "cannot open journal %s", path);
		goto fail;
	}
	r = read_all(j->fd, &buf, &size, path, e);
	if (!r)
		r = replay(buf, size, path, &end, &torn, parse_and_apply, j, e);
	if (r)
		goto fail;
	if (!j->begin) {
		r = err_set(e, EBADMSG, "%s is not a journal", path);
		goto fail;
	}
	j->end = (off_t)end;
	j->allocated = (off_t)size;
	r = torn && !j->broken ? zero_tail(j, e) : 0;
	if (r)
		goto fail;
	*out = j;
	return 0;

fail:
	journal_close(j);
	return r;
}

enum handoff_state journal_last_state(const struct journal *j)
{
	return j->state;
}

bool journal_is_source(const struct journal *j)
{
	return j->source;
}

const uint8_t *journal_attempt_id(const struct journal *j)
{
	return j->attempt_id;
}

const char *journal_path(const struct journal *j)
{
	return j->path;
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
	AUTO_FREE char *done = xasprintf("%s.done", j->path);
	int r = keep ? rename(j->path, done) : unlink(j->path);

	if (r)
		r = err_sys(e, errno, "cannot remove journal %s", j->path);
	else
		r = sync_parent_dir(j->path, e);
	if (keep)
		journal_prune_done(j->path);
	journal_close(j);
	return r;
}

/* ---- for people
 * ---------------------------------------------------------------------------------------------- */

struct dump {
	struct journal *j;
	FILE *to;
	enum kind last;
};

static int dump_record(void *arg, const struct record *r, struct err *e)
{
	static const char *const names[] = {
	    [K_END] = "end", [K_BEGIN] = "begin",   [K_STATE] = "state", [K_TWIN] = "state",
	    [K_OWN] = "own", [K_DISOWN] = "disown", [K_NOTE] = "note"};
	struct dump *d = arg;
	bool again = r->kind == K_TWIN && d->last == K_STATE;
	json_t *o;
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
	fprintf(d->to, "%s.%03dZ  %-6s  ", when, (int)((t - (double)secs) * 1000 + 0.5),
		names[r->kind]);
	if (r->kind == K_STATE || r->kind == K_TWIN) {
		AUTO_FREE char *state = text_shown(json_string_value(json_object_get(o, "state")));

		fprintf(d->to, "%s\n", state);
	} else {
		AUTO_FREE char *text = NULL;

		json_object_del(o, "time");
		text = json_text_dump(o, JSON_COMPACT | JSON_SORT_KEYS);
		fprintf(d->to, "%s\n", text ? text : "");
	}
	json_decref(o);
	return 0;
}

int journal_peek(const char *path, char attempt[2 * ATTEMPT_ID_LEN + 1], json_t **begin,
		 struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	AUTO_FREE uint8_t *buf = NULL;
	struct journal *j;
	struct record first;
	size_t size;
	int r;

	if (fd < 0)
		return err_sys(e, errno, "cannot open journal %s", path);
	r = read_all(fd, &buf, &size, path, e);
	if (r)
		return r;
	if (!decode(buf, size, &first))
		return err_set(e, EBADMSG, "%s is not a journal, or damaged: it does not begin as one does", path);
	j = new_journal(-1, xstrdup(path));
	r = parse_and_apply(j, &first, e);
	if (!r) {
		attempt_id_format(j->attempt_id, attempt);
		*begin = json_incref(j->begin);
	}
	journal_close(j);
	return r;
}

int journal_dump(const char *path, FILE *to, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_FREE uint8_t *buf = NULL;
	struct dump d = {.to = to};
	size_t size, end;
	bool torn;
	int r;

	if (fd < 0)
		return err_sys(e, errno, "cannot open journal %s", path);
	r = read_all(fd, &buf, &size, path, e);
	if (r)
		return r;
	d.j = new_journal(-1, xstrdup(path));
	r = replay(buf, size, path, &end, &torn, dump_record, &d, e);
	if (!r && !d.j->begin)
		r = err_set(e, EBADMSG, "%s is not a journal", path);
	if (!r)
		fprintf(to, "now: %s, %zu owned%s\n", handoff_state_name(d.j->state),
			json_array_size(d.j->owned),
			torn ? ", after a last record that was cut off and does not count" : "");
	journal_close(d.j);
	return r;
}
