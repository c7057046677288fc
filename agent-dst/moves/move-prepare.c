/*
 * move-prepare.c: from the plan to a waiting QEMU with empty disks; and all of that undone.
 *
 * What is created is journaled first (kinds "dir", "file", "made-by-qemu", "qemu"), so that move_undo works from the journal alone, in
 * this life of the agent or a later one. What cannot be removed stays in the journal, is told, and is tried again when an agent next
 * starts here.
 */
#include "move-private.h"
#include "afterwards.h"
#include "durable-file.h"
#include "fault.h"
#include "hex.h"
#include "image-create.h"
#include "json-text.h"
#include "log.h"
#include "net.h"
#include "own-file.h"
#include "paths.h"
#include "process.h"
#include "qemu-settings.h"
#include "systemd.h"
#include "unit-text.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define START_MS 30000

/* ---- preparing ---- */

static int own_detail(struct move *m, const char *kind, json_t *detail /* stolen */, struct err *e)
{
	int r = journal_own(m->journal, kind, detail, e);

	json_decref(detail);
	return r;
}

/* A name that only we can have made: of this attempt. */
static int own(struct move *m, const char *kind, const char *path, struct err *e)
{
	return own_detail(m, kind, json_pack("{s:s}", "path", path), e);
}

int move_own_file(struct move *m, const char *path, struct err *e)
{
	return own(m, "file", path, e);
}

static void disown(struct move *m, const char *kind, json_t *detail /* stolen */)
{
	struct err e;

	if (journal_disown(m->journal, kind, detail, &e))
		log_error("%s", e.msg);
	json_decref(detail);
}

static int begin_journal(struct move *m, struct err *e)
{
	AUTO_FREE char *boot = boot_id();
	json_t *begin = json_pack("{s:s,s:s*,s:s,s:s,s:s,s:b}", "guest", m->name, "boot_id", boot, "dir", m->dir,
				  "run_dir", m->run_dir, "qmp", m->qmp_path, "paused",
				  json_is_true(json_object_get(m->description, "paused")));
	int r = journal_create(&m->journal, m->cfg->state_dir, m->attempt, false, begin, e);

	json_decref(begin);
	if (r)
		return r;
	handoff_init(&m->handoff, HO_DESTINATION);
	m->handoff.qemu_alive = false;
	m->handing_off = true;
	return 0;
}

/*
 * Under a name of this attempt first, then linked to its own, which fails if somebody else has that by now. The journal
 * knows the final name only with what the file is known by, so that no rollback can remove another's file.
 */
int move_publish(struct move *m, const char *temp, const char *path, struct err *e)
{
	json_t *final;
	int r = own_file_know(temp, path, &final, e);

	if (r)
		return r;
	r = own_detail(m, "file", json_incref(final), e);
	if (!r && link(temp, path)) {
		r = err_sys(e, errno, "cannot create %s", path);
		disown(m, "file", json_incref(final));
	}
	json_decref(final);
	if (!r && unlink(temp))
		r = err_sys(e, errno, "cannot remove %s", temp);
	if (!r)
		disown(m, "file", json_pack("{s:s}", "path", temp));
	return r ? r : sync_parent_dir(path, e);
}

static int make_disk(struct move *m, const struct move_disk *d, char *const *env, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	AUTO_FREE char *temp = xasprintf("%s.vmferry-%.8s", d->path, attempt_id_format(m->attempt, id));
	struct image im = {temp, d->format, d->backing, d->backing_format, d->virtual_size, d->cluster_size, d->mode, d->uid, d->gid, d->acl};
	int r = own(m, "file", temp, e);

	if (!r)
		r = image_create(m->loop, m->exe, env, m->run_dir, &im, e);
	return r ? r : move_publish(m, temp, d->path, e);
}

static int make_disks(struct move *m, char *const *env, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < m->disk_count && !r; i++)
		r = make_disk(m, &m->disks[i], env, e);
	return r;
}

static int own_if_new(struct move *m, const char *path, struct err *e)
{
	struct stat st;

	return lstat(path, &st) && errno == ENOENT ? own(m, "made-by-qemu", path, e) : 0;
}

/* What it is about to make: sockets, logs and the like that do not exist yet. Its own log has its pid where the name says %d. */
static int own_what_qemu_makes(struct move *m, pid_t pid, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < m->args.file_count && !r; i++) {
		const struct args_file *f = &m->args.files[i];
		const char *number;

		if (!args_role_is_made(f->role) || !f->to || *f->to != '/')
			continue;
		r = own_if_new(m, f->to, e);
		number = strcmp(f->option, "D") && strcmp(f->option, "trace") ? NULL : strstr(f->to, "%d");
		if (number && !r) {
			AUTO_FREE char *path = xasprintf("%.*s%d%s", (int)(number - f->to), f->to, (int)pid, number + 2);

			r = own_if_new(m, path, e);
		}
	}
	return r;
}

