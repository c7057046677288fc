/* unit-of-disks.c: see unit-of-disks.h. */
#include "unit-of-disks.h"
#include "guest-scripts.h"
#include "open-regular.h"
#include "systemd.h"
#include "unit-text.h"
#include "util.h"
#include "words.h"

#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNIT_BYTES_MAX MIB

/* ---- what a unit's text starts ---- */

/* Units run many programs, and those that are no script are not worth reading. */
static bool is_binary(const char *path)
{
	AUTO_CLOSE int fd = open_regular(path);
	char begin[4];

	return fd < 0 || (read(fd, begin, sizeof(begin)) == sizeof(begin) && !memcmp(begin, "\177ELF", sizeof(begin)));
}

/* The text of a unit's file, with the instance of a template in it; malloc'ed, or NULL. */
static char *text_of(const char *file, const char *unit)
{
	AUTO_CLOSE int fd = open_regular(file);
	const char *at = strchr(unit, '@'), *p;
	char *text, *out = NULL;
	size_t n;
	FILE *f;

	if (fd < 0 || read_regular(fd, UNIT_BYTES_MAX, &text, &n))
		return NULL;
	f = open_memstream(&out, &n);
	for (p = text; *p; p++)
		if (at && *p == '%' && strchr("iI", p[1]) && p[1])
			fprintf(f, "%.*s", (int)(strrchr(at, '.') - at - 1), at + 1), p++;
		else
			fputc(*p, f);
	if (fclose(f))
		abort();
	free(text);
	return out;
}

/* The unit's own text, or a program that one of its lines runs, which may be a script. A unit that reads an image for another purpose, a
 * backup, runs no QEMU. */
static bool starts_guest(const char *file, const char *unit, const char *const *images, size_t count)
{
	AUTO_FREE char *text = text_of(file, unit);
	char *rest = text, *word;

	if (!text)
		return false;
	if (guest_script_text_starts(file, text, images, count))
		return true;
	while ((word = strsep(&rest, " \t\r\n\"'=;"))) {
		word += strspn(word, "-@:+!|"); /* what systemd reads in front of a path */
		if (*word == '/' && !is_binary(word) && guest_script_starts(word, images, count))
			return true;
	}
	return false;
}

/* ---- which units there are ---- */

/* Places of a unit's text, or of a part of it, below a directory of units; the name is the last one, or that of the directory. */
static const struct place {
	const char *pattern;
	bool is_drop_in;
} places[] = {{"*.service", false}, {"*.wants/*@*.service", false}, {"*.requires/*@*.service", false}, {"*.service.d/*.conf", true}};

static char *name_of(const struct place *p, const char *path)
{
	AUTO_FREE char *dir = xasprintf("%.*s", (int)(path_base(path) - 1 - path), path);
	const char *name = path_base(p->is_drop_in ? dir : path);

	return xasprintf("%.*s", (int)strlen(name) - (p->is_drop_in ? 2 : 0), name);
}

/* The unit starts by itself, and is not another file's that has the same name and comes first. */
static bool starts_by_itself(const char *unit, const char *file, bool is_drop_in, bool user, const char *but)
{
	const char *ask[] = {"show", "-p", "Id,LoadState,ActiveState,UnitFileState,FragmentPath", "--", unit, NULL};
	AUTO_FREE char *shown = NULL, *load = NULL, *active = NULL, *state = NULL, *fragment = NULL, *real = NULL, *id = NULL;
	struct err ignored;

	if (systemctl(user, ask, &shown, &ignored))
		return false;
	id = unit_property(shown, "Id"); /* the unit may have several names */
	load = unit_property(shown, "LoadState");
	active = unit_property(shown, "ActiveState");
	state = unit_property(shown, "UnitFileState");
	fragment = unit_property(shown, "FragmentPath");
	real = realpath(fragment, NULL);
	return (!but || (strcmp(unit, but) && strcmp(id, but))) && !strcmp(load, "loaded") &&
	       (unit_is_wanted(state) || unit_is_changing(active)) && (is_drop_in || !real || !strcmp(real, file));
}

static char *find_in(const char *dir, const struct place *p, bool user, const char *but, const char *const *images, size_t count)
{
	AUTO_FREE char *pattern = xasprintf("%s/%s", dir, p->pattern);
	char *found = NULL;
	glob_t all;

	if (glob(pattern, 0, NULL, &all))
		return NULL;
	for (size_t i = 0; i < all.gl_pathc && !found; i++) {
		AUTO_FREE char *file = realpath(all.gl_pathv[i], NULL), *unit = name_of(p, all.gl_pathv[i]);

		if (file && starts_guest(file, unit, images, count) && starts_by_itself(unit, file, p->is_drop_in, user, but)) {
			found = unit;
			unit = NULL;
		}
	}
	globfree(&all);
	return found;
}

/* The directories that systemd has units from, those of an administrator first; malloc'ed, with blanks between. */
static char *unit_dirs(bool user)
{
	static const char *const ask[] = {"show", "-p", "UnitPath", NULL};
	AUTO_FREE char *shown = NULL, *first = systemd_unit_dir(user, false), *path = NULL;
	struct err ignored;

	if (systemctl(user, ask, &shown, &ignored))
		return xstrdup(first);
	path = unit_property(shown, "UnitPath");
	return xasprintf("%s %s", first, path);
}

char *unit_of_disks(const struct guest *g, bool user, const char *but)
{
	AUTO_FREE char *dirs = unit_dirs(user);
	char **images, *found = NULL, *rest = dirs, *dir;
	size_t n = guest_images(g, &images);

	while (n && !found && (dir = strsep(&rest, " ")))
		for (size_t i = 0; i < ARRAY_LEN(places) && *dir && !found; i++)
			found = find_in(dir, &places[i], user, but, (const char *const *)images, n);
	args_free_strings(images, n);
	return found;
}
