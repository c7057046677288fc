/* partial.c: see partial.h. */
#include "partial.h"
#include "durable-file.h"
#include "fault.h"
#include "json-text.h"
#include "log.h"
#include "made.h"
#include "moment.h"
#include "own-file.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WORTH_KEEPING MIB  /* contents that make a file worth keeping; with less, it is as good as empty */
#define SETTLE_MS     2000 /* a journal that is locked for longer is that of a move under way */
#define PAUSE_MS      20

/* ---- which disks ---- */

static const char *const kind_members[] = {"real_path", "inode", "btime", "format", "cluster_size", "mode", "uid", "gid", "acl"};

/* Blocks that an overlay leaves to its base cannot be told from those that are not there yet; a block device has no other name. A file of
 * a guest at rest may have become longer or shorter. */
json_t *partial_kind(const json_t *description, const json_t *disk)
{
	bool as_file = json_is_integer(json_object_get(disk, "file_bytes"));
	json_t *kind;

	if (!json_is_true(json_object_get(disk, "keep")) || (!as_file && json_object_get(disk, "backing")))
		return NULL;
	kind = json_pack("{s:b}", "as_file", as_file);
	json_object_set(kind, "guest", json_object_get(description, "name"));
	if (json_object_get(description, "host"))
		json_object_set(kind, "host", json_object_get(description, "host"));
	for (size_t i = 0; i < ARRAY_LEN(kind_members); i++)
		if (json_object_get(disk, kind_members[i]))
			json_object_set(kind, kind_members[i], json_object_get(disk, kind_members[i]));
	if (!as_file)
		json_object_set(kind, "virtual_size", json_object_get(disk, "virtual_size"));
	return kind;
}

int partial_note(struct attempt *a, json_t *of, struct err *e)
{
	return attempt_note(a, "partials", of, e);
}

/* ---- keeping ---- */

static json_int_t keep_s(const struct journal *j)
{
	return json_integer_value(json_object_get(journal_begin(j), "keep_partial_s"));
}

static const json_t *kind_of(const struct target *t, const char *place)
{
	return json_object_get(journal_last_note(t->part.a->journal, "partials"), place);
}

/* Bytes of a file that were written: blocks that were only set aside (a preallocated image) count as holes. */
static uint64_t written_bytes(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	uint64_t sum = 0;
	off_t from, to;

	for (to = 0; fd >= 0 && (from = lseek(fd, to, SEEK_DATA)) >= 0 && (to = lseek(fd, from, SEEK_HOLE)) > from;)
		sum += (uint64_t)(to - from);
	return sum;
}

/* True if the attempt brought only disks: their copies are kept, however little is in them. */
static bool is_of_disks_alone(const struct journal *j)
{
	return !strcmp(json_text(journal_begin(j), "how") ?: "", "disks");
}

bool partial_is_to_be_kept(const struct target *t, const json_t *file)
{
	return !t->keep_guest && !t->drop_partial && keep_s(t->part.a->journal) > 0 && kind_of(t, json_text(file, "path")) &&
	       json_object_get(file, "inode") && own_file_is_there(file, made_is_rebooted(t)) &&
	       (written_bytes(json_text(file, "path")) >= WORTH_KEEPING || is_of_disks_alone(t->part.a->journal));
}

void partial_note_whole(struct target *t, const char *path, int fd)
{
	if (t->drop_partial || keep_s(t->part.a->journal) <= 0 || !kind_of(t, path) || fsync(fd))
		return;
	t->whole = t->whole ?: json_object();
	json_object_set_new(t->whole, path, json_true());
}

/* The identity of the file under its other name. */
static int know(const char *place, const char *path, json_t **out, struct err *e)
{
	AUTO_FREE char *boot = boot_id();
	int r = own_file_know_contents(place, path, out, e);

	if (!r && boot)
		json_object_set_new(*out, "boot_id", json_string(boot));
	return r;
}

static void tell_kept(struct target *t, const json_t *partial)
{
	const char *path = json_text(partial, "path");
	char bytes[24], until[MOMENT_TEXT];
	AUTO_FREE char *sentence =
		xasprintf("%s (%s of %s) is kept until %s", path, format_bytes(bytes, written_bytes(path)), json_text(partial, "place"),
			  moment_text(until, (time_t)json_integer_value(json_object_get(partial, "until"))));

	log_info("%s", sentence);
	json_array_append_new(t->part.a->kept, json_string(sentence));
}

/* Journaled first: whichever of the two names it has when we die, the next life finds it. */
int partial_keep(struct target *t, const json_t *file, struct err *e)
{
	struct attempt *a = t->part.a;
	const char *place = json_text(file, "path");
	AUTO_FREE char *temp = attempt_id_name(a->id, place);
	AUTO_FREE char *path = xasprintf("%s" PARTIAL_SUFFIX, temp);
	json_auto_t *known = NULL;
	int r = sync_file(place, e); /* the time when it was last written becomes durable, too */

	r = r ?: know(place, path, &known, e);
	if (r)
		return r;
	json_object_set_new(known, "place", json_string(place));
	json_object_set_new(known, "whole", json_boolean(json_object_get(t->whole, place) != NULL));
	json_object_set_new(known, "until", json_integer((json_int_t)time(NULL) + keep_s(a->journal)));
	json_object_set(known, "kind", (json_t *)kind_of(t, place));
	r = attempt_own(a, "partial", json_incref(known), e) ?: own_file_set_aside(place, path, e);
	fault_point("dst-partial-kept");
	if (!r)
		tell_kept(t, known);
	return r;
}

