/*
 * move-describe.c: what DESCRIBE says of the guest's command line beyond argv: the files that it names, as they are on this
 * host, and what the destination needs to judge whether the guest fits there. All of it is optional to a destination.
 */
#include "file-digest.h"
#include "move.h"
#include "qemu-args-json.h"
#include "util.h"

#include <string.h>
#include <sys/stat.h>

#define FILES_MAX 256

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
		return o->chain && !strcmp(o->chain, "top") ? "path" : "auto";
	return o->media && (medium || strcmp(o->media, "eject")) ? o->media : "auto";
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
	if (S_ISREG(st.st_mode) && !file_digest(path, &size, digest, &e))
		json_object_set_new(entry, "digest", json_string(digest));
}

/* A backing file: `parent` is the file that refers to it, as an index, or -1 for the disk itself. */
static int describe_chain(const struct move *m, const struct disk *d, json_t *files, struct err *e)
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

int move_describe_line(const struct move *m, json_t *out, struct err *e)
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
