/* lent-monitor.c: see lent-monitor.h. */
#include "lent-monitor.h"
#include "fault.h"
#include "hmp-reach.h"
#include "json-text.h"
#include "log.h"
#include "loop.h"
#include "process.h"
#include "process-sockets.h"
#include "qmp.h"
#include "unix-socket.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LOOK_MS	   500	/* time for a monitor of the guest's to greet */
#define OWN_MS	   3000 /* time for our monitor to greet */
#define GONE_MS	   3000 /* time for QEMU to remove our monitor */
#define PAUSE_MS   5
#define OBJECT	   "vmferry-qmp-"    /* prefix of the monitor's name, before a number, as in attach */
#define CHARDEV	   "vmferry-attach-" /* prefix of its socket's name, before the same number */
#define OBJECTS_AT "/objects/"

/* ---- its journal ---- */

static json_t *describe(const struct guest *g, const char *path, unsigned number, const struct hmp_place *by)
{
	AUTO_FREE char *boot = boot_id();

	return json_pack("{s:s,s:s*,s:{s:i,s:I,s:s,s:I,s:o*}}", "guest", g->name, "boot_id", boot, LENT_MEMBER, "pid", (int)g->pid,
			 "start_time", (json_int_t)g->start_time, "path", path, "number", (json_int_t)number, "by",
			 by ? hmp_place_json(by) : NULL);
}

static int begin_journal(struct lent_monitor *m, const struct guest *g, const char *state_dir, const struct hmp_place *by, struct err *e)
{
	json_auto_t *begin = describe(g, m->path, m->number, by);
	uint8_t id[ATTEMPT_ID_LEN];
	int r = begin ? attempt_id_new(id, e) : err_set(e, EILSEQ, "the name of the guest, or of its monitor, is not UTF-8 text");

	r = r ? r : journal_create(&m->journal, state_dir, id, true, begin, e);
	return r ? err_prefix(e, "a monitor that `vmferry recover` could not remove is not made") : 0;
}

static void end_journal(struct lent_monitor *m)
{
	struct err e;

	if (m->journal && journal_remove(m->journal, false, &e))
		log_info("%s", e.msg);
	m->journal = NULL;
}

/* ---- made by HMP ---- */

static int is_able(struct hmp *h, struct err *e)
{
	AUTO_FREE char *answer = NULL;
	int r = hmp_ask(h, "object_add monitor-qmp,help", &answer, e);

	if (r)
		return r;
	return strstr(answer, "monitor-qmp options")
		       ? 0
		       : err_set(e, ENOTSUP, "the monitor %s cannot make a QMP monitor: its QEMU knows no monitor-qmp (11.1 and later do)",
				 h->name);
}