static bool qemu_has(const struct move *m, const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return false;
	return S_ISSOCK(st.st_mode) ? process_may_have_socket(m->qemu.pid, path) : process_has_open(m->qemu.pid, path);
}

/* From now on they are known by more than their name. found: in a QEMU of an earlier life, say; then only what it has open is its own. */
void move_know_what_qemu_made(struct move *m, bool found)
{
	json_t *owned, *entry, *known;
	struct err e;
	size_t i;

	if (journal_owned(m->journal, &owned))
		return;
	json_array_foreach(owned, i, entry) {
		json_t *detail = json_object_get(entry, "detail");
		const char *kind = json_text(entry, "kind"), *path = json_text(detail, "path");

		if (!kind || !path || strcmp(kind, "made-by-qemu") || (found && !qemu_has(m, path)) || own_file_know(path, path, &known, &e))
			continue;
		if (own_detail(m, "file", known, &e))
			log_error("%s", e.msg);
		else
			disown(m, kind, json_incref(detail));
	}
	json_decref(owned);
}

static int write_start_script(struct move *m, char *const *env, struct err *e)
{
	time_t now = time(NULL);
	struct tm tm;
	char date[32];
	struct start_script s = {m->name, json_text(m->description, "host"), date, m->exe, m->args.argv, m->args.argc, env, m->qmp_path};
	AUTO_FREE char *script = NULL;

	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &tm));
	script = start_script_text(&s);
	return afterwards_prepare(m->journal, m->afterwards, script, e);
}

/* The guest outlives us, and what we are allowed to use is not meant for it. */
static char **scope_of_its_own(const struct move *m)
{
	AUTO_FREE char *plain = unit_plain_name(m->name);
	AUTO_FREE char *unit = xasprintf("vmferry-%s-%d.scope", plain, (int)getpid());
	AUTO_FREE char *description = xasprintf("QEMU of guest %s", plain);
	struct err e;
	char **scope = systemd_scope(unit, description, &e);

	if (!scope && e.code)
		log_error("the guest shares our unit and its limits: %s", e.msg);
	return scope;
}

/* The journal knows of it, and of what it will make, before it is a QEMU. */
static int note_qemu(void *ctx, const struct qemu_proc *p, struct err *e)
{
	json_t *note = json_pack("{s:i,s:I}", "pid", (int)p->pid, "start_time", (json_int_t)p->start_time);
	struct move *m = ctx;
	int r;

	fault_point("dst-qemu-forked");
	r = journal_note(m->journal, "qemu", note, e);
	if (!r)
		r = own_what_qemu_makes(m, p->pid, e);
	fault_point("dst-qemu-noted");
	json_decref(note);
	return r;
}

static int start_qemu(struct move *m, char *const *env, struct err *e)
{
	char **scope;
	int r = own(m, "qemu", m->qmp_path, e);

	if (r)
		return r;
	scope = scope_of_its_own(m);
	r = qemu_launch(&m->qemu, m->exe, m->args.argv, env, scope, note_qemu, m, e);
	free_words(scope);
	if (r)
		return r;
	m->handoff.qemu_alive = true;
	fault_point("dst-qemu-launched");
	r = qemu_launch_wait_qmp(&m->qemu, m->loop, m->qmp_path, START_MS, &conductor_qmp, &m->con, &m->qmp, e);
	move_know_what_qemu_made(m, false);
	if (r == -ECHILD)
		m->handoff.qemu_alive = false;
	return r ? err_prefix(e, "starting the destination QEMU") : 0;
}

static int configure_qemu(struct move *m, struct err *e)
{
	static const char *const pages[] = {"events", "return-path", NULL};
	static const char *const opaque[] = {"events", "return-path", "multifd", NULL};
	json_t *params = json_pack("{s:s,s:s}", "tls-creds", "", "multifd-compression", "none");
	bool multifd = m->opaque && m->multifd;
	int r;

	r = settings_save(m->qmp, &m->settings, e);
	if (!r)
		r = journal_note(m->journal, "settings", m->settings, e);
	if (!r)
		r = settings_capabilities(m->qmp, m->settings, multifd ? opaque : pages, e);
	if (multifd)
		json_object_set_new(params, "multifd-channels", json_integer(m->multifd));
	if (r) {
		json_decref(params);
		return r;
	}
	return settings_parameters(m->qmp, m->settings, params, e);
}

/* Pages if its RAM can be reached, unless the user chose. */
static int choose_mode(struct move *m, struct err *e)
{
	const char *want = json_text(m->description, "ram_mode");
	int r;

	if (m->opaque) {
		m->opaque_why = "asked for";
		return 0;
	}
	r = ram_place_open(&m->ram, m->qmp, m->qemu.pid, e);
	if (!r || !want || strcmp(want, "auto"))
		return r;
	log_info("opaque mode: %s", e->msg);
	m->opaque = true;
	m->opaque_why = "the destination QEMU's memory cannot be written";
	return configure_qemu(m, e);
}

