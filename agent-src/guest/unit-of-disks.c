/* unit-of-disks.c: see unit-of-disks.h. */
#include "unit-of-disks.h"
#include "guest-scripts.h"
#include "open-regular.h"
#include "systemd.h"
#include "unit-text.h"
#include "util.h"
#include "words.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define UNIT_BYTES_MAX MIB

/* The unit's own text, or a program that one of its lines runs, which may be a script. A unit that reads an image for another purpose, a
 * backup, runs no QEMU. */
static bool starts_guest(const char *file, const char *const *images, size_t count)
{
	AUTO_CLOSE int fd = open_regular(file);
	AUTO_FREE char *text = NULL;
	char *rest, *word;
	size_t n;

	if (guest_script_starts(file, images, count))
		return true;
	if (fd < 0 || read_regular(fd, UNIT_BYTES_MAX, &text, &n))
		return false;
	rest = text;
	while ((word = strsep(&rest, " \t\r\n\"'=;"))) {
		word += strspn(word, "-@:+!|"); /* what systemd reads in front of a path */
		if (*word == '/' && guest_script_starts(word, images, count))
			return true;
	}
	return false;
}

static bool starts_by_itself(const char *unit, bool user)
{
	const char *ask[] = {"show", "-p", "LoadState,UnitFileState", "--", unit, NULL};
	AUTO_FREE char *shown = NULL;
	AUTO_FREE char *load = NULL;
	AUTO_FREE char *state = NULL;
	struct err ignored;

	if (systemctl(user, ask, &shown, &ignored))
		return false;
	load = unit_property(shown, "LoadState");
	state = unit_property(shown, "UnitFileState");
	return !strcmp(load, "loaded") && unit_is_wanted(state);
}

char *unit_of_disks(const struct guest *g, bool user)
{
	AUTO_FREE char *dir = systemd_unit_dir(user, false);
	DIR *list = opendir(dir);
	struct dirent *entry;
	char **images, *found = NULL;
	size_t n;

	if (!list)
		return NULL;
	n = guest_images(g, &images);
	while (!found && n && (entry = readdir(list))) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, entry->d_name);
		AUTO_FREE char *file = text_ends_with(entry->d_name, ".service") ? realpath(path, NULL) : NULL;

		if (file && starts_guest(file, (const char *const *)images, n) && starts_by_itself(entry->d_name, user))
			found = xstrdup(entry->d_name);
	}
	closedir(list);
	args_free_strings(images, n);
	return found;
}
