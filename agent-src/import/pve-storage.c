/* pve-storage.c: see pve-storage.h. A storage is "TYPE: ID" at the beginning of a line, and its properties "	NAME VALUE" on those that follow. */
#include "pve-storage.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* The place of volumes by the type of their storage: a printf format of a property and what is behind the colon. */
static const struct {
	const char *type, *property;
	enum { IN_DIRECTORY, VOLUME_GROUP, POOL } how;
	bool is_shared; /* the same on each node */
} types[] = {
	{"dir", "path", IN_DIRECTORY, false},	{"nfs", "path", IN_DIRECTORY, true},	    {"cifs", "path", IN_DIRECTORY, true},
	{"cephfs", "path", IN_DIRECTORY, true}, {"glusterfs", "path", IN_DIRECTORY, true},  {"btrfs", "path", IN_DIRECTORY, false},
	{"lvm", "vgname", VOLUME_GROUP, false}, {"lvmthin", "vgname", VOLUME_GROUP, false}, {"zfspool", "pool", POOL, false},
};

struct storage {
	char type[32];
	const char *properties; /* up to the next line that does not begin with a blank */
};

static const char *next_line(const char *p)
{
	p += strcspn(p, "\n");
	return *p ? p + 1 : p;
}

static bool find_storage(struct storage *s, const char *cfg, const char *id, size_t n)
{
	for (; *cfg; cfg = next_line(cfg)) {
		char own[64];

		if (sscanf(cfg, "%31[a-z]: %63[A-Za-z0-9_.-]", s->type, own) == 2 && strlen(own) == n && !strncmp(own, id, n)) {
			s->properties = next_line(cfg);
			return true;
		}
	}
	return false;
}

/* malloc'ed; NULL: it has no such property. */
static char *property(const struct storage *s, const char *name)
{
	const char *p;

	for (p = s->properties; *p == ' ' || *p == '\t'; p = next_line(p)) {
		const char *word = p + strspn(p, " \t");
		size_t n = strlen(name), end;

		if (strncmp(word, name, n) != 0 || !isblank((unsigned char)word[n]))
			continue;
		word += n + strspn(word + n, " \t");
		end = strcspn(word, "\r\n");
		return end ? xasprintf("%.*s", (int)end, word) : NULL;
	}
	return NULL;
}

/* "vm-100-disk-0.qcow2", "base-100-disk-0"; never "..". */
static bool is_name(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) && !strchr("._-+", p[i]))
			return false;
	return n && n < 200 && *p != '.';
}

/* "rpool/data": names between slashes, so that nothing leads elsewhere. */
static bool is_path_of_names(const char *p, size_t n)
{
	const char *end = p + n;

	for (; p < end; p++) {
		size_t part = MIN(strcspn(p, "/"), (size_t)(end - p));

		if (!is_name(p, part))
			return false;
		p += part;
		if (p + 1 == end)
			return false;
	}
	return n > 0;
}

/* A property that may stand alone: "disable", "shared 1". */
static bool is_set(const struct storage *s, const char *name)
{
	const char *p;
	size_t n = strlen(name);

	for (p = s->properties; *p == ' ' || *p == '\t'; p = next_line(p)) {
		const char *word = p + strspn(p, " \t");

		if (!strncmp(word, name, n) && strchr(" \t\r\n", word[n]))
			return word[n + strspn(word + n, " \t")] != '0';
	}
	return false;
}

static bool is_among(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; *list; list += strcspn(list, ", "), list += strspn(list, ", "))
		if (strcspn(list, ", ") == n && !strncmp(list, word, n))
			return true;
	return false;
}

/* A volume of this storage's has one meaning on both nodes. */
static bool is_usable(const struct storage *s, bool is_always_shared, const struct pve_nodes *nodes)
{
	AUTO_FREE char *list = property(s, "nodes");

	if (is_set(s, "disable"))
		return false;
	if (!nodes)
		return true;
	if (list && (!is_among(list, nodes->here) || !is_among(list, nodes->there)))
		return false;
	return !strcmp(nodes->here, nodes->there) || is_always_shared || is_set(s, "shared");
}

/* "100/vm-100-disk-0.qcow2", of a linked clone "100/base-100-disk-0.qcow2/101/vm-101-disk-0.qcow2": the last two are its own. */
static char *in_directory(const struct storage *s, const char *path, const char *name)
{
	const char *base = strrchr(name, '/'), *owner = base;
	AUTO_FREE char *dirs = property(s, "content-dirs");
	const char *own = dirs ? strstr(dirs, "images=") : NULL;
	int dir = own ? (int)strcspn(own + 7, ",") : 6;

	while (owner && owner > name && owner[-1] != '/')
		owner--;
	if (own && !is_path_of_names(own + 7, (size_t)dir))
		return NULL;
	if (!base || !is_name(owner, (size_t)(base - owner)) || !is_name(base + 1, strlen(base + 1)))
		return NULL;
	if (!strcmp(s->type, "btrfs") && strlen(base) > 4 && !strcmp(base + strlen(base) - 4, ".raw"))
		return xasprintf("%s/%.*s/%.*s%.*s/disk.raw", path, dir, own ? own + 7 : "images", (int)(base - owner), owner,
				 (int)strlen(base) - 4, base);
	return xasprintf("%s/%.*s/%s", path, dir, own ? own + 7 : "images", owner);
}

static char *place_of(const struct storage *s, size_t type, const char *value, const char *name)
{
	const char *base = path_base(name);

	if (types[type].how == IN_DIRECTORY)
		return in_directory(s, value, name);
	if (!is_name(base, strlen(base)) || !is_path_of_names(value, strlen(value)) ||
	    (types[type].how == VOLUME_GROUP && strchr(value, '/')))
		return NULL;
	return xasprintf(types[type].how == POOL ? "/dev/zvol/%s/%s" : "/dev/%s/%s", value, base);
}

char *pve_volume_path(const char *cfg, const char *volume, const struct pve_nodes *nodes)
{
	size_t n = strcspn(volume, ":"), i;
	struct storage s;
	AUTO_FREE char *value = NULL;

	if (!volume[n] || !is_name(volume, n) || !find_storage(&s, cfg, volume, n))
		return NULL;
	for (i = 0; i < ARRAY_LEN(types) && strcmp(types[i].type, s.type) != 0; i++)
		;
	if (i == ARRAY_LEN(types))
		return NULL;
	if (!is_usable(&s, types[i].is_shared, nodes))
		return NULL;
	value = property(&s, types[i].property);
	if (!value && types[i].how == IN_DIRECTORY)
		value = xasprintf("/mnt/pve/%.*s", (int)n, volume);
	return value ? place_of(&s, i, value, volume + n + 1) : NULL;
}
