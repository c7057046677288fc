/*
 * move-prepare.c: from the source's description to a waiting QEMU with empty disks; and all of that undone.
 *
 * What is created is journaled first (kinds "dir", "file", "qemu"), so that move_undo works from the journal alone, in
 * this life of the agent or a later one.
 */
#include "move.h"
#include "afterwards.h"
#include "fault.h"
#include "image-create.h"
#include "log.h"
#include "net.h"
#include "paths.h"
#include "preflight.h"
#include "qemu-args-json.h"
#include "qemu-settings.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#define START_MS 30000
#define DISKS_MAX 64

/* ---- the plan ---- */

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static char *find_qemu(const char *exe)
{
	static const char *const dirs[] = {"/usr/bin", "/usr/libexec", "/usr/local/bin", "/usr/lib/qemu"};
	AUTO_FREE char *copy = xstrdup(exe);
	const char *base = basename(copy);
	size_t i;

	if (exe[0] == '/' && !access(exe, X_OK))
		return xstrdup(exe);
	for (i = 0; i < ARRAY_LEN(dirs); i++) {
		char *path = xasprintf("%s/%s", dirs[i], base);

		if (!access(path, X_OK))
			return path;
		free(path);
	}
	return NULL;
}

bool move_path_taken(const struct move *m, const char *path)
{
	struct stat st;
	size_t i;

	for (i = 0; i < m->disk_count; i++)
		if (m->disks[i].path && !strcmp(m->disks[i].path, path))
			return true;
	return !lstat(path, &st);
}

static int plan_disk(struct move *m, const json_t *o, struct err *e)
{
	struct move_disk *d = &m->disks[m->disk_count];
	const char *real = text(o, "real_path"), *want = text(o, "path"), *dir = text(m->description, "disk_dir");
	const json_t *backing = json_object_get(o, "backing");
	json_int_t object = json_integer_value(json_object_get(o, "object"));
	AUTO_FREE char *copy = NULL;
	char *path;
	size_t i;

	if (!real || !text(o, "file") || !text(o, "format") || !object_is_disk((uint32_t)object))
		return err_set(e, EPROTO, "the source's description of a disk is incomplete");
	for (i = 0; i < m->disk_count; i++)
		if (m->disks[i].object == (uint32_t)object)
			return err_set(e, EPROTO, "the source describes two disks with one number");
	if (!image_format_known(text(o, "format")))
		return err_set(e, ENOTSUP, "disk %s has format %s, which cannot be moved yet (raw and qcow2 can)", real,
			       text(o, "format"));
	copy = xstrdup(real);
	path = want ? xstrdup(want) : dir ? xasprintf("%s/%s", dir, basename(copy)) : xstrdup(real);
	if (move_path_taken(m, path)) {
		int r = err_set(e, EEXIST, "%s exists already at the destination; choose another place with --disk-dir DIR, or move it away",
				path);

		free(path);
		return r;
	}
	d->object = (uint32_t)object;
	d->from = xstrdup(text(o, "file"));
	d->path = path;
	d->format = xstrdup(text(o, "format"));
	d->virtual_size = (uint64_t)json_integer_value(json_object_get(o, "virtual_size"));
	d->allocated = (uint64_t)json_integer_value(json_object_get(o, "allocated"));
	d->cluster_size = (unsigned)json_integer_value(json_object_get(o, "cluster_size"));
	d->mode = (unsigned)json_integer_value(json_object_get(o, "mode"));
	d->uid = (long)json_integer_value(json_object_get(o, "uid"));
	d->gid = (long)json_integer_value(json_object_get(o, "gid"));
	if (text(o, "acl"))
		d->acl = xstrdup(text(o, "acl"));
	if (text(backing, "name"))
		d->backing = xstrdup(text(backing, "name"));
	if (text(backing, "format"))
		d->backing_format = xstrdup(text(backing, "format"));
	m->disk_count++;
	return 0;
}

/* What is to be written on one file system. */
struct volume {
	dev_t device;
	char *dir; /* one on it */
	uint64_t need;
};

