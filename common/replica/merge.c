/* merge.c: see merge.h. */
#include "merge.h"
#include "durable-file.h"
#include "fault.h"
#include "image-lock.h"
#include "json-text.h"
#include "onward.h"
#include "points-state.h"
#include "program-run.h"
#include "room.h"
#include "same-file.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 400
#define PAUSE_MS  50 /* longer than the pauses of a process that waits for the lock */

/* ---- qemu-img ---- */

struct said {
	char text[WORDS_MAX];
	size_t n;
};

static void note_words(void *ctx, const char *text, size_t n)
{
	struct said *s = ctx;

	n = MIN(n, sizeof(s->text) - 1 - s->n);
	memcpy(s->text + s->n, text, n);
	s->n += n;
	s->text[s->n] = 0;
}

/* qemu-img says so of an image that another process has open. */
static bool is_of_a_lock(const char *said)
{
	return strstr(said, "Failed to get ") || strstr(said, "Failed to lock byte");
}

static int run_qemu_img(char *const *argv, struct err *e)
{
	struct said said = {.n = 0};
	const struct program_run run = {.argv = argv,
					.error = note_words,
					.error_ctx = &said,
					.how = PROGRAM_DIES_WITH_US | PROGRAM_MANY_FILES};
	int status, r = program_run(&run, &status, e);

	if (r)
		return err_prefix(e, "merging points needs qemu-img (Debian: qemu-utils)");
	said.text[strcspn(said.text, "\n")] = 0;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0
							 : err_set(e, is_of_a_lock(said.text) ? EBUSY : EIO, "qemu-img %s: %s", argv[1],
								   *said.text ? said.text : "it was killed");
}

/* Checks for qemu-img before any change that needs it. */
static int check_qemu_img(struct err *e)
{
	char *argv[] = {(char *)"qemu-img", (char *)"--version", NULL};

	return run_qemu_img(argv, e);
}

static int commit(const char *image, struct err *e)
{
	char *argv[] = {(char *)"qemu-img", (char *)"commit", (char *)"-q",  (char *)"-d",
			(char *)"-f",	    (char *)"qcow2",  (char *)image, NULL};

	return run_qemu_img(argv, e);
}

/* Writes another name of the backing file into the image's header, and opens nothing else. */
static int rebase(const char *image, const char *below, const char *format, struct err *e)
{
	char *argv[] = {(char *)"qemu-img", (char *)"rebase", (char *)"-q", (char *)"-u",  (char *)"-f",  (char *)"qcow2",
			(char *)"-F",	    (char *)format,   (char *)"-b", (char *)below, (char *)image, NULL};

	return run_qemu_img(argv, e);
}

/* ---- the steps of a merge: each may be done again ---- */

/* A merge of one slot into another, which has no point until the merge is over. */
struct merge {
	struct points *p;
	const char *into, *slot;
	json_t *old, *new; /* point.json of both: old's images are new's in the end */
};

static const json_t *disk_of(const json_t *point, size_t i)
{
	return json_array_get(json_object_get(point, "disks"), i);
}

static char *image_of(const struct points *p, const char *slot, const json_t *point, size_t i)
{
	return points_path(p, slot, json_text(disk_of(point, i), "file"));
}

static int commit_disks(const struct merge *m, struct err *e)
{
	int r = 0;

	for (size_t i = 0; disk_of(m->new, i) && !r; i++) {
		AUTO_FREE char *from = image_of(m->p, m->slot, m->new, i), *to = image_of(m->p, m->into, m->old, i);

		r = commit(from, e) ?: sync_file(to, e);
		fault_point("points-committed");
	}
	return r;
}

static const struct point *find_above(const struct points *p, uint64_t number)
{
	size_t i;

	for (i = 0; i < p->count && p->list[i].number <= number; i++)
		;
	return i < p->count ? &p->list[i] : NULL;
}

static int rebase_above(const struct merge *m, struct err *e)
{
	const struct point *above = find_above(m->p, (uint64_t)json_integer_value(json_object_get(m->new, "number")));
	int r = 0;

	for (size_t i = 0; above && disk_of(above->json, i) && !r; i++) {
		AUTO_FREE char *image = image_of(m->p, above->slot, above->json, i);
		AUTO_FREE char *below = xasprintf("../%s/%s", m->into, json_text(disk_of(m->old, i), "file"));

		r = rebase(image, below, json_text(disk_of(m->old, i), "format"), e) ?: sync_file(image, e);
		fault_point("points-rebased");
	}
	return r;
}

