/* journal-dir.c: the journals of a directory, by their names (journal.h, journal-dir.h). */
#include "journal-dir.h"
#include "attempt-id.h"
#include "journal.h"
#include "util.h"
#include "words.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DONE_KEPT 20

/* "…/ID-src.journal" or "-dst", with suffix. */
static bool is_journal_name(const char *name, const char *suffix)
{
	uint8_t id[ATTEMPT_ID_LEN];
	char digits[2 * ATTEMPT_ID_LEN + 1] = "";

	if (strlen(name) != 2 * ATTEMPT_ID_LEN + 4 + strlen(suffix))
		return false;
	memcpy(digits, name, 2 * ATTEMPT_ID_LEN);
	name += 2 * ATTEMPT_ID_LEN;
	return attempt_id_parse(digits, id) && (!strncmp(name, "-src", 4) || !strncmp(name, "-dst", 4)) && !strcmp(name + 4, suffix);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(const char *dir, const char *suffix, char ***paths, size_t *count, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	char **all = NULL;
	size_t n = 0;

	if (!d)
		return err_sys(e, errno, "cannot read the state directory %s", dir);
	while ((de = readdir(d))) {
		if (!is_journal_name(de->d_name, suffix))
			continue;
		words_add(&all, &n, xasprintf("%s/%s", dir, de->d_name));
	}
	closedir(d);
	if (n)
		qsort(all, n, sizeof(*all), by_name);
	*paths = all;
	*count = n;
	return 0;
}

int journal_list(const char *dir, char ***paths, size_t *count, struct err *e)
{
	return list(dir, SUFFIX, paths, count, e);
}

int journal_list_finished(const char *dir, char ***paths, size_t *count, struct err *e)
{
	return list(dir, DONE_SUFFIX, paths, count, e);
}

void journal_list_free(char **paths, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(paths[i]);
	free(paths);
}

bool journal_path_is(const char *path, bool source)
{
	const char *tail = source ? "-src" SUFFIX : "-dst" SUFFIX;
	size_t n = strlen(path), k = strlen(tail);

	return n > k && !strcmp(path + n - k, tail);
}

static struct timespec modified(const char *path)
{
	struct stat st;

	return stat(path, &st) ? (struct timespec){0} : st.st_mtim;
}

static int newest_first(const void *a, const void *b)
{
	struct timespec x = modified(*(char *const *)a), y = modified(*(char *const *)b);

	if (x.tv_sec != y.tv_sec)
		return x.tv_sec < y.tv_sec ? 1 : -1;
	return (x.tv_nsec < y.tv_nsec) - (x.tv_nsec > y.tv_nsec);
}

/* Deletes finished journals of this role beyond the newest DONE_KEPT. The roles count apart: however many guests came, one that left can be
 * taken back by its source's journal. A journal that cannot be deleted is not an error. */
void journal_prune_done(const char *path)
{
	AUTO_FREE char *dir = xstrdup(path);
	const char *tail = journal_path_is(path, true) ? "-src" DONE_SUFFIX : "-dst" DONE_SUFFIX;
	char *slash = strrchr(dir, '/');
	struct err ignored;
	char **paths;
	size_t n, i, kept = 0;

	if (!slash)
		return;
	*slash = 0;
	if (list(*dir ? dir : "/", DONE_SUFFIX, &paths, &n, &ignored))
		return;
	if (n)
		qsort(paths, n, sizeof(*paths), newest_first);
	for (i = 0; i < n; i++)
		if (!strcmp(paths[i] + strlen(paths[i]) - strlen(tail), tail) && ++kept > DONE_KEPT)
			unlink(paths[i]);
	journal_list_free(paths, n);
}
