/* old-copy.c: see old-copy.h. */
#include "old-copy.h"
#include "bundle-at-rest.h"
#include "json-text.h"
#include "made.h"
#include "own-file.h"
#include "partial.h"
#include "util.h"
#include "words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QCOW2_DATA_FILE 4 /* bit of the incompatible features, whose last byte is the header's byte 79 */

/* ---- which one ---- */

/* True if that journal says that the guest left this disk, last written at that time: a source notes it as it lets go of the guest. */
static bool left_by(const char *journal, const char *guest, const char *path, json_int_t written_ns)
{
	const char *name;
	json_int_t then;
	struct journal *j;
	struct err ignored;

	if (journal_look(&j, journal, &ignored))
		return false;
	then = json_integer_value(json_object_get(journal_last_note(j, "disks-written"), path));
	name = json_text(journal_begin(j), "guest");
	if (journal_last_state(j) != HO_SRC_RELEASED || !name || strcmp(name, guest))
		then = 0;
	journal_close(j);
	return then && then == written_ns;
}

static bool any_left_by(char **journals, size_t n, const char *guest, const char *path, json_int_t written_ns)
{
	size_t i;

	for (i = 0; i < n && !left_by(journals[i], guest, path, written_ns); i++)
		;
	return i < n;
}

static json_int_t written_ns(const struct stat *st)
{
	return (json_int_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

bool old_copy_was_left(const char *state_dir, const char *guest, const char *path)
{
	bool yes = false;
	struct err ignored;
	struct stat st;
	char **journals;
	size_t n;

	if (lstat(path, &st) || !S_ISREG(st.st_mode) || journal_list_finished(state_dir, &journals, &n, &ignored))
		return false;
	yes = any_left_by(journals, n, guest, path, written_ns(&st));
	journal_list_free(journals, n);
	return yes;
}

/* The disk that had that name got another, NAME.moved-ID, when the guest left, so that nothing starts it here. Malloc'ed: the newest of
 * such; NULL: there is none. */
static char *find_moved(const char *state_dir, const char *guest, const char *place)
{
	AUTO_FREE char *dir = xstrdup(place), *prefix = xasprintf("%s.moved-", path_base(place));
	char **journals, *found = NULL;
	json_int_t newest = 0;
	struct err ignored;
	struct dirent *de;
	size_t n;
	DIR *d;

	if (journal_list_finished(state_dir, &journals, &n, &ignored))
		return NULL;
	d = opendir(dirname(dir));
	while (d && (de = readdir(d))) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, de->d_name);
		struct stat st;

		if (!text_starts_with(de->d_name, prefix) || lstat(path, &st) || !S_ISREG(st.st_mode) || written_ns(&st) <= newest ||
		    !any_left_by(journals, n, guest, place, written_ns(&st)))
			continue;
		newest = written_ns(&st);
		free(found);
		found = xstrdup(path);
	}
	if (d)
		closedir(d);
	journal_list_free(journals, n);
	return found;
}

static int check_readable(const char *path, struct err *e)
{
	struct stat st;

	size_t n = strlen(path), k = strlen(PARTIAL_SUFFIX);

	if (path[0] != '/')
		return err_set(e, EINVAL, "the old copy %s: a path in full is needed", path);
	if (n > k && !strcmp(path + n - k, PARTIAL_SUFFIX) && strstr(path, ".vmferry-"))
		return err_set(e, EINVAL, "the old copy %s: that is kept for the move that it is of, and no other takes from it", path);
	if (stat(path, &st) || access(path, R_OK))
		return err_sys(e, errno, "the old copy %s at the destination", path);
	return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)
		       ? 0
		       : err_set(e, EINVAL, "the old copy %s at the destination is neither a file nor a block device", path);
}

/* Checks that an old copy can be replaced: it is removed when the guest runs here, so nobody may use it. */
static int check_replaceable(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st))
		return err_sys(e, errno, "the old copy %s at the destination", path);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return err_set(e, EINVAL,
			       "the old copy %s at the destination is no plain file, or has another name too: the disk cannot replace it",
			       path);
	return own_file_unused(path, e) ? err_prefix(e, "the old copy at the destination, which the disk is to replace") : 0;
}

int old_copy_choose(struct old_copy *o, const char *state_dir, const char *guest, const char *wish, const char *place, struct err *e)
{
	bool replaced = wish && !strcmp(wish, place);
	AUTO_FREE char *moved = NULL;
	int r = 0;

	if (wish && !strcmp(wish, "auto")) {
		replaced = old_copy_was_left(state_dir, guest, place);
		moved = replaced ? NULL : find_moved(state_dir, guest, place);
		wish = replaced ? place : moved;
	}
	if (!wish)
		return 0;
	r = check_readable(wish, e);
	if (!r && replaced)
		r = check_replaceable(wish, e);
	if (!r && replaced)
		r = own_file_know_contents(wish, wish, &o->known, e);
	if (r)
		return r;
	o->path = xstrdup(wish);
	o->at = xstrdup(wish);
	o->replaced = replaced;
	return 0;
}

