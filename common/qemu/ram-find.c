/* ram-find.c: see ram-find.h. The file is described in the kernel's Documentation/filesystems/proc.rst, its VmFlags, too ("dc": not copied on fork). */
#include "ram-find.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES 4352 /* a path and what is before it */

/* Number of mappings of a block's size that were found so far. */
struct found {
	uint64_t host;
	unsigned count;
};

static void take(const struct ram_block_place *blocks, size_t count, struct found *found, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < count; i++)
		if (blocks[i].max_bytes == end - start) {
			found[i].host = start;
			found[i].count++;
		}
}

static bool is_kept_from_children(const char *flags)
{
	return strstr(flags, " dc ") || strstr(flags, " dc\n");
}

static void read_mappings(FILE *f, const struct ram_block_place *blocks, size_t count, struct found *found)
{
	uint64_t start, end, from = 0, to = 0;
	char line[LINE_BYTES], perms[8];
	bool is_writable = false;

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s ", &start, &end, perms) == 3) {
			from = start;
			to = end;
			is_writable = perms[0] == 'r' && perms[1] == 'w';
		} else if (!strncmp(line, "VmFlags:", 8) && is_writable && is_kept_from_children(line)) {
			take(blocks, count, found, from, to);
		}
	}
}

static bool is_alone_of_its_size(const struct ram_block_place *blocks, size_t count, size_t which)
{
	size_t i, n = 0;

	for (i = 0; i < count; i++)
		n += blocks[i].max_bytes == blocks[which].max_bytes;
	return n == 1;
}

int ram_find(pid_t pid, struct ram_block_place *blocks, size_t count, struct err *e)
{
	struct found found[RAM_BLOCKS_MAX] = {{0, 0}};
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	f = count <= RAM_BLOCKS_MAX ? fopen(path, "re") : NULL;
	if (!f)
		return err_sys(e, errno, "cannot read %s", path);
	read_mappings(f, blocks, count, found);
	fclose(f);
	for (size_t i = 0; i < count; i++)
		blocks[i].host = found[i].count == 1 && is_alone_of_its_size(blocks, count, i) ? found[i].host : 0;
	return 0;
}
