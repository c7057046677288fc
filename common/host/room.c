/* room.c: see room.h. */
#include "room.h"
#include "util.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/statfs.h>

uint64_t memory_available(void)
{
	FILE *in = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (in && fgets(line, sizeof(line), in))
		if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
			break;
	if (in)
		fclose(in);
	return kib * KIB;
}

int room_get(const char *dir, struct room *out)
{
	struct statfs fs;

	if (statfs(dir, &fs))
		return -errno;
	*out = (struct room){.memory = memory_available(),
			     .disk = (uint64_t)fs.f_bavail * (uint64_t)(fs.f_frsize ?: fs.f_bsize),
			     .disk_is_memory = fs.f_type == TMPFS_MAGIC};
	return 0;
}
