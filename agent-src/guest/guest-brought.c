/* guest-brought.c: see guest-brought.h. */
#include "guest-brought.h"
#include "journal.h"
#include "paths.h"
#include "util.h"

static bool is_for(const struct guest *g, const char *path)
{
	const json_t *qemu;
	struct journal *j;
	struct err ignored;
	bool yes;

	if (!journal_path_is(path, false) || journal_look(&j, path, &ignored))
		return false;
	qemu = journal_last_note(j, "qemu");
	yes = journal_last_state(j) < HO_DST_START && json_integer_value(json_object_get(qemu, "pid")) == g->pid &&
	      (uint64_t)json_integer_value(json_object_get(qemu, "start_time")) == g->start_time;
	journal_close(j);
	return yes;
}

bool guest_is_brought(const struct guest *g)
{
	AUTO_FREE char *dir = NULL;
	char **paths;
	size_t n, i;
	struct err ignored;
	bool yes = false;

	if (!g->pid || state_dir_get(&dir, NULL, &ignored) || journal_list(dir, &paths, &n, &ignored))
		return false;
	for (i = 0; i < n && !yes; i++)
		yes = is_for(g, paths[i]);
	journal_list_free(paths, n);
	return yes;
}
