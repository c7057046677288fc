/* room.c: see room.h. */
#include "room.h"
#include "util.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>

/* Value of a line of /proc/meminfo, in bytes; 0: not known. */
static uint64_t of_meminfo(const char *name)
{
	FILE *in = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];
	size_t n = strlen(name);

	while (in && fgets(line, sizeof(line), in))
		if (!strncmp(line, name, n) && line[n] == ':' && sscanf(line + n + 1, "%llu", &kib) == 1)
			break;
	if (in)
		fclose(in);
	return kib * KIB;
}

uint64_t memory_available(void)
{
	return of_meminfo("MemAvailable");
}

uint64_t memory_total(void)
{
	return of_meminfo("MemTotal");
}

int room_get(const char *dir, struct room *out)
{
	struct statfs fs;

	if (statfs(dir, &fs))
		return -errno;
	*out = (struct room){.memory = memory_available(),
			     .disk = (uint64_t)fs.f_bavail * (uint64_t)(fs.f_frsize ?: fs.f_bsize),
			     .disk_total = (uint64_t)fs.f_blocks * (uint64_t)(fs.f_frsize ?: fs.f_bsize),
			     .files = fs.f_files ? (uint64_t)fs.f_ffree : UINT64_MAX,
			     .disk_is_memory = fs.f_type == TMPFS_MAGIC};
	return 0;
}
