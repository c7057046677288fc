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
	if (!role || !args_role_is_content(args_role_of(role)) || !json_is_true(json_object_get(entry, "read_only")))
		return;
	json_object_set_new(entry, "wish", json_string(wish_for(o, role)));
	if (S_ISREG(st.st_mode) && !file_digest(path, &size, digest, &e))
		json_object_set_new(entry, "digest", json_string(digest));
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

void move_describe_line(const struct move *m, json_t *out)
{
	const struct guest *g = &m->guest;

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
}