static int find_node(struct move *m, struct move_disk *d, struct err *e)
{
	json_t *nodes, *node;
	size_t i;
	int r = qmp_call(m->qmp, "query-named-block-nodes", NULL, &nodes, e);

	if (r)
		return r;
	json_array_foreach(nodes, i, node) {
		const char *file = json_text(node, "file"), *drv = json_text(node, "drv");

		if (file && drv && !strcmp(file, d->path) && !strcmp(drv, d->format)) {
			d->node = xstrdup(json_text(node, "node-name"));
			break;
		}
	}
	json_decref(nodes);
	return d->node ? 0 : err_set(e, ENOENT, "the destination QEMU has no %s disk at %s", d->format, d->path);
}

static int open_exports(struct move *m, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < m->disk_count && !r; i++) {
		struct move_disk *d = &m->disks[i];
		struct disk_target *t = &m->shared.disk[d->object];
		char id[32];

		t->bytes = d->virtual_size;
		t->name = t->path = d->path;
		if (!strcmp(d->format, "raw"))
			continue;
		if (!m->nbd_running) {
			r = qmp_call(m->qmp, "nbd-server-start",
				     json_pack("{s:{s:s,s:{s:s}}}", "addr", "type", "unix", "data", "path", m->nbd_socket),
				     NULL, e);
			m->nbd_running = !r;
		}
		if (!r)
			r = find_node(m, d, e);
		snprintf(id, sizeof(id), "vmferry-%u", d->object);
		if (!r)
			r = qmp_call(m->qmp, "block-export-add",
				     json_pack("{s:s,s:s,s:s,s:s,s:b}", "type", "nbd", "id", id, "node-name", d->node,
					       "name", d->path, "writable", 1),
				     NULL, e);
		t->nbd = true;
		t->path = m->nbd_socket;
		t->export_name = d->path;
	}
	return r;
}

/* Before the device state is loaded: a writable export would fight with the guest's own device. */
int move_close_exports(struct move *m, struct err *e)
{
	char id[32];
	size_t i;
	int r = 0;

	if (!m->nbd_running)
		return 0;
	for (i = 0; i < m->disk_count && !r; i++) {
		if (!m->disks[i].node)
			continue;
		snprintf(id, sizeof(id), "vmferry-%u", m->disks[i].object);
		r = qmp_call(m->qmp, "block-export-del", json_pack("{s:s,s:s}", "id", id, "mode", "hard"), NULL, e);
	}
	if (!r)
		r = qmp_call(m->qmp, "nbd-server-stop", NULL, NULL, e);
	m->nbd_running = r != 0;
	return r;
}

static int open_data_port(struct move *m, struct err *e)
{
	bool any = m->cfg->plaintext || m->cfg->access->key_count;

	if (m->data_fd >= 0)
		return 0;
	return net_listen(m->cfg->listen_host, m->cfg->data_ports, any, &m->data_fd, NULL, e);
}

static int take_secret(struct move *m, const json_t *prepare, struct err *e)
{
	const char *hex = json_text(prepare, "secret");

	return hex && strlen(hex) == 2 * DIGEST_SECRET_BYTES && hex_parse(hex, m->shared.key.secret, DIGEST_SECRET_BYTES)
		       ? 0
		       : err_set(e, EPROTO, "the source sent no digest secret");
}

int move_prepare(struct move *m, const json_t *prepare, struct err *e)
{
	char **env = move_environment(m);
	int r;

	fault_point("dst-prepare");
	r = take_secret(m, prepare, e);
	if (!r)
		r = begin_journal(m, e);
	if (!r)
		r = own(m, "dir", m->run_dir, e);
	if (!r && mkdir(m->run_dir, 0700))
		r = err_sys(e, errno, "cannot create %s", m->run_dir);
	if (!r)
		r = make_disks(m, env, e);
	if (!r)
		r = move_create_files(m, e);
	move_free_environment(env);
	return r;
}

int move_start_guest(struct move *m, struct err *e)
{
	char **env = move_environment(m);
	int r = write_start_script(m, env, e);

	if (!r)
		r = start_qemu(m, env, e);
	move_free_environment(env);
	if (!r)
		r = monitors_hide(m, e);
	if (!r)
		r = configure_qemu(m, e);
	if (!r)
		r = choose_mode(m, e);
	if (!r)
		r = open_exports(m, e);
	if (!r && m->opaque) {
		AUTO_FREE char *uri = xasprintf("unix:%s", m->incoming);

		/* while it loads, QEMU may wait for one stream before it serves its disks: they have a channel of their own */
		m->shared.streams = 1 + m->multifd;
		m->channels = m->shared.streams + (m->disk_count ? 1 : 0);
		m->shared.incoming = m->incoming;
		r = qmp_call(m->qmp, "migrate-incoming", json_pack("{s:s}", "uri", uri), NULL, e);
	}
	if (!r)
		r = open_data_port(m, e);
	m->shared.channels = m->channels;
	m->shared.ram = m->ram;
	return r;
}

