/*
 * state-dir.c: the directory that journals live in, and the ids of attempts and boots (journal.h, state-dir.h).
 */
#include "state-dir.h"
#include "journal.h"
#include "paths.h"
#include "util.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define DONE_KEPT      20

bool attempt_id_parse(const char *s, uint8_t id[ATTEMPT_ID_LEN])
{
	for (unsigned i = 0; i < ATTEMPT_ID_LEN; i++) {
		char digits[3] = {s[2 * i], 0, 0};

		if (!isxdigit((unsigned char)s[2 * i]) || !isxdigit((unsigned char)s[2 * i + 1]))
			return false;
		digits[1] = s[2 * i + 1];
		id[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return !s[2 * ATTEMPT_ID_LEN];
}

/* "…/ID-src.journal" or "-dst", with suffix. */
static bool is_journal_name(const char *name, const char *suffix)
{
	uint8_t id[ATTEMPT_ID_LEN];
	char digits[2 * ATTEMPT_ID_LEN + 1] = "";

	if (strlen(name) != 2 * ATTEMPT_ID_LEN + 4 + strlen(suffix))
		return false;
	memcpy(digits, name, 2 * ATTEMPT_ID_LEN);
	name += 2 * ATTEMPT_ID_LEN;
	return attempt_id_parse(digits, id) && (!strncmp(name, "-src", 4) || !strncmp(name, "-dst", 4)) &&
	       !strcmp(name + 4, suffix);
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
		all = xrealloc(all, (n + 1) * sizeof(*all));
		all[n++] = xasprintf("%s/%s", dir, de->d_name);
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

/* Finished journals beyond the newest DONE_KEPT go; that one may not is no reason to fail. */
void journal_prune_done(const char *path)
{
	AUTO_FREE char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');
	struct err ignored;
	char **paths;
	size_t n;

	if (!slash)
		return;
	*slash = 0;
	if (list(*dir ? dir : "/", DONE_SUFFIX, &paths, &n, &ignored))
		return;
	if (n)
		qsort(paths, n, sizeof(*paths), newest_first);
	for (size_t i = DONE_KEPT; i < n; i++)
		unlink(paths[i]);
	journal_list_free(paths, n);
}

/* mkdir -p, 0700 for what it creates. */
static int make_dirs(char *path, struct err *e)
{
	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = 0;
		if (!mkdir(path, 0700)) {
			int r = sync_parent_dir(path, e);

			if (r)
				return r;
		} else if (errno != EEXIST) {
			return err_sys(e, errno, "cannot create the state directory %s", path);
		}
		*p = c;
		if (!c)
			return 0;
	}
}

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

int state_dir_get(char **out, const char *override, struct err *e)
{
	AUTO_FREE char *dir = NULL;
	struct stat st;
	int r;

	if (override && *override)
		dir = xstrdup(override);
	else if (env("VMFERRY_STATE_DIR"))
		dir = xstrdup(env("VMFERRY_STATE_DIR"));
	else if (!geteuid())
		dir = xstrdup("/var/lib/vmferry");
	else if (env("XDG_STATE_HOME"))
		dir = xasprintf("%s/vmferry", env("XDG_STATE_HOME"));
	else if (env("HOME"))
		dir = xasprintf("%s/.local/state/vmferry", env("HOME"));
	else
		return err_set(e, ENOENT, "no place for journals: set VMFERRY_STATE_DIR or HOME");
	r = make_dirs(dir, e);
	if (r)
		return r;
	if (stat(dir, &st))
		return err_sys(e, errno, "cannot use the state directory %s", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "the state directory %s is not a directory", dir);
	if (st.st_uid != geteuid() || st.st_mode & 022)
		return err_set(e, EPERM,
			       "the state directory %s must be yours, and writable by nobody else "
			       "(chmod go-w)",
			       dir);
	*out = dir;
	dir = NULL;
	return 0;
}

int attempt_id_new(uint8_t id[ATTEMPT_ID_LEN], struct err *e)
{
	ssize_t n;

	do
		n = getrandom(id, ATTEMPT_ID_LEN, 0);
	while (n < 0 && errno == EINTR);
	return n == ATTEMPT_ID_LEN ? 0 : err_sys(e, n < 0 ? errno : EIO, "cannot get random bytes");
}

const char *attempt_id_format(const uint8_t id[ATTEMPT_ID_LEN], char buf[2 * ATTEMPT_ID_LEN + 1])
{
	for (unsigned i = 0; i < ATTEMPT_ID_LEN; i++)
		snprintf(buf + 2 * i, 3, "%02x", id[i]);
	return buf;
}

char *boot_id(void)
{
	AUTO_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char buf[64];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return NULL;
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return xstrdup(buf);
}

