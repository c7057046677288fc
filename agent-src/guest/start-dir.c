/* start-dir.c: see start-dir.h. */
#include "start-dir.h"
#include "same-file.h"
#include "util.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* True if word has the name as a value: "file=NAME,…", "file:NAME", {"filename": "NAME"}, NAME. */
static bool is_value_in(const char *word, const char *name)
{
	size_t n = strlen(name);
	const char *at;

	for (at = strstr(word, name); at; at = strstr(at + 1, name))
		if ((at == word || strchr("=:\"", at[-1])) && (!at[n] || strchr(",\"", at[n])))
			return true;
	return false;
}

static bool is_value(char *const *argv, size_t argc, const char *name)
{
	for (size_t i = 1; i < argc; i++)
		if (is_value_in(argv[i], name))
			return true;
	return false;
}

bool start_dir_of_file(const char *path, char *const *argv, size_t argc, size_t *end)
{
	const char *slash;

	if (*path != '/' || is_value(argv, argc, path))
		return false;
	for (slash = path + strlen(path); slash > path; slash--) {
		if (*slash != '/' || !slash[1] || !is_value(argv, argc, slash + 1))
			continue;
		*end = (size_t)(slash - path);
		return true;
	}
	return false;
}

/* The name of a regular file that is open at that number; false: it is none, or is gone. */
static bool open_file(int dir, const char *number, char path[PATH_MAX])
{
	ssize_t n = readlinkat(dir, number, path, PATH_MAX - 1);
	struct stat opened;

	if (n <= 0)
		return false;
	path[n] = '\0';
	return !fstatat(dir, number, &opened, 0) && S_ISREG(opened.st_mode) && path_leads_to(path, &opened);
}

char *start_dir_find(pid_t pid, char *const *argv, size_t argc)
{
	AUTO_FREE char *name = xasprintf("/proc/%d/fd", (int)pid);
	DIR *dir = opendir(name);
	char path[PATH_MAX], *found = NULL;
	bool agree = true;
	struct dirent *d;
	size_t end;

	while (dir && agree && (d = readdir(dir))) {
		if (*d->d_name == '.' || !open_file(dirfd(dir), d->d_name, path) || !start_dir_of_file(path, argv, argc, &end))
			continue;
		path[end] = '\0';
		agree = !found || !strcmp(found, path);
		found = found ?: xstrdup(path);
	}
	if (dir)
		closedir(dir);
	if (agree)
		return found;
	free(found);
	return NULL;
}