/* Adds to the volumes what goes to path's directory. */
static int need_space(struct volume *v, size_t *n, const char *path, uint64_t bytes, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(path);
	const char *dir = dirname(copy);
	struct stat st;
	size_t i;

	if (stat(dir, &st) || !S_ISDIR(st.st_mode))
		return err_set(e, ENOENT, "the directory %s does not exist at the destination; create it first", dir);
	if (access(dir, W_OK))
		return err_sys(e, errno, "%s at the destination cannot be written", dir);
	for (i = 0; i < *n && v[i].device != st.st_dev; i++)
		;
	if (i == *n)
		v[(*n)++] = (struct volume){st.st_dev, xstrdup(dir), 0};
	v[i].need += bytes;
	return 0;
}

static int check_volume(const struct volume *v, struct err *e)
{
	struct statvfs vfs;
	uint64_t have;
	char a[24], b[24];

	if (statvfs(v->dir, &vfs))
		return err_sys(e, errno, "the directory %s at the destination", v->dir);
	have = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (v->need > have)
		return err_set(e, ENOSPC, "the disks need %s but %s at the destination has only %s free", format_bytes(a, v->need),
			       v->dir, format_bytes(b, have));
	return 0;
}

static int check_space(struct move *m, struct err *e)
{
	AUTO_FREE struct volume *v = xcalloc(m->disk_count + m->carried_count + 1, sizeof(*v));
	AUTO_FREE char *here = xasprintf("%s/-", m->dir);
	size_t n = 0, i;
	int r = need_space(v, &n, here, 0, e);

	for (i = 0; i < m->disk_count && !r; i++)
		r = need_space(v, &n, m->disks[i].path, m->disks[i].allocated, e);
	for (i = 0; i < m->carried_count && !r; i++)
		if (m->carried[i].transfer == CARRY_COPY)
			r = need_space(v, &n, m->carried[i].to, m->carried[i].size, e);
	for (i = 0; i < n && !r; i++)
		r = check_volume(&v[i], e);
	for (i = 0; i < n; i++)
		free(v[i].dir);
	return r;
}

static int check_memory(const struct move *m, struct err *e)
{
	uint64_t ram = (uint64_t)json_integer_value(json_object_get(m->description, "ram_bytes")), kib = 0;
	char line[128], a[24], b[24];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu", (unsigned long long *)&kib) == 1)
			break;
	if (f)
		fclose(f);
	if (kib && ram > kib * 1024)
		return err_set(e, ENOMEM, "the guest has %s of memory but only %s is available at the destination",
			       format_bytes(a, ram), format_bytes(b, kib * 1024));
	return 0;
}

static char **strings(const json_t *array, size_t *count)
{
	char **s = xcalloc(json_array_size(array) + 1, sizeof(*s));
	json_t *v;
	size_t i, n = 0;

	json_array_foreach((json_t *)array, i, v)
		if (json_is_string(v))
			s[n++] = (char *)json_string_value(v);
	*count = n;
	return s;
}

