/* guest-unit.c: see guest-unit.h. */
#include "guest-unit.h"
#include "util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The path of cgroup v2 ("0::/…") or of systemd's own v1 hierarchy; NULL if there is neither. */
static char *own_cgroup(const char *text)
{
	const char *line, *path;

	for (line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		path = NULL;
		if (!strncmp(line, "0::", 3))
			path = line + 3;
		else if (strstr(line, ":name=systemd:") && strstr(line, ":name=systemd:") < line + strcspn(line, "\n"))
			path = strstr(line, ":name=systemd:") + strlen(":name=systemd:");
		if (path && strncmp(path, "/\n", 2)) {
			char *out = xstrdup(path);

			out[strcspn(out, "\n")] = '\0';
			return out;
		}
	}
	return NULL;
}

char *guest_cgroup(pid_t pid)
{
	AUTO_FREE char *file = xasprintf("/proc/%d/cgroup", (int)pid), *text = NULL;
	FILE *f = fopen(file, "re");
	size_t cap = 0;
	char *out = f && getdelim(&text, &cap, '\0', f) > 0 ? own_cgroup(text) : NULL;

	if (f)
		fclose(f);
	return out;
}

/* The innermost *.service of the cgroup's path; user@UID.service is the user's manager, not the
 * guest's unit. */
static void find_unit(struct guest_unit *u, const char *cgroup)
{
	AUTO_FREE char *path = xstrdup(cgroup);
	char *part, *save = NULL;

	for (part = strtok_r(path, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		if (!strncmp(part, "user@", 5)) {
			u->is_user = true;
			u->uid = (unsigned)strtoul(part + 5, NULL, 10);
		} else if (strlen(part) > strlen(".service") && !strcmp(part + strlen(part) - strlen(".service"), ".service")) {
			free(u->name);
			u->name = xstrdup(part);
		}
	}
	u->is_user = u->is_user && u->name;
}

void guest_unit_of(struct guest_unit *u, pid_t pid)
{
	AUTO_FREE char *cgroup = guest_cgroup(pid);

	*u = (struct guest_unit){.name = NULL};
	if (cgroup)
		find_unit(u, cgroup);
}
