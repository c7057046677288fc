/*
 * move-plan.c: from the source's description to a plan, or the reason why the guest cannot run here. Creates nothing that
 * outlives the question.
 */
#include "move-private.h"
#include "afterwards.h"
#include "image-create.h"
#include "json-text.h"
#include "preflight.h"
#include "qemu-args-json.h"
#include "util.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define DISKS_MAX 64

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

/* Something is where the disk is to go: perhaps the disk itself. An inode number is the same on every client of a file
 * system that hosts share. */
static int refuse_taken(const char *path, const json_t *o, struct err *e)
{
	json_int_t inode = json_integer_value(json_object_get(o, "inode"));
	const char *real = json_text(o, "real_path");
	struct stat st;

	if (inode && !strcmp(path, real) && !stat(path, &st) && (json_int_t)st.st_ino == inode)
		return err_set(e, EEXIST, "%s at the destination is the guest's own disk, on storage that both hosts see: a disk that stays where "
				   "it is cannot be moved yet, as both QEMUs would need its lock at once while the move may still be rolled back. "
				   "Choose a place for a copy: --disk-dir DIR", path);
	return err_set(e, EEXIST, "%s exists already at the destination; choose another place with --disk-dir DIR, or move it away", path);
}

static int plan_disk(struct move *m, const json_t *o, struct err *e)
{
	struct move_disk *d = &m->disks[m->disk_count];
	const char *real = json_text(o, "real_path"), *want = json_text(o, "path"), *dir = json_text(m->description, "disk_dir");
	const json_t *backing = json_object_get(o, "backing");
	json_int_t object = json_integer_value(json_object_get(o, "object"));
	AUTO_FREE char *copy = NULL;
	char *path;
	size_t i;

	if (!real || !json_text(o, "file") || !json_text(o, "format") || !object_is_disk((uint32_t)object))
		return err_set(e, EPROTO, "the source's description of a disk is incomplete");
	for (i = 0; i < m->disk_count; i++)
		if (m->disks[i].object == (uint32_t)object)
			return err_set(e, EPROTO, "the source describes two disks with one number");
	if (!image_format_known(json_text(o, "format")))
		return err_set(e, ENOTSUP, "disk %s has format %s, which cannot be moved yet (raw and qcow2 can)", real,
			       json_text(o, "format"));
	copy = xstrdup(real);
	path = want ? xstrdup(want) : dir ? xasprintf("%s/%s", dir, basename(copy)) : xstrdup(real);
	if (move_path_taken(m, path)) {
		refuse_taken(path, o, e);
		free(path);
		return -e->code;
	}
	d->object = (uint32_t)object;
	d->from = xstrdup(json_text(o, "file"));
	d->path = path;
	d->format = xstrdup(json_text(o, "format"));
	d->virtual_size = (uint64_t)json_integer_value(json_object_get(o, "virtual_size"));
	d->allocated = (uint64_t)json_integer_value(json_object_get(o, "allocated"));
	d->cluster_size = (unsigned)json_integer_value(json_object_get(o, "cluster_size"));
	d->mode = (unsigned)json_integer_value(json_object_get(o, "mode"));
	d->uid = (long)json_integer_value(json_object_get(o, "uid"));
	d->gid = (long)json_integer_value(json_object_get(o, "gid"));
	if (json_text(o, "acl"))
		d->acl = xstrdup(json_text(o, "acl"));
	if (json_text(backing, "name"))
		d->backing = xstrdup(json_text(backing, "name"));
	if (json_text(backing, "format"))
		d->backing_format = xstrdup(json_text(backing, "format"));
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

/* Whether the new command line has it at its place here. */
static bool is_named(const struct move *m, const struct move_disk *d)
{
	size_t i;

	for (i = 0; i < m->args.file_count; i++)
		if (m->args.files[i].to && !strcmp(m->args.files[i].to, d->path))
			return true;
	return false;
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
	size_t argc, i;
	int r;

	for (i = 0; i < m->disk_count; i++) {
		const struct move_disk *d = &m->disks[i];

		map[o.disk_count++] = (struct args_map){d->from, d->path, d->format, false};
		map[o.disk_count++] =
			(struct args_map){json_text(json_array_get(disks, i), "real_path"), d->path, d->format, false};
	}
	o.disk_count += move_map_files(m, map + o.disk_count);
	o.disk_count += args_ejected_of(map + o.disk_count, files);
	o.config_count = args_configs_of(&configs, json_object_get(m->description, "configs"));
	o.configs = configs;
	o.net_count = args_nets_of(&nets, json_object_get(m->description, "map_net"));
	o.nets = nets;
	o.machine = json_text(m->description, "machine");
	o.cwd = json_text(m->description, "cwd");
	argv = strings(json_object_get(m->description, "argv"), &argc);
	if (argc < 1)
		return err_set(e, EPROTO, "the source sent no command line");
	r = qemu_args_rewrite(&m->args, argv, argc, &o, e);
	for (i = 0; !r && i < m->disk_count; i++)
		if (!is_named(m, &m->disks[i]))
			r = err_set(e, ENOTSUP, "disk %s does not stand in the guest's command line in a way that can be rewritten",
				    m->disks[i].from);
	return r;
}

char **move_environment(const struct move *m)
{
	static const char *const keys[] = {"LD_LIBRARY_PATH", "QEMU_MODULE_DIR"};
	const json_t *env = json_object_get(m->description, "env");
	char **out = xcalloc(ARRAY_LEN(keys) + 1, sizeof(*out));
	size_t i, n = 0;

	for (i = 0; i < ARRAY_LEN(keys); i++)
		if (json_text(env, keys[i]))
			out[n++] = xasprintf("%s=%s", keys[i], json_text(env, keys[i]));
	return out;
}

void move_free_environment(char **env)
{
	size_t i;

	for (i = 0; env[i]; i++)
		free(env[i]);
	free(env);
}

/* Its directory is for this moment only. */
static int ask_qemu(struct move *m, struct err *e)
{
	char **env = move_environment(m);
	struct preflight p = {.exe = m->exe, .env = env, .argv = m->args.argv, .argc = m->args.argc, .work_dir = m->run_dir,
			      .description = m->description};
	int r = 0;

	if (mkdir(m->run_dir, 0700))
		r = err_sys(e, errno, "cannot create %s", m->run_dir);
	if (!r)
		r = preflight_qemu(&p, m->a.loop, &m->findings, &m->qemu_version, e);
	m->wants_names = p.wants_names;
	rmdir(m->run_dir);
	move_free_environment(env);
	if (!r && geteuid()) {
		AUTO_FREE char *words = xasprintf("user there: %d, not root, so that files belong to that user", (int)geteuid());

		json_array_append_new(m->findings, json_string(words));
	}
	return r;
}

int move_plan(struct move *m, struct err *e)
{
	const json_t *d = m->description, *disks = json_object_get(d, "disks");
	char id[2 * ATTEMPT_ID_LEN + 1];
	struct stat st;
	size_t i;
	int r;

	if (!json_is_object(d) || !json_text(d, "name") || !json_text(d, "exe") || json_array_size(disks) > DISKS_MAX)
		return err_set(e, EPROTO, "the source's description of the guest is incomplete");
	m->name = xstrdup(json_text(d, "name"));
	m->exe = find_qemu(json_text(d, "exe"));
	if (!m->exe)
		return err_set(e, ENOENT, "no QEMU at the destination: neither %s nor a program of that name in the usual places; install it there",
			       json_text(d, "exe"));
	m->multifd = (unsigned)json_integer_value(json_object_get(d, "multifd"));
	m->channels = (unsigned)json_integer_value(json_object_get(d, "channels"));
	if (!m->channels || m->channels > CHANNELS_MAX || m->multifd > MULTIFD_MAX)
		return err_set(e, EPROTO, "the source asks for %u channels; 1 to %d are possible", m->channels, CHANNELS_MAX);
	m->opaque = json_text(d, "ram_mode") && !strcmp(json_text(d, "ram_mode"), "opaque");
	m->disks = xcalloc(json_array_size(disks) + 1, sizeof(*m->disks));
	for (i = 0; i < json_array_size(disks); i++)
		if ((r = plan_disk(m, json_array_get(disks, i), e)))
			return r;
	if (json_text(d, "disk_dir"))
		m->dir = xstrdup(json_text(d, "disk_dir"));
	else if (m->disk_count) {
		AUTO_FREE char *copy = xstrdup(m->disks[0].path);

		m->dir = xstrdup(dirname(copy));
	} else {
		m->dir = xstrdup(json_text(d, "cwd") ? json_text(d, "cwd") : "/");
	}
	if (m->dir[0] != '/' || stat(m->dir, &st) || !S_ISDIR(st.st_mode))
		return err_set(e, ENOENT, "the directory %s does not exist at the destination; create it first", m->dir);
	attempt_id_format(m->a.id, id);
	m->run_dir = xasprintf("%s/%.12s", m->cfg->runtime_dir, id);
	m->qmp_path = xasprintf("%s/vmferry.qmp", m->run_dir);
	m->incoming = xasprintf("%s/incoming", m->run_dir);
	m->nbd_socket = xasprintf("%s/nbd", m->run_dir);
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

int move_plan_again(struct move *m, const json_t *description, struct err *e)
{
	json_object_set(m->description, "cpu", json_object_get(description, "cpu"));
	return ask_qemu(m, e);
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
