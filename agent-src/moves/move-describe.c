/*
 * move-describe.c: DESCRIBE, what the destination is told of the guest: its command line, disks, processor, and the files that
 * the line names, as they are on this host.
 */
#include "file-digest.h"
#include "hex.h"
#include "move-private.h"
#include "option-words.h"
#include "paths.h"
#include "qemu-args-json.h"
#include "util.h"
#include "version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define FILES_MAX 256
#define LONG_READ (2 * GIB) /* takes more than a second */

static const char *kind_of(const struct stat *st)
{
	return S_ISREG(st->st_mode)  ? "file"
	     : S_ISDIR(st->st_mode)  ? "directory"
	     : S_ISBLK(st->st_mode)  ? "block-device"
	     : S_ISCHR(st->st_mode)  ? "character-device"
	     : S_ISSOCK(st->st_mode) ? "socket"
	     : S_ISFIFO(st->st_mode) ? "fifo"
				     : "other";
}

/* A medium that the guest has ejected since it started is not put in again. */
static void look_at_medium(const struct guest *g, json_t *entry)
{
	const char *role = json_string_value(json_object_get(entry, "role"));
	const char *path = json_string_value(json_object_get(entry, "path"));

	if (role && path && !strcmp(role, args_role_name(ARGS_MEDIA)) && !guest_is_inserted(g, path))
		json_object_set_new(entry, "ejected", json_true());
}

/* What the user wants to become of it. Only a medium can be taken out of its drive. */
static const char *wish_for(const struct move_options *o, const char *role)
{
	bool medium = role && !strcmp(role, "media");

	if (!strcmp(role, "backing"))
		return o->chain == CHAIN_TOP ? "path" : "auto";
	return media_words[medium || o->media != MEDIA_EJECT ? o->media : MEDIA_AUTO];
}

/* Onto an entry of `files` what the file system says; "missing" if it says nothing. */
static void look(const struct move_options *o, json_t *entry)
{
	const char *role = json_string_value(json_object_get(entry, "role"));
	char digest[FILE_DIGEST_CHARS + 1];
	struct err e;
	uint64_t size;
	const char *path = json_string_value(json_object_get(entry, "path"));
	AUTO_FREE char *real = NULL;
	struct stat st;

	json_object_del(entry, "to");
	if (!path || stat(path, &st)) {
		json_object_set_new(entry, "kind", json_string("missing"));
		return;
	}
	real = realpath(path, NULL);
	json_object_set_new(entry, "kind", json_string(kind_of(&st)));
	json_object_set_new(entry, "size", json_integer((json_int_t)st.st_size));
	json_object_set_new(entry, "mode", json_integer((json_int_t)(st.st_mode & 07777)));
	json_object_set_new(entry, "uid", json_integer((json_int_t)st.st_uid));
	json_object_set_new(entry, "gid", json_integer((json_int_t)st.st_gid));
	if (real && text_is_utf8(real))
		json_object_set_new(entry, "real_path", json_string(real));
	if (!role || (strcmp(role, "backing") && !args_role_is_content(args_role_of(role))) || !json_is_true(json_object_get(entry, "read_only")))
		return;
	json_object_set_new(entry, "wish", json_string(wish_for(o, role)));
	if (S_ISREG(st.st_mode) && !file_digest(path, !strcmp(role, "backing"), &size, digest, &e))
		json_object_set_new(entry, "digest", json_string(digest));
}

/* A backing file: `parent` is the file that refers to it, as an index, or -1 for the disk itself. */
static int describe_chain(struct move *m, const struct disk *d, json_t *files, struct err *e)
{
	json_int_t parent = -1;
	size_t i;

	for (i = 0; i < d->guest->chain_count && move_keeps_chain(m, d->guest); i++) {
		const struct guest_backing *b = &d->guest->chain[i];
		json_t *entry;

		if (!b->real_path || !b->name || !text_is_utf8(b->real_path))
			return err_set(e, ENOTSUP, "the backing file %s of disk %s is not a local file: --chain=flatten makes one image of both",
				       b->name ? b->name : "?", d->guest->real_path);
		if (json_array_size(files) == FILES_MAX)
			return err_set(e, ENOTSUP, "more than %d files", FILES_MAX);
		entry = json_pack("{s:s,s:s,s:b,s:s,s:s,s:i,s:I}", "role", "backing", "option", "", "read_only", 1, "path",
				  b->real_path, "name", b->name, "object", (int)d->object, "parent", parent);
		if (b->allocated > LONG_READ)
			report_notice(&m->report, "reading %s, to know it again at the destination", b->real_path);
		look(m->opt, entry);
		parent = (json_int_t)json_array_size(files);
		json_array_append_new(files, entry);
	}
	return 0;
}

static void describe_files(const struct move_options *opt, const struct guest *g, json_t *out)
{
	struct args_options o = {.cwd = g->cwd, .configs = g->configs, .config_count = g->config_count};
	struct args_result r;
	struct err e;
	json_t *files;
	size_t i;

	if (qemu_args_rewrite(&r, g->argv, g->argc, &o, &e) < 0)
		return; /* the destination comes to the same result, and says it */
	files = args_files_json(&r);
	while (json_array_size(files) > FILES_MAX)
		json_array_remove(files, FILES_MAX);
	for (i = 0; i < json_array_size(files); i++) {
		look(opt, json_array_get(files, i));
		look_at_medium(g, json_array_get(files, i));
	}
	json_object_set_new(out, "files", files);
	json_object_set_new(out, "nics", args_nics_json(&r));
	args_result_fini(&r);
}