/* The images have the names and formats that they had, and the next point's size. */
static int take_place(const struct merge *m, struct err *e)
{
	json_auto_t *is = json_deep_copy(m->new);
	json_t *disk;
	size_t i;

	json_array_foreach(json_object_get(is, "disks"), i, disk) {
		json_object_set(disk, "file", json_object_get(disk_of(m->old, i), "file"));
		json_object_set(disk, "format", json_object_get(disk_of(m->old, i), "format"));
	}
	return points_write(m->p, m->into, is, e);
}

static int run_merge(const struct merge *m, struct err *e)
{
	int r = commit_disks(m, e) ?: rebase_above(m, e) ?: take_place(m, e);

	fault_point("points-merged");
	return r ?: points_remove_slot(m->p, m->slot, e);
}

static int read_again(struct points *p, struct err *e)
{
	AUTO_FREE char *dir = xstrdup(p->dir);

	points_close(p);
	return points_read(p, dir, e);
}

/* ---- merges ---- */

static int load_point(const struct points *p, const char *slot, json_t **out, struct err *e)
{
	AUTO_FREE char *path = points_path(p, slot, "point.json");
	json_error_t why;

	*out = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	return *out ? 0 : err_set(e, EBADMSG, "%s is damaged or missing: %s", path, why.text);
}

/* Refuses if a damaged point lies between the two: it may be above the one, or below the other. */
static int check_readable(const struct points *p, const char *into, const struct point *above, struct err *e)
{
	const struct damaged_point *d = points_damaged_between(p, into, above ? above->slot : NULL);

	return d ? err_set(e, EBADMSG, "points beside %s/points/%s stay, as that one is damaged: %s", p->dir, d->slot, d->why) : 0;
}

static int go_on_merging(struct points *p, struct err *e)
{
	struct merge m = {.p = p, .into = p->into, .slot = p->merging};
	int r = load_point(p, m.into, &m.old, e) ?: load_point(p, m.slot, &m.new, e);

	r = r ?: check_readable(p, m.into, find_above(p, (uint64_t)json_integer_value(json_object_get(m.new, "number"))), e);
	if (!r && json_array_size(json_object_get(m.old, "disks")) != json_array_size(json_object_get(m.new, "disks")))
		r = err_set(e, EBADMSG, "points %s and %s of %s have not as many disks", m.into, m.slot, p->dir);
	r = r ?: run_merge(&m, e);
	json_decref(m.old);
	json_decref(m.new);
	return r;
}

/* Overlays of a run or a trial lie above a point, also where nothing has them open. */
static bool has_overlays(const struct points *p)
{
	AUTO_FREE char *run = xasprintf("%s/run", p->dir);

	return json_object_get(p->replica, "run") || points_are_tried(p) || !access(run, F_OK);
}

int points_mend(struct points *p, struct err *e)
{
	int r = p->into && !has_overlays(p) ? go_on_merging(p, e) : 0;

	return r ?: read_again(p, e) ?: points_sweep(p, e);
}

/* Checks only whether a process has the images open: qemu-img takes locks of its own. */
static int check_unused(const struct points *p, const struct point *pt, struct err *e)
{
	int fd, r = 0;

	for (size_t i = 0; point_disk(pt, i) && !r; i++) {
		AUTO_FREE char *image = image_of(p, pt->slot, pt->json, i);

		r = image_lock(image, IMAGE_OWN, &fd, e);
		if (!r)
			close(fd);
	}
	return r;
}

static int check_drop(const struct points *p, size_t index, struct err *e)
{
	return check_readable(p, p->list[index].slot, index + 2 < p->count ? &p->list[index + 2] : NULL, e);
}

int points_drop(struct points *p, size_t index, struct err *e)
{
	const struct point *old = &p->list[index], *new = &p->list[index + 1];
	json_t *note;
	int r = index + 1 < p->count ? 0 : err_set(e, EINVAL, "the newest point of a replica stays");

	if (!r && json_array_size(json_object_get(old->json, "disks")) != json_array_size(json_object_get(new->json, "disks")))
		r = err_set(e, EBADMSG, "points %s and %s of %s have not as many disks", old->slot, new->slot, p->dir);
	r = r ?: check_qemu_img(e) ?: check_unused(p, old, e) ?: check_unused(p, new, e);
	if (!r && index + 2 < p->count)
		r = check_unused(p, &p->list[index + 2], e);
	r = r ?: check_drop(p, index, e);
	if (r)
		return r;
	note = json_deep_copy(old->json);
	json_object_set_new(note, "merging", json_string(new->slot));
	r = points_write(p, old->slot, note, e);
	json_decref(note);
	fault_point("points-merging");
	return r ?: read_again(p, e) ?: points_mend(p, e);
}

