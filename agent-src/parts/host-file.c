/* host-file.c: see host-file.h. */
#include "host-file.h"
#include "file-digest.h"
#include "json-text.h"
#include "qemu-args.h"
#include "util.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *kind_of(const struct stat *st)
{
	return S_ISREG(st->st_mode)    ? "file"
	       : S_ISDIR(st->st_mode)  ? "directory"
	       : S_ISBLK(st->st_mode)  ? "block-device"
	       : S_ISCHR(st->st_mode)  ? "character-device"
	       : S_ISSOCK(st->st_mode) ? "socket"
	       : S_ISFIFO(st->st_mode) ? "fifo"
				       : "other";
}

/* The user's wish for the file. Only a medium can be ejected. */
static const char *wish_for(const struct move_options *o, const char *role)
{
	bool medium = role && !strcmp(role, "media");

	if (!strcmp(role, "backing"))
		return o->disks.chain == CHAIN_TOP ? "path" : "auto";
	return media_words[medium || o->media != MEDIA_EJECT ? o->media : MEDIA_AUTO];
}

void host_file_look(const struct move_options *o, json_t *entry, const char *at)
{
	const char *role = json_string_value(json_object_get(entry, "role"));
	char digest[FILE_DIGEST_CHARS + 1];
	struct err e;
	uint64_t size;
	const char *path = at ?: json_string_value(json_object_get(entry, "path"));
	AUTO_FREE char *real = NULL;
	struct stat st;

	json_object_del(entry, "to");
	if (!path || stat(path, &st)) {
		json_object_set_new(entry, "kind", json_string("missing"));
		return;
	}
	real = at ? NULL : realpath(path, NULL);
	json_object_set_new(entry, "kind", json_string(kind_of(&st)));
	json_object_set_new(entry, "size", json_integer((json_int_t)st.st_size));
	json_object_set_new(entry, "mode", json_integer((json_int_t)(st.st_mode & 07777)));
	json_object_set_new(entry, "uid", json_integer((json_int_t)st.st_uid));
	json_object_set_new(entry, "gid", json_integer((json_int_t)st.st_gid));
	if (real && text_is_utf8(real))
		json_object_set_new(entry, "real_path", json_string(real));
	if (!role || (strcmp(role, "backing") && !args_role_is_content(args_role_of(role))) ||
	    !json_is_true(json_object_get(entry, "read_only")))
		return;
	json_object_set_new(entry, "wish", json_string(wish_for(o, role)));
	if (S_ISREG(st.st_mode) && !file_digest(path, !strcmp(role, "backing") || !strcmp(role, "disk"), &size, digest, &e))
		json_object_set_new(entry, "digest", json_string(digest));
}

bool host_file_travels(const json_t *entry)
{
	const char *wish = json_string_value(json_object_get(entry, "wish"));

	return wish && (!strcmp(wish, media_words[MEDIA_AUTO]) || !strcmp(wish, media_words[MEDIA_COPY]));
}
