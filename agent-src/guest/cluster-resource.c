/* cluster-resource.c: see cluster-resource.h. */
#include "cluster-resource.h"
#include "config-file.h"
#include "paths.h"
#include "util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_CHARS 255
#define NAME_CHARS     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"

/* The text of a file that is there, whatever it says. */
static char *read_resource(const char *text, uint64_t start_time)
{
	static const char word[] = "pacemaker ";
	const char *at = text, *name;
	char *end;
	uint64_t noted;
	size_t n;

	if (strncmp(at, word, sizeof(word) - 1))
		return xstrdup(RESOURCE_UNREADABLE);
	at += sizeof(word) - 1;
	noted = strtoumax(at, &end, 10);
	if (end == at || *end != ' ')
		return xstrdup(RESOURCE_UNREADABLE);
	if (noted != start_time)
		return NULL;
	name = end + 1;
	n = strspn(name, NAME_CHARS);
	if (!n || n > NAME_MAX_CHARS || strcmp(name + n, "\n"))
		return xstrdup(RESOURCE_UNREADABLE);
	return xasprintf("%.*s", (int)n, name);
}

char *cluster_resource_of(pid_t pid, uint64_t start_time)
{
	const char *dir = getenv("VMFERRY_RUNTIME_DIR");
	AUTO_FREE char *path = xasprintf("%s/owners/%d", dir && *dir ? dir : ROOT_RUNTIME_DIR, (int)pid);
	AUTO_FREE char *text = NULL;
	struct err e;
	int r = config_file_read(path, &text, &e);

	if (r == -EACCES) /* root's directory: then the guest is root's, too, and not ours to move */
		return NULL;
	if (r)
		return xstrdup(RESOURCE_UNREADABLE);
	return text ? read_resource(text, start_time) : NULL;
}