static int rewrite(struct move *m, struct err *e)
{
	const json_t *disks = json_object_get(m->description, "disks");
	const json_t *files = json_object_get(m->description, "files");
	AUTO_FREE struct args_map *map = xcalloc(2 * (m->disk_count + m->carried_count) + json_array_size(files) + 1, sizeof(*map));
	struct args_options o = {.socket_dir = m->dir, .disks = map, .private_qmp = m->qmp_path};
	AUTO_FREE struct args_config *configs = NULL;
	AUTO_FREE struct args_net_map *nets = NULL;
	AUTO_FREE char **argv = NULL;
	size_t argc, i, j;
	int r;

	for (i = 0; i < m->disk_count; i++) {
		const struct move_disk *d = &m->disks[i];

		map[o.disk_count++] = (struct args_map){d->from, d->path, d->format, false};
		map[o.disk_count++] =
			(struct args_map){text(json_array_get(disks, i), "real_path"), d->path, d->format, false};
	}
	o.disk_count += move_map_files(m, map + o.disk_count);
	o.disk_count += args_ejected_of(map + o.disk_count, files);
	o.config_count = args_configs_of(&configs, json_object_get(m->description, "configs"));
	o.configs = configs;
	o.net_count = args_nets_of(&nets, json_object_get(m->description, "map_net"));
	o.nets = nets;
	o.machine = text(m->description, "machine");
	o.cwd = text(m->description, "cwd");
	argv = strings(json_object_get(m->description, "argv"), &argc);
	if (argc < 1)
		return err_set(e, EPROTO, "the source sent no command line");
	r = qemu_args_rewrite(&m->args, argv, argc, &o, e);
	for (i = 0; !r && i < m->disk_count; i++) {
		for (j = 0; j < m->args.argc && !strstr(m->args.argv[j], m->disks[i].path); j++)
			;
		if (j == m->args.argc)
			r = err_set(e, ENOTSUP, "disk %s does not stand in the guest's command line in a way that can be rewritten",
				    m->disks[i].from);
	}
	return r;
}

static char **environment(const struct move *m)
{
	static const char *const keys[] = {"LD_LIBRARY_PATH", "QEMU_MODULE_DIR"};
	const json_t *env = json_object_get(m->description, "env");
	char **out = xcalloc(ARRAY_LEN(keys) + 1, sizeof(*out));
	size_t i, n = 0;

	for (i = 0; i < ARRAY_LEN(keys); i++)
		if (text(env, keys[i]))
			out[n++] = xasprintf("%s=%s", keys[i], text(env, keys[i]));
	return out;
}

static void free_environment(char **env)
{
	size_t i;

	for (i = 0; env[i]; i++)
		free(env[i]);
	free(env);
}

/* Its directory is for this moment only. */
static int ask_qemu(struct move *m, struct err *e)
{
	char **env = environment(m);
	struct preflight p = {m->exe, env, m->args.argv, m->args.argc, m->run_dir, m->description};
	int r = 0;

	if (mkdir(m->run_dir, 0700))
		r = err_sys(e, errno, "cannot create %s", m->run_dir);
	if (!r)
		r = preflight_qemu(&p, m->loop, &m->findings, &m->qemu_version, e);
	rmdir(m->run_dir);
	free_environment(env);
	return r;
}

int move_plan(struct move *m, struct err *e)
{
	const json_t *d = m->description, *disks = json_object_get(d, "disks");
	char id[2 * ATTEMPT_ID_LEN + 1];
	struct stat st;
	size_t i;
	int r;

	if (!json_is_object(d) || !text(d, "name") || !text(d, "exe") || json_array_size(disks) > DISKS_MAX)
		return err_set(e, EPROTO, "the source's description of the guest is incomplete");
	m->name = xstrdup(text(d, "name"));
	m->exe = find_qemu(text(d, "exe"));
	if (!m->exe)
		return err_set(e, ENOENT, "no QEMU at the destination: neither %s nor a program of that name in the usual places; install it there",
			       text(d, "exe"));
	m->multifd = (unsigned)json_integer_value(json_object_get(d, "multifd"));
	m->channels = (unsigned)json_integer_value(json_object_get(d, "channels"));
	if (!m->channels || m->channels > CHANNELS_MAX || m->multifd > MULTIFD_MAX)
		return err_set(e, EPROTO, "the source asks for %u channels; 1 to %d are possible", m->channels, CHANNELS_MAX);
	m->opaque = text(d, "ram_mode") && !strcmp(text(d, "ram_mode"), "opaque");
	m->disks = xcalloc(json_array_size(disks) + 1, sizeof(*m->disks));
	for (i = 0; i < json_array_size(disks); i++)
		if ((r = plan_disk(m, json_array_get(disks, i), e)))
			return r;
	if (text(d, "disk_dir"))
		m->dir = xstrdup(text(d, "disk_dir"));
	else if (m->disk_count) {
		AUTO_FREE char *copy = xstrdup(m->disks[0].path);

		m->dir = xstrdup(dirname(copy));
	} else {
		m->dir = xstrdup(text(d, "cwd") ? text(d, "cwd") : "/");
	}
	if (m->dir[0] != '/' || stat(m->dir, &st) || !S_ISDIR(st.st_mode))
		return err_set(e, ENOENT, "the directory %s does not exist at the destination; create it first", m->dir);
	attempt_id_format(m->attempt, id);
	m->run_dir = xasprintf("%s/%.12s", m->cfg->runtime_dir, id);
	m->qmp_path = xasprintf("%s/vmferry.qmp", m->run_dir);
	m->incoming = xasprintf("%s/incoming", m->run_dir);
	m->nbd_socket = xasprintf("%s/nbd", m->run_dir);
	m->log_path = xasprintf("%s/qemu.log", m->run_dir);
	r = move_plan_files(m, e);
	if (!r)
		r = check_space(m, e);
	if (!r)
		r = check_memory(m, e);
	if (!r)
		r = afterwards_plan(&m->afterwards, m->name, m->dir, id, json_is_true(json_object_get(d, "install_unit")), e);
	if (!r)
		r = rewrite(m, e);
	if (!r)
		r = move_check_surroundings(m, e);
	return r ? r : ask_qemu(m, e);
}

