/* firmware-here.c: see firmware-here.h. */
#include "firmware-here.h"
#include "file-digest.h"
#include "firmware-list.h"
#include "json-text.h"
#include "qemu-args.h"
#include "util.h"

#include <string.h>
#include <sys/stat.h>

struct search {
	json_int_t size;
	const char *digest;
	char *found;
};

static bool is_it(void *ctx, const char *path)
{
	struct search *s = ctx;
	char digest[FILE_DIGEST_CHARS + 1];
	struct stat st;
	struct err ignored;
	uint64_t size;

	if (stat(path, &st) || !S_ISREG(st.st_mode) || (json_int_t)st.st_size != s->size ||
	    file_digest(path, false, &size, digest, &ignored) || strcmp(digest, s->digest) != 0)
		return false;
	s->found = xstrdup(path);
	return true;
}

/* Digests are of all of a file up to this size: what runs before the guest's system is not compared by samples. */
static bool is_compared_whole(json_int_t size)
{
	return size > 0 && (uint64_t)size <= FILE_DIGEST_WHOLE;
}

char *firmware_here(const char *root, const json_t *file)
{
	const char *role = json_text(file, "role");
	enum args_role is = role ? args_role_of(role) : ARGS_ROLES;
	struct search s = {.size = json_integer_value(json_object_get(file, "size")), .digest = json_text(file, "digest")};

	if ((is != ARGS_PFLASH_CODE && is != ARGS_BIOS) || !s.digest || !is_compared_whole(s.size))
		return NULL;
	firmware_each_file(root, is_it, &s);
	return s.found;
}