static bool is_rebooted_since(const json_t *partial)
{
	return !is_this_boot(json_text(partial, "boot_id"));
}

int partial_undo(struct target *t, const json_t *detail, struct err *e)
{
	bool over = (json_int_t)time(NULL) >= json_integer_value(json_object_get(detail, "until"));
	bool there = own_file_is_there(detail, is_rebooted_since(detail));
	int r;

	if (!t->drop_partial && !over && there) {
		tell_kept(t, detail);
		return ATTEMPT_KEPT;
	}
	if (there && own_file_unused(json_text(detail, "path"), e))
		return err_prefix(e, "cannot remove what was kept of a move");
	r = own_file_remove(detail, is_rebooted_since(detail), e);
	if (!r && there)
		log_error("removed %s, which was kept of a move of guest %s%s", json_text(detail, "path"), t->name,
			  over ? ": its time is over" : "");
	return r;
}

/* ---- finding it again ---- */

/* True if the journal is of a move of that guest that keeps partial copies. Takes no lock, as others may have it. */
static bool is_of(const char *path, const char *guest)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	const char *name;
	json_t *begin;
	struct err ignored;
	bool yes;

	if (!journal_path_is(path, false) || journal_peek(path, id, &begin, &ignored))
		return false;
	name = json_text(begin, "guest");
	yes = name && !strcmp(name, guest) && json_integer_value(json_object_get(begin, "keep_partial_s")) > 0;
	json_decref(begin);
	return yes;
}

/* Somebody may just be settling it. */
static int open_soon(struct journal **j, const char *path, struct err *e)
{
	uint64_t until = now_ns() + SETTLE_MS * 1000000ULL;
	int r;

	while ((r = journal_open(j, path, e)) == -EBUSY && now_ns() < until)
		poll(NULL, 0, PAUSE_MS);
	return r;
}

void partials_open(struct partials *ps, const char *state_dir, const char *guest)
{
	char **paths;
	size_t n, i;
	struct err e;

	if (journal_list(state_dir, &paths, &n, &e)) {
		log_error("%s", e.msg);
		return;
	}
	ps->at = xcalloc(n + 1, sizeof(*ps->at));
	for (i = 0; i < n; i++) {
		struct journal *j;

		if (!is_of(paths[i], guest))
			continue;
		if (open_soon(&j, paths[i], &e))
			log_info("cannot use what a move of this guest may have left: %s", e.msg);
		else if (journal_last_note(j, "over"))
			ps->at[ps->count++] = j;
		else
			journal_close(j);
	}
	journal_list_free(paths, n);
}

void partials_close(struct partials *ps)
{
	json_t *owned;
	struct err e;

	for (size_t i = 0; i < ps->count; i++) {
		bool empty = !journal_owned(ps->at[i], &owned) && !json_array_size(owned);

		json_decref(owned);
		if (!empty)
			journal_close(ps->at[i]);
		else if (journal_remove(ps->at[i], true, &e))
			log_error("%s", e.msg);
	}
	free(ps->at);
	*ps = (struct partials){NULL, 0};
}

/* True if the copy is of one of the guest's disks, whatever place it was to go to. */
static bool is_disk_of(const json_t *description, const json_t *kind)
{
	static const char *const same[] = {"real_path", "inode", "btime"};
	json_t *disk;
	size_t i, k;

	if (!json_equal(json_object_get(kind, "host"), json_object_get(description, "host")))
		return false;
	json_array_foreach(json_object_get(description, "disks"), i, disk) {
		for (k = 0; k < ARRAY_LEN(same) && json_equal(json_object_get(kind, same[k]), json_object_get(disk, same[k])); k++)
			;
		if (k == ARRAY_LEN(same) && json_text(disk, "real_path"))
			return true;
	}
	return false;
}

static void remove_from(struct target *t, struct journal *j)
{
	json_t *owned, *entry;
	struct err e;
	size_t i;

	if (journal_owned(j, &owned))
		return;
	json_array_foreach(owned, i, entry) {
		json_t *known = json_object_get(entry, "detail");

		if (strcmp(json_text(entry, "kind") ?: "", "partial") || !is_disk_of(t->description, json_object_get(known, "kind")))
			continue;
		if (partial_undo(t, known, &e) < 0 || journal_disown(j, "partial", known, &e))
			log_error("%s", e.msg);
	}
	json_decref(owned);
}