/* ---- undoing ---- */

/* What is in our own directory, of ours and of QEMUs that help: nothing else is removed from it. */
static const char *const in_run_dir[] = {"vmferry.qmp", "incoming", "nbd", "helper.qmp"};

static int remove_dir(const char *path, struct err *e)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(in_run_dir); i++) {
		AUTO_FREE char *file = xasprintf("%s/%s", path, in_run_dir[i]);

		if (unlink(file) && errno != ENOENT)
			return err_sys(e, errno, "cannot remove %s", file);
	}
	return rmdir(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path) : 0;
}

/* Our QEMU has ended: what anybody uses is not its own. */
static int remove_unknown(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(e, errno, "cannot look at %s", path);
	if (S_ISSOCK(st.st_mode) ? process_may_have_socket(getpid(), path) : process_that_opened(path, 0)) {
		log_info("%s is another's", path);
		return 0;
	}
	return err_set(e, EUCLEAN, "whether %s was made by the QEMU of this move cannot be told: delete it if nobody needs it", path);
}

static bool is_rebooted(const struct move *m)
{
	const char *then = json_text(journal_begin(m->journal), "boot_id");
	AUTO_FREE char *now = boot_id();

	return !then || !now || strcmp(then, now);
}

/* Of a guest that runs here, all but the hidden name of its script, once that has its own. */
static bool is_the_guests(const struct move *m, const json_t *detail)
{
	return json_object_get(detail, "inode") || !journal_last_note(m->journal, "start-script");
}

/* 0; 1: it is somebody else's now, and stays; or why it cannot be undone. */
static int undo_one(const struct move *m, const char *kind, const json_t *detail, bool keep_guest, struct err *e)
{
	const char *path = json_text(detail, "path");

	if (path && !strcmp(kind, "dir"))
		return remove_dir(path, e);
	if (path && !strcmp(kind, "file"))
		return keep_guest && is_the_guests(m, detail) ? 0 : own_file_remove(detail, is_rebooted(m), e);
	if (path && !strcmp(kind, "made-by-qemu"))
		return keep_guest ? 0 : remove_unknown(path, e);
	if (path && !strcmp(kind, "hidden"))
		return keep_guest ? monitors_show(path, e) : monitors_remove(path, e);
	return strcmp(kind, "qemu") ? err_set(e, ENOTSUP, "this vmferry-dst does not know how to undo '%s'", kind) : 0;
}

static void note_leftover(struct move *m, const char *why, bool again)
{
	AUTO_FREE char *sentence = xasprintf("%s%s", why, again ? "; vmferry-dst tries again when it is next started there" : "");

	if (m->control && !m->control_lost) /* the source tells */
		log_info("left behind: %s", sentence);
	else
		log_error("left behind by the move of guest %s: %s", m->name ? m->name : "?", sentence);
	if (json_array_size(m->leftovers) < LEFTOVERS_MAX)
		json_array_append_new(m->leftovers, json_string(sentence));
	else if (json_array_size(m->leftovers) == LEFTOVERS_MAX)
		json_array_append_new(m->leftovers, json_string("and more, which `vmferry journal` lists there"));
}

/* keep_guest: the guest runs here: its disks, sockets and QEMU are no longer ours, only our scaffolding goes. */
void move_undo(struct move *m, bool keep_guest)
{
	json_t *owned, *entry;
	struct err e;
	size_t i;
	int r;

	if (!m->journal || journal_owned(m->journal, &owned))
		return;
	move_close_files(m);
	m->undo_failed = false;
	json_array_clear(m->leftovers);
	json_array_foreach(owned, i, entry) {
		const char *kind = json_text(entry, "kind");
		json_t *detail = json_object_get(entry, "detail");

		r = undo_one(m, kind, detail, keep_guest, &e);
		if (r)
			note_leftover(m, e.msg, r < 0);
		m->undo_failed |= r < 0;
		if (r >= 0 && journal_disown(m->journal, kind, detail, &e))
			log_error("%s", e.msg);
	}
	json_decref(owned);
}

void move_end_journal(struct move *m)
{
	struct err e;
	int r;

	if (!m->journal)
		return;
	if (m->undo_failed) {
		r = journal_note(m->journal, "over", NULL, &e);
		journal_close(m->journal);
	} else {
		r = journal_remove(m->journal, true, &e);
	}
	if (r)
		log_error("%s", e.msg);
	m->journal = NULL;
}