/* A flag for each point that need not stay; malloc'ed. */
static bool *choose(const struct points *p, const struct keep_rule *k)
{
	AUTO_FREE int64_t *times = xcalloc(p->count + 1, sizeof(*times));
	bool *drop = xcalloc(p->count + 1, sizeof(*drop));

	for (size_t i = 0; i < p->count; i++)
		times[i] = p->list[i].at_ms / 1000;
	keep_rule_choose(k, times, p->count, drop);
	for (size_t i = 0; i < p->count; i++)
		drop[i] &= p->list[i].number != onward_number(p);
	return drop;
}

/* Bytes that an image has on its file system. */
static uint64_t has_allocated(const struct points *p, const struct point *pt, size_t i)
{
	AUTO_FREE char *image = image_of(p, pt->slot, pt->json, i);

	return path_allocated(image);
}

/* Bytes that a point needs to take in the next, as far as that one's images tell: those go afterwards. qemu-img may take some more. */
static uint64_t room_to_drop(const struct points *p, size_t index)
{
	const struct point *old = &p->list[index], *new = &p->list[index + 1];
	uint64_t sum = 0;

	for (size_t i = 0; point_disk(old, i) && point_disk(new, i); i++)
		sum += has_allocated(p, new, i);
	return sum;
}

/* Index of the oldest to be dropped for whose merge there is room, or, without room for any, of that which needs the least; p->count: none. *r: one cannot be dropped, as e says. */
static size_t choose_one(const struct points *p, const bool *drop, int *r, struct err *e)
{
	uint64_t least = UINT64_MAX;
	size_t i, chosen = p->count;
	struct room room = {.disk = 0};
	struct err again;

	if (room_get(p->dir, &room))
		room.disk = 0;
	for (i = 0; i + 1 < p->count && least > room.disk; i++) {
		if (!drop[i])
			continue;
		if (check_drop(p, i, *r ? &again : e)) { /* the others go all the same */
			*r = -EBADMSG;
		} else if (room_to_drop(p, i) < least) {
			chosen = i;
			least = room_to_drop(p, i);
		}
	}
	return chosen;
}

int points_prune_one(struct points *p, const struct keep_rule *k, bool *dropped, struct err *e)
{
	AUTO_FREE bool *drop = choose(p, k);
	int r = 0, kept = 0;
	struct err why;
	size_t i = has_overlays(p) ? p->count : choose_one(p, drop, &kept, e);

	*dropped = false;
	if (i < p->count) {
		r = points_drop(p, i, &why);
		*dropped = !r;
	}
	if (r)
		*e = why;
	return r ?: kept;
}

/* Images of a point that is going on to a further host are open for as long as that takes. */
static bool is_read_by_us(const struct points *p, int r)
{
	return r == -EBUSY && onward_to(p);
}

/* Drops one point; *dropped: one was, and there may be more. */
static int tidy_one(struct points *p, bool *dropped, struct err *e)
{
	struct keep_rule k;
	struct err ignored;
	int r = points_mend(p, e) ?: keep_rule_parse(json_text(p->replica, "keep") ?: "", &k, e) ?: points_prune_one(p, &k, dropped, e);

	if (p->replica)
		points_note_kept(p, r && !is_read_by_us(p, r) ? e->msg : NULL, &ignored);
	return r;
}

int points_tidy(const char *dir, struct err *e)
{
	struct points p;
	bool dropped;
	int lock, r;

	do {
		p = (struct points){.dir = NULL};
		lock = -1;
		dropped = false;
		r = points_lock(dir, &lock, e) ?: points_read(&p, dir, e) ?: tidy_one(&p, &dropped, e);
		points_close(&p);
		if (lock >= 0)
			close(lock);
		if (dropped && !fault_point("points-dropped"))
			poll(NULL, 0, PAUSE_MS);
	} while (dropped);
	return r;
}

int points_tidy_at(const char *dir, struct err *e)
{
	AUTO_CLOSE int session = -1;
	int r = points_session_now(dir, &session, e);

	if (r)
		return r == -EBUSY ? 0 : r;
	return points_tidy(dir, e);
}