void partials_remove(struct target *t, const char *state_dir)
{
	const char *own = journal_path(t->part.a->journal);
	struct partials ps = {NULL, 0};
	char **paths;
	size_t n, i;
	struct err e;

	if (!json_object_get(t->description, "disks") || journal_list(state_dir, &paths, &n, &e))
		return;
	t->drop_partial = true;
	ps.at = xcalloc(n + 1, sizeof(*ps.at));
	for (i = 0; i < n; i++) {
		if (!strcmp(paths[i], own) || !is_of(paths[i], t->name) || journal_open(&ps.at[ps.count], paths[i], &e))
			continue;
		if (journal_last_note(ps.at[ps.count], "over"))
			remove_from(t, ps.at[ps.count++]);
		else
			journal_close(ps.at[ps.count]);
	}
	journal_list_free(paths, n);
	partials_close(&ps);
}

static bool fits(const json_t *entry, const char *place, const json_t *kind, bool is_raw)
{
	const json_t *known = json_object_get(entry, "detail");
	struct err e;

	if (strcmp(json_text(entry, "kind") ?: "", "partial") || strcmp(json_text(known, "place") ?: "", place) ||
	    !json_equal(json_object_get(known, "kind"), kind))
		return false;
	if (!own_file_is_there(known, is_rebooted_since(known)))
		return false;
	/* an image has more in it than blocks: whoever has written to it may have made one of which no hash tells what it will do */
	if (!is_raw && !own_file_is_unwritten(known)) {
		log_error("%s was written to since it was kept: nothing is taken from it", json_text(known, "path"));
		return false;
	}
	if (own_file_unused(json_text(known, "path"), &e)) {
		log_error("%s: nothing is taken from it", e.msg);
		return false;
	}
	return true;
}

/* The one in which most has arrived, should there be several. */
void partial_find(struct partial *p, const struct partials *ps, const char *place, const json_t *kind, bool is_raw)
{
	json_t *owned, *entry;
	size_t i, k;

	for (i = 0; i < ps->count; i++) {
		if (journal_owned(ps->at[i], &owned))
			continue;
		json_array_foreach(owned, k, entry) {
			json_t *known = json_object_get(entry, "detail");

			if (!fits(entry, place, kind, is_raw) ||
			    (p->known && written_bytes(json_text(known, "path")) <= written_bytes(partial_path(p))))
				continue;
			partial_fini(p);
			*p = (struct partial){ps->at[i], json_incref(known)};
		}
		json_decref(owned);
	}
}

const char *partial_path(const struct partial *p)
{
	return p->known ? json_text(p->known, "path") : NULL;
}

uint64_t partial_bytes(const struct partial *p)
{
	struct stat st;

	return p->known && !lstat(partial_path(p), &st) && S_ISREG(st.st_mode) ? (uint64_t)st.st_blocks * 512 : 0;
}

/* ---- and going on from it ---- */

/* True if everything of the partial file has reached the disk, or will. The agent that kept the file saw on a descriptor of its own that no
 * writeback had failed, nothing has written to it since, and the page cache is still the same. */
static bool is_whole(const json_t *known)
{
	return json_is_true(json_object_get(known, "whole")) && !is_rebooted_since(known) && own_file_is_unwritten(known);
}

bool partial_is_as_left(const struct partial *p, const char *attempt)
{
	char id[2 * ATTEMPT_ID_LEN + 1];

	return p->known && attempt && !strcmp(attempt_id_format(journal_attempt_id(p->journal), id), attempt) && is_whole(p->known);
}

/* A QEMU that writes nothing to an image does not sync it either. */
static int make_whole(const char *path, uint64_t raw_bytes, bool whole, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	if (raw_bytes && ftruncate(fd, (off_t)raw_bytes))
		return err_sys(e, errno, "cannot make %s %llu bytes long", path, (unsigned long long)raw_bytes);
	if (fsync(fd))
		return err_sys(e, errno, "cannot write %s to stable storage", path);
	/* data that could not be written before is in memory only, and causes no error any more: drop it, so that later reads see what
	 * the disk has */
	if (!whole)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

/* Takes the copy over with one rename(2), so that it has one name and one journal at any moment: ours gives the new name and identifies
 * the file. */
int partial_take(struct attempt *a, struct partial *p, const char *path, uint64_t raw_bytes, struct err *e)
{
	const char *from = partial_path(p);
	json_t *known;
	int r = own_file_unused(from, e); /* the check just before is the one that counts */

	if (!r && !own_file_is_there(p->known, is_rebooted_since(p->known)))
		r = err_set(e, ESTALE, "%s is not what it was when the move was planned", from);
	r = r ?: make_whole(from, raw_bytes, is_whole(p->known), e) ?: own_file_know(from, path, &known, e);
	if (r)
		return r;
	r = attempt_own(a, "file", known, e) ?: own_file_set_aside(from, path, e);
	fault_point("dst-partial-taken");
	if (!r && journal_disown(p->journal, "partial", p->known, e)) {
		log_error("%s", e->msg); /* the other journal still has the copy, at a path where nothing is */
		p->journal = NULL;
	}
	return r;
}

void partial_fini(struct partial *p)
{
	json_decref(p->known);
	*p = (struct partial){NULL, NULL};
}