/* ---- out of a bundle ---- */

static bool is_called(const struct bundle_file *f, const char *name)
{
	return name && (!strcmp(f->path, name) || (f->real_path && !strcmp(f->real_path, name)));
}

/* A disk is found in a bundle by its path; or, as a guest that was moved may have its disks elsewhere, by its name, if that is one disk's
 * alone. Its contents are compared in any case. */
static const struct bundle_file *find_disk(const struct bundle *b, const char *real_path, const char *named)
{
	const struct bundle_file *found = NULL;
	size_t i, hits = 0;

	for (i = 0; i < b->disk_count; i++)
		if (is_called(&b->disks[i], real_path) || is_called(&b->disks[i], named))
			return &b->disks[i];
	for (i = 0; i < b->disk_count; i++)
		if (!strcmp(path_base(b->disks[i].path), path_base(real_path))) {
			found = &b->disks[i];
			hits++;
		}
	return hits == 1 ? found : NULL;
}

int old_copy_unpack(struct old_copy *o, const char *bundle, const char *real_path, const char *named, struct err *e)
{
	const struct bundle_file *f;
	struct bundle b;
	int r = bundle_read(&b, bundle, e);

	if (r)
		return err_prefix(e, "at the destination");
	f = find_disk(&b, real_path, named);
	r = f ? bundle_locate(bundle, f, &o->at, &o->offset, e) : 0;
	if (f && !r) {
		o->path = xstrdup(o->at);
		o->packed = true;
	}
	bundle_fini(&b);
	return r ? err_prefix(e, "at the destination") : 0;
}

void old_copy_fini(struct old_copy *o)
{
	free(o->path);
	json_decref(o->known);
	FREE_ALL(o->at, o->export_name, o->node);
}

bool old_copy_is_qcow2(const struct old_copy *o)
{
	static const uint8_t magic[] = {'Q', 'F', 'I', 0xfb, 0, 0, 0};
	AUTO_CLOSE int fd = open(o->at, O_RDONLY | O_CLOEXEC);
	uint8_t head[80];

	if (fd < 0 || pread(fd, head, sizeof(head), (off_t)o->offset) != (ssize_t)sizeof(head) || memcmp(head, magic, sizeof(magic)))
		return false;
	return head[7] == 2 || (head[7] == 3 && !(head[79] & QCOW2_DATA_FILE));
}

/* ---- out of the way, and back ---- */

static char *aside_name(const struct attempt *a, const char *path)
{
	AUTO_FREE char *temp = attempt_id_name(a->id, path);

	return xasprintf("%s-old", temp);
}

static int check_same(const struct old_copy *o, const char *at, struct err *e)
{
	json_auto_t *now = NULL;
	bool same;
	int r = own_file_know_contents(at, at, &now, e);

	if (r)
		return r;
	json_object_set(now, "path", json_object_get(o->known, "path"));
	same = json_equal(now, o->known);
	return same ? 0
		    : err_set(e, ESTALE, "the old copy %s has changed since the move was planned: another program uses that path", o->path);
}

int old_copy_move_aside(struct attempt *a, struct old_copy *o, struct err *e)
{
	json_t *known = json_deep_copy(o->known);
	struct err why;
	int r = check_replaceable(o->path, e); /* the check just before is the one that counts */

	r = r ?: check_same(o, o->path, e);
	free(o->at);
	o->at = aside_name(a, o->path);
	json_object_set_new(known, "path", json_string(o->at));
	json_object_set_new(known, "place", json_string(o->path));
	if (r) {
		json_decref(known);
		return r;
	}
	r = attempt_own(a, "old-copy", json_incref(known), e) ?: own_file_set_aside(o->path, o->at, e);
	if (!r && check_same(o, o->at, e)) { /* another came in between: that is not ours to take */
		r = -e->code;
		if (own_file_put_back(known, o->path, &why))
			err_prefix(e, "%s; and", why.msg);
	}
	json_decref(known);
	return r;
}

int old_copy_undo(struct target *t, const json_t *detail, struct err *e)
{
	const char *place = json_text(detail, "place");
	json_auto_t *by_name = NULL;

	if (!place)
		return err_set(e, EBADMSG, "the journal does not say where it was");
	if (!t->keep_guest)
		return own_file_put_back(detail, place, e);
	by_name = json_pack("{s:s}", "path", json_text(detail, "path")); /* a path with the attempt's id in it */
	return own_file_remove(by_name, made_is_rebooted(t), e);
}