static json_t *map_net(const struct move_options *o)
{
	json_t *out = json_object();
	unsigned i;

	for (i = 0; i < o->map_net_count; i++) {
		const char *what = strchr(o->map_net[i], '=');
		AUTO_FREE char *nic = xasprintf("%.*s", (int)(what - o->map_net[i]), o->map_net[i]);

		json_object_set_new(out, nic, json_string(what + 1));
	}
	return out;
}

static int describe_line(struct move *m, json_t *out, struct err *e)
{
	const struct guest *g = &m->guest;
	unsigned i;
	int r = 0;

	if (g->config_count)
		json_object_set_new(out, "configs", args_configs_json(g->configs, g->config_count));
	if (m->opt->map_net_count)
		json_object_set_new(out, "map_net", map_net(m->opt));
	if (g->accel)
		json_object_set_new(out, "accel", json_string(g->accel));
	if (g->cpu_model)
		json_object_set_new(out, "cpu_model", json_string(g->cpu_model));
	json_object_set_new(out, "vcpus", json_integer((json_int_t)g->vcpus));
	describe_files(m->opt, g, out);
	if (!json_object_get(out, "files"))
		json_object_set_new(out, "files", json_array());
	for (i = 0; i < m->disk_count && !r; i++)
		r = describe_chain(m, &m->disks[OBJECT_DISK_BASE + i], json_object_get(out, "files"), e);
	return r;
}

/* ---- DESCRIBE ---- */

static uint64_t allocated(const struct move *m, const struct guest_disk *d)
{
	uint64_t sum = d->allocated;
	size_t i;

	for (i = 0; i < d->chain_count && !move_keeps_chain(m, d); i++)
		sum += d->chain[i].allocated;
	return MIN(sum, MAX(d->virtual_size, d->allocated));
}

/* Who else may use the file, beyond owner and mode, as the file system keeps it (acl(5)); in hex, malloc'ed, or NULL. */
static char *acl_of(const char *path)
{
	uint8_t acl[ACL_BYTES_MAX];
	ssize_t n = getxattr(path, ACL_XATTR, acl, sizeof(acl));

	return n > 0 ? hex_format(acl, (size_t)n, xmalloc(2 * (size_t)n + 1)) : NULL;
}

static json_t *describe_disk(const struct move *m, const struct disk *d)
{
	const struct guest_disk *g = d->guest;
	struct stat st = {.st_mode = 0600};
	AUTO_FREE char *acl = g->block_device ? NULL : acl_of(g->real_path);
	json_t *out;

	if (g->block_device || stat(g->real_path, &st))
		st = (struct stat){.st_mode = 0600, .st_uid = geteuid(), .st_gid = getegid()};
	out = json_pack("{s:i,s:s,s:s,s:s,s:s,s:I,s:I,s:i,s:i,s:i,s:i,s:s*,s:s*,s:I}", "object", (int)d->object, "node", g->node, "file",
			g->file, "real_path", g->real_path, "format", g->format, "virtual_size",
			(json_int_t)g->virtual_size, "allocated", (json_int_t)allocated(m, g), "cluster_size",
			(int)g->cluster_size, "mode", (int)(st.st_mode & 0777), "uid", (int)st.st_uid, "gid",
			(int)st.st_gid, "path", move_wanted_path(m, g), "acl", acl, "inode", (json_int_t)st.st_ino);
	if (move_keeps_chain(m, g))
		json_object_set_new(out, "backing", json_pack("{s:s*,s:s*}", "name", g->chain[0].name, "format", g->chain[0].format));
	return out;
}

json_t *move_describe(struct move *m, struct err *e)
{
	AUTO_FREE char *version = xasprintf("%d.%d.%d", m->guest.qemu_major, m->guest.qemu_minor, m->guest.qemu_micro);
	json_t *argv = json_array(), *disks = json_array(), *d;
	char host[256] = "";
	size_t i;

	gethostname(host, sizeof(host) - 1);

	for (i = 0; i < m->guest.argc; i++)
		json_array_append_new(argv, json_string(m->guest.argv[i]));
	for (i = 0; i < m->disk_count; i++)
		json_array_append_new(disks, describe_disk(m, &m->disks[OBJECT_DISK_BASE + i]));
	d = json_pack("{s:s,s:s*,s:b,s:s,s:s,s:s,s:s,s:o,s:o,s:I,s:b,s:s,s:s*,s:i,s:i,s:{s:s*,s:s*}}", "software",
		      VMFERRY_VERSION, "host", text_is_utf8(host) ? host : NULL, "install_unit", m->opt->install_unit, "ram_mode",
		      ram_mode_words[m->opt->ram_mode], "name", m->guest.name, "exe", m->guest.exe, "machine", m->guest.machine, "argv", argv, "disks",
		      disks, "ram_bytes", (json_int_t)m->guest.ram_bytes, "paused", m->paused, "cwd", m->guest.cwd, "disk_dir",
		      m->opt->disk_dir, "channels", (int)m->opt->channels, "multifd", (int)m->multifd, "env", "LD_LIBRARY_PATH",
		      m->guest.env_ld_library_path, "QEMU_MODULE_DIR", m->guest.env_module_dir);
	json_object_set(d, "cpu", m->cpu);
	json_object_set_new(d, "accel", json_string(m->accel));
	json_object_set_new(d, "qemu_version", json_string(version));
	if (describe_line(m, d, e)) {
		json_decref(d);
		return NULL;
	}
	return d;
}