json_t *move_plan_json(const struct move *m)
{
	json_t *argv = json_array(), *notes = json_array(), *disks = json_array();
	size_t i;

	for (i = 0; i < m->args.argc; i++)
		json_array_append_new(argv, json_string(m->args.argv[i]));
	for (i = 0; i < m->args.note_count; i++)
		json_array_append_new(notes, json_string(m->args.notes[i]));
	for (i = 0; i < m->disk_count; i++)
		json_array_append_new(disks, json_pack("{s:i,s:s,s:s}", "object", (int)m->disks[i].object, "path",
						       m->disks[i].path, "format", m->disks[i].format));
	return json_pack("{s:s,s:s,s:O,s:o,s:o,s:o,s:o,s:o,s:o,s:O,s:O*}", "qemu", m->exe, "qemu_version", m->qemu_version, "findings",
			 m->findings, "argv", argv, "notes", notes, "disks", disks, "files", args_files_json(&m->args), "nics",
			 args_nics_json(&m->args), "carry", move_files_json(m), "start_script", json_object_get(m->afterwards, "script"), "unit",
			 json_object_get(m->afterwards, "unit"));
}

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
 * knows the final name only with the inode, so that no rollback can remove another's file.
 */
int move_publish(struct move *m, const char *temp, const char *path, struct err *e)
{
	json_t *final;
	struct stat st;
	int r;

	if (stat(temp, &st))
		return err_sys(e, errno, "cannot look at %s", temp);
	final = json_pack("{s:s,s:I,s:I}", "path", path, "device", (json_int_t)st.st_dev, "inode", (json_int_t)st.st_ino);
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

/* Sockets, logs and the like that QEMU is about to create beside the disks: paths under our directory that stand in
 * its command line and do not exist yet. */
static int own_what_qemu_creates(struct move *m, struct err *e)
{
	json_int_t since = (json_int_t)time(NULL);
	size_t n = strlen(m->dir), i;
	struct stat st;
	int r = 0;

	for (i = 0; i < m->args.argc && !r; i++) {
		const char *at = m->args.argv[i];

		while (!r && (at = strstr(at, m->dir))) {
			size_t len = strcspn(at, ",\" ");

			if (at[n] == '/' && len > n + 1 && len < 4096) {
				AUTO_FREE char *path = strndup(at, len);

				if (lstat(path, &st) && errno == ENOENT)
					r = own_detail(m, "file", json_pack("{s:s,s:I}", "path", path, "since", since), e);
			}
			at += n;
		}
	}
	return r;
}

static int write_start_script(struct move *m, char *const *env, struct err *e)
{
	time_t now = time(NULL);
	struct tm tm;
	char date[32];
	struct start_script s = {m->name, text(m->description, "host"), date, m->exe, m->args.argv, m->args.argc, env};
	AUTO_FREE char *script = NULL;

	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &tm));
	script = start_script_text(&s);
	return afterwards_prepare(m->journal, m->afterwards, script, e);
}

