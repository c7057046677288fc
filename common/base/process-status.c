/* process-status.c: see process-status.h. */
#include "process-status.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int process_status(pid_t pid, const char *key, char *out, size_t size)
{
	AUTO_FREE char *path = pid ? xasprintf("/proc/%d/status", (int)pid) : xstrdup("/proc/self/status");
	size_t n = strlen(key);
	FILE *f = fopen(path, "re");
	int r = f ? -ESRCH : -errno;
	char line[512], *value;

	*out = '\0';
	while (f && r && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, n) || line[n] != ':')
			continue;
		value = line + n + 1 + strspn(line + n + 1, " \t");
		snprintf(out, size, "%.*s", (int)strcspn(value, "\n"), value);
		r = 0;
	}
	if (f)
		fclose(f);
	return r;
}
