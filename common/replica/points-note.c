/* points-note.c: see points-note.h. */
#include "points-note.h"
#include "json-text.h"
#include "points.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".replica.json"

int points_look_up(const char *state_dir, const char *guest, char **dir, struct err *e)
{
	AUTO_FREE char *notes = xasprintf("%s/replicas", state_dir), *name = points_dir(notes, guest), *path = xasprintf("%s.json", name);
	json_error_t why;
	json_auto_t *o = NULL;

	*dir = NULL;
	if (access(path, F_OK) && errno == ENOENT)
		return 0;
	o = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	*dir = json_text(o, "dir") ? xstrdup(json_text(o, "dir")) : NULL;
	return *dir ? 0 : err_set(e, EBADMSG, "%s is damaged, which would say where the points of guest %s are", path, guest);
}

char *points_noted(const char *state_dir, const char *guest)
{
	struct err ignored;
	char *dir;

	return points_look_up(state_dir, guest, &dir, &ignored) ? NULL : dir;
}

char *points_note_guest(const char *file)
{
	size_t n = strlen(file), k = strlen(SUFFIX);

	return *file != '.' && n > k && !strcmp(file + n - k, SUFFIX) ? xstrndup(file, n - k) : NULL;
}