static int start_qemu(struct move *m, char *const *env, struct err *e)
{
	json_t *note;
	int r = own_what_qemu_creates(m, e);

	if (!r)
		r = own(m, "qemu", m->qmp_path, e);
	if (!r)
		r = qemu_launch(&m->qemu, m->exe, m->args.argv, env, m->log_path, e);
	if (r)
		return r;
	m->handoff.qemu_alive = true;
	note = json_pack("{s:i,s:I}", "pid", (int)m->qemu.pid, "start_time", (json_int_t)m->qemu.start_time);
	r = journal_note(m->journal, "qemu", note, e);
	json_decref(note);
	if (!r)
		r = qemu_launch_wait_qmp(&m->qemu, m->loop, m->qmp_path, m->log_path, START_MS, &conductor_qmp, &m->con,
					 &m->qmp, e);
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
	const char *want = text(m->description, "ram_mode");
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
		const char *file = text(node, "file"), *drv = text(node, "drv");

		if (file && drv && !strcmp(file, d->path) && !strcmp(drv, d->format)) {
			d->node = xstrdup(text(node, "node-name"));
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
	const char *hex = text(prepare, "secret");
	size_t i;

	if (!hex || strlen(hex) != 2 * DIGEST_SECRET_BYTES)
		return err_set(e, EPROTO, "the source sent no digest secret");
	for (i = 0; i < DIGEST_SECRET_BYTES; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &m->shared.key.secret[i]) != 1)
			return err_set(e, EPROTO, "the source sent no digest secret");
	return 0;
}

int move_prepare(struct move *m, const json_t *prepare, struct err *e)
{
	char **env = environment(m);
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
	free_environment(env);
	return r;
}

int move_start_guest(struct move *m, struct err *e)
{
	char **env = environment(m);
	int r = write_start_script(m, env, e);

	if (!r)
		r = start_qemu(m, env, e);
	free_environment(env);
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

static void remove_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *x;

	while (d && (x = readdir(d)))
		if (strcmp(x->d_name, ".") && strcmp(x->d_name, ".."))
			unlinkat(dirfd(d), x->d_name, 0);
	if (d)
		closedir(d);
	if (rmdir(path) && errno != ENOENT)
		log_error("cannot remove %s: %s", path, strerror(errno));
}

/* Only if it is still the file that the journal means: by its inode, or made since our QEMU was started. */
static void remove_file(const char *path, const json_t *detail)
{
	json_t *inode = json_object_get(detail, "inode"), *since = json_object_get(detail, "since");
	struct stat st;

	if (lstat(path, &st))
		return;
	if (inode && ((json_int_t)st.st_ino != json_integer_value(inode) ||
		      (json_int_t)st.st_dev != json_integer_value(json_object_get(detail, "device"))))
		return;
	if (since && (json_int_t)st.st_ctime < json_integer_value(since))
		return;
	if (unlink(path))
		log_error("cannot remove %s: %s", path, strerror(errno));
}

/* keep_guest: the guest runs here: its disks, sockets and QEMU are no longer ours, only our scaffolding goes. */
void move_undo(struct move *m, bool keep_guest)
{
	json_t *owned, *entry;
	struct err e;
	size_t i;

	if (!m->journal || journal_owned(m->journal, &owned))
		return;
	json_array_foreach(owned, i, entry) {
		const char *kind = text(entry, "kind");
		json_t *detail = json_object_get(entry, "detail");
		const char *path = text(detail, "path");

		if (!kind || !path)
			continue;
		if (!strcmp(kind, "dir"))
			remove_dir(path);
		else if (!strcmp(kind, "file") && !keep_guest)
			remove_file(path, detail);
		if (journal_disown(m->journal, kind, detail, &e))
			log_error("%s", e.msg);
	}
	json_decref(owned);
}