static int order(struct hmp *h, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int order(struct hmp *h, struct err *e, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	return hmp_order(h, line, e);
}

/* HMP has a word end at a blank, and QEMU's options one at a comma. */
static int check_path(const char *path, struct err *e)
{
	if (strlen(path) > UNIX_SOCKET_PATH_MAX)
		return err_set(e, ENAMETOOLONG, "the path of a monitor's socket, %s, is longer than %d bytes", path, UNIX_SOCKET_PATH_MAX);
	return path[strcspn(path, " \t\n\r,\"\\'")]
		       ? err_set(e, EINVAL, "the path of a monitor's socket, %s, has a blank, a comma or a quote", path)
		       : 0;
}

static int make_by(struct hmp *h, const char *path, unsigned number, struct err *e)
{
	int r = order(h, e, "chardev-add socket,id=" CHARDEV "%u,path=%s,server=on,wait=off", number, path);

	fault_point("src-lent-chardev");
	r = r ? r : order(h, e, "object_add monitor-qmp,id=" OBJECT "%u,chardev=" CHARDEV "%u", number, number);
	fault_point("src-lent-object");
	return r;
}

static int wait_for_socket(pid_t pid, const char *path, bool there, unsigned ms)
{
	uint64_t until = now_ns() + ms * 1000000ULL;

	while (process_has_socket(pid, path) != there) {
		if (now_ns() > until)
			return -ETIMEDOUT;
		poll(NULL, 0, PAUSE_MS);
	}
	return 0;
}

/* Takes both away again, or whatever of them is there. */
static int unmake_by(struct hmp *h, pid_t pid, const char *path, unsigned number, struct err *e)
{
	struct err ignored;

	order(h, &ignored, "object_del " OBJECT "%u", number);
	if (order(h, e, "chardev-remove " CHARDEV "%u", number) && process_has_socket(pid, path))
		return -e->code;
	return wait_for_socket(pid, path, false, GONE_MS)
		       ? err_set(e, ETIMEDOUT, "QEMU still listens on %s after it was told to remove that", path)
		       : 0;
}

/* A monitor that is to be made, and for which guest. */
struct making {
	struct lent_monitor *m;
	const struct guest *g;
	const char *state_dir;
};

static int make_at(struct hmp *h, const struct hmp_place *p, void *ctx, struct err *e)
{
	const struct making *x = ctx;
	struct lent_monitor *m = x->m;
	struct err ignored;
	int r = is_able(h, e);

	r = r ? r : begin_journal(m, x->g, x->state_dir, p, e);
	fault_point("src-lent-noted");
	if (r)
		return r;
	r = make_by(h, m->path, m->number, e);
	if (!r && wait_for_socket(x->g->pid, m->path, true, OWN_MS))
		r = err_set(e, EIO, "the monitor %s said nothing against it, and QEMU does not listen on %s", p->name, m->path);
	if (!r) {
		m->by = xstrdup(p->name);
		return 0;
	}
	if (!unmake_by(h, x->g->pid, m->path, m->number, &ignored))
		end_journal(m);
	return r;
}

/* Words of all that were tried, in one sentence. */
static void add_words(char **words, const char *more)
{
	AUTO_FREE char *before = *words;

	*words = before ? xasprintf("%s; %s", before, more) : xstrdup(more);
}

static int make_by_hmp(struct lent_monitor *m, const struct guest *g, const char *state_dir, char **words)
{
	struct args_hmp *list;
	size_t n = qemu_args_hmp(g->line.expanded, g->line.expanded_count, &list), i;
	struct making x = {m, g, state_dir};
	struct err e;
	int r = check_path(m->path, &e) ?: -ENXIO;

	if (r != -ENXIO)
		add_words(words, e.msg);
	for (i = 0; i < n && r == -ENXIO; i++)
		if (!hmp_visit(g, &list[i], make_at, &x, &e))
			r = 0;
		else
			add_words(words, e.msg);
	args_hmp_free(list, n);
	return r;
}

static int is_able_at(const struct args_hmp *on_line, const struct guest *g, char **by, struct err *e)
{
	struct hmp_place p;
	struct hmp h;
	int r = hmp_locate(&p, g, on_line, e);

	if (r)
		return r;
	r = p.escape ? err_set(e, ENOTSUP, "the monitor %s is tried by the commands that need it, and not asked before", p.name)
		     : hmp_reach(&h, &p, g->pid, e);
	if (!r) {
		r = is_able(&h, e);
		hmp_end(&h);
	}
	if (!r)
		*by = xstrdup(p.name);
	hmp_place_fini(&p);
	return r;
}

char *lent_way(const struct guest *g, char **why)
{
	struct args_hmp *list;
	size_t n = qemu_args_hmp(g->line.expanded, g->line.expanded_count, &list), i;
	char *by = NULL;
	struct err e;

	*why = NULL;
	for (i = 0; i < n && !by; i++)
		if (is_able_at(&list[i], g, &by, &e))
			add_words(why, e.msg);
	args_hmp_free(list, n);
	return by;
}

/* ---- is one needed? ---- */

static bool has_one_that_answers(struct guest *g, struct loop *l, char **words)
{
	struct qmp *q = NULL;
	struct err e;
	int r = g->qmp.path ? guest_open_qmp(g, &q, l, LOOK_MS, NULL, NULL, &e) : -ENXIO;

	if (r && g->qmp.path)
		add_words(words, e.msg);
	qmp_close(q);
	return !r;
}

/* A guest that is somebody else's, or still arrives, is left to the next check, which says so. */
static bool is_for_us(const struct guest *g)
{
	struct err ignored;

	return !guest_check_user(g, &ignored) && !g->owner_hint && !guest_is_arriving(g);
}

static int attach_to(struct lent_monitor *m, const struct guest *g, const struct lent_need *need, struct err *e)
{
	int r = begin_journal(m, g, need->state_dir, NULL, e);

	r = r ? r : attach_guest(g, need->runtime_dir, &m->attached, e);
	if ((r && r != -EIO) || m->attached.was_there)
		end_journal(m);
	return r;
}

static int make_one(struct lent_monitor *m, const struct guest *g, const struct lent_need *need, char **words, struct err *e)
{
	AUTO_CLOSE int lock = open(need->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_FREE char *there = NULL;

	if (lock < 0 || flock(lock, LOCK_EX)) /* attach_guest() takes the same lock */
		return err_sys(e, errno, "cannot lock %s", need->runtime_dir);
	there = guest_attached_path(g->pid);
	if (there) /* another's, which was asked before */
		return -ENXIO;
	if (!process_sees(g->pid, need->runtime_dir)) {
		add_words(words, "its QEMU does not see the directory of vmferry's sockets (a mount namespace or chroot of its own)");
		return -ENXIO;
	}
	if (!unix_is_bound(m->path))
		unlink(m->path); /* an earlier process of that number may have left the socket */
	return make_by_hmp(m, g, need->state_dir, words);
}

static void forget(struct lent_monitor *m)
{
	FREE_ALL(m->path, m->by, m->attached.path);
	if (m->loop)
		loop_free(m->loop);
	*m = (struct lent_monitor){.path = NULL};
}

int lent_make(struct lent_monitor *m, const char *vm, const struct lent_need *need, struct err *e)
{
	AUTO_FREE char *words = NULL;
	struct guest g;
	int r, found = guest_find(&g, vm, e);

	*m = (struct lent_monitor){.path = NULL};
	if ((found && found != -ENXIO) || !is_for_us(&g)) {
		guest_fini(&g);
		return 0;
	}
	m->number = attach_number();
	m->path = xasprintf("%s/" ATTACHED_PREFIX "%d" ATTACHED_SUFFIX, need->runtime_dir, (int)g.pid);
	r = loop_new(&m->loop, 64, e);
	if (!r && !has_one_that_answers(&g, m->loop, &words)) {
		r = make_one(m, &g, need, &words, e);
		if (r == -ENXIO && need->attach)
			r = attach_to(m, &g, need, e);
		else if (r == -ENXIO && words)
			r = err_set(e, ENXIO, "%s", words);
		else if (r == -ENXIO)
			r = 0; /* the guest has no monitor, and guest_find() says what can be done */
	}
	guest_fini(&g);
	if (r || !m->journal)
		forget(m);
	return r;
}

/* ---- removed ---- */

/* True if the character device of that name listens there. */
static bool listens_at(const json_t *chardevs, const char *label, const char *path)
{
	AUTO_FREE char *unix_path = xasprintf("unix:%s,", path);

	return strstr(json_text(json_find(chardevs, "label", label), "filename") ?: "", unix_path) != NULL;
}

/* The object that is the monitor at this path, malloc'ed; NULL: this QEMU has none, as its monitors are no objects. */
static char *find_object(struct qmp *q, const char *path, struct err *e)
{
	json_auto_t *chardevs = NULL;
	json_auto_t *objects = NULL;
	char *found = NULL;
	json_t *one;
	size_t i;

	if (qmp_call(q, "query-chardev", NULL, &chardevs, e) ||
	    qmp_call(q, "qom-list", json_pack("{s:s}", "path", "/objects"), &objects, e))
		return NULL;
	json_array_foreach(objects, i, one) {
		const char *name = json_text(one, "name");
		AUTO_FREE char *at = name ? xasprintf(OBJECTS_AT "%s", name) : NULL;
		json_auto_t *label = NULL;

		if (!found && at && text_starts_with(name, OBJECT) &&
		    !qmp_call(q, "qom-get", json_pack("{s:s,s:s}", "path", at, "property", "chardev"), &label, e) &&
		    json_is_string(label) && listens_at(chardevs, json_string_value(label), path))
			found = xstrdup(at);
	}
	return found;
}

static int have_it_go(struct qmp *q, const char *path, struct err *e)
{
	AUTO_FREE char *object = find_object(q, path, e);

	if (!object)
		return err_set(e, ENOTSUP, "QEMU cannot remove the monitor %s before it ends (11.1 and later can)", path);
	return qmp_call(q, "qom-set", json_pack("{s:s,s:s,s:s}", "path", object, "property", "close-action", "value", "delete"), NULL, e);
}

int lent_remove(pid_t pid, const char *path, struct loop *l, struct err *e)
{
	struct qmp *q = NULL;
	int r = qmp_open_of(&q, l, path, pid, OWN_MS, NULL, NULL, e);

	r = r ? r : have_it_go(q, path, e);
	fault_point("src-lent-told-to-go");
	qmp_close(q);
	if (!r && wait_for_socket(pid, path, false, GONE_MS))
		r = err_set(e, ETIMEDOUT, "QEMU still listens on %s after it was told to remove that", path);
	return r;
}

/* Removes a lent monitor by way of the one that made it, for when nothing answers on its socket, or another client is connected there. */
static int unmake(const json_t *lent, pid_t pid, const char *path, struct err *e)
{
	struct hmp_place p;
	struct hmp h;
	int r;

	if (!hmp_place_load(&p, json_object_get(lent, "by")))
		return -e->code;
	r = hmp_reach(&h, &p, pid, e);
	if (!r) {
		r = unmake_by(&h, pid, path, (unsigned)json_integer_value(json_object_get(lent, "number")), e);
		hmp_end(&h);
	}
	hmp_place_fini(&p);
	return r;
}

/* A client that has left counts as connected until QEMU has noticed. */
static int wait_until_alone(pid_t pid, const char *path)
{
	uint64_t until = now_ns() + GONE_MS * 1000000ULL;

	while (process_serves_client(pid, path)) {
		if (now_ns() > until)
			return -EBUSY;
		poll(NULL, 0, PAUSE_MS);
	}
	return 0;
}

static int undo_on(const json_t *lent, struct loop *l, struct err *e)
{
	pid_t pid = (pid_t)json_integer_value(json_object_get(lent, "pid"));
	const char *path = json_text(lent, "path");
	int r;

	if (!path || pid <= 0)
		return err_set(e, EBADMSG, "the journal does not say where its monitor is");
	if (!qemu_is_alive(pid, (uint64_t)json_integer_value(json_object_get(lent, "start_time")))) {
		if (!unix_is_bound(path))
			unlink(path);
		return 0;
	}
	if (!process_has_socket(pid, path))
		return !process_may_listen_at(pid, path)
			       ? 0
			       : err_set(e, EBUSY,
					 "cannot tell whether %s still leads to the monitor that was lent, so that monitor stays: `vmferry "
					 "recover` removes it",
					 path);
	if (wait_until_alone(pid, path))
		return err_set(e, EBUSY, "another client is connected to the monitor %s, which so stays: `vmferry recover` removes it",
			       path);
	r = lent_remove(pid, path, l, e);
	return r && r != -ENOTSUP ? unmake(lent, pid, path, e) : r;
}

int lent_undo(const json_t *begin, struct err *e)
{
	struct loop *l;
	int r = loop_new(&l, 64, e);

	if (r)
		return r;
	if (is_this_boot(json_text(begin, "boot_id")))
		r = undo_on(json_object_get(begin, LENT_MEMBER), l, e);
	loop_free(l);
	return r;
}

int lent_return(struct lent_monitor *m, struct err *e)
{
	int r = 0;

	if (m->journal) {
		r = undo_on(json_object_get(journal_begin(m->journal), LENT_MEMBER), m->loop, e);
		if (!r || r == -ENOTSUP)
			end_journal(m);
		journal_close(m->journal);
	}
	forget(m);
	return r;
}

/* ---- of those that have died ---- */

static bool is_of(const json_t *o, pid_t pid, uint64_t start_time)
{
	return json_integer_value(json_object_get(o, "pid")) == pid &&
	       (uint64_t)json_integer_value(json_object_get(o, "start_time")) == start_time;
}

bool lent_is_needed(const char *state_dir, const json_t *begin)
{
	const json_t *lent = json_object_get(begin, LENT_MEMBER);
	char id[2 * ATTEMPT_ID_LEN + 1], **paths;
	struct err ignored;
	bool yes = false;
	size_t n, i;

	if (journal_list(state_dir, &paths, &n, &ignored))
		return true;
	for (i = 0; i < n && !yes; i++) {
		json_t *other;

		if (!journal_path_is(paths[i], true) || journal_peek(paths[i], id, &other, &ignored))
			continue;
		yes = is_of(other, (pid_t)json_integer_value(json_object_get(lent, "pid")),
			    (uint64_t)json_integer_value(json_object_get(lent, "start_time")));
		json_decref(other);
	}
	journal_list_free(paths, n);
	return yes;
}

static void undo_dead(const char *state_dir, const char *path, pid_t pid, uint64_t start_time)
{
	struct journal *j;
	struct err e;
	int r;

	if (journal_open(&j, path, &e)) /* the journal is locked while its user lives */
		return;
	if (!is_of(json_object_get(journal_begin(j), LENT_MEMBER), pid, start_time) || lent_is_needed(state_dir, journal_begin(j))) {
		journal_close(j);
		return;
	}
	r = lent_undo(journal_begin(j), &e);
	if (r && r != -ENOTSUP)
		log_error("%s", e.msg);
	if (r && r != -ENOTSUP)
		journal_close(j);
	else
		journal_remove(j, false, &e);
}

void lent_undo_dead(const char *state_dir, pid_t pid, uint64_t start_time)
{
	struct err ignored;
	char **paths;
	size_t n, i;

	if (journal_list(state_dir, &paths, &n, &ignored))
		return;
	for (i = 0; i < n; i++)
		if (journal_path_is(paths[i], true))
			undo_dead(state_dir, paths[i], pid, start_time);
	journal_list_free(paths, n);
}
