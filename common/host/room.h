/* room.h: the memory and disk space that this host can give. */
#ifndef VMFERRY_ROOM_H
#define VMFERRY_ROOM_H

#include <stdbool.h>
#include <stdint.h>

struct room {
	uint64_t memory, disk; /* bytes that may still be taken; memory 0: not known */
	uint64_t disk_total;
	uint64_t files;	     /* inodes that may still be taken; UINT64_MAX: as many as there is room for */
	bool disk_is_memory; /* a tmpfs: files there take both */
};

/* MemAvailable and MemTotal of /proc/meminfo in bytes; 0: not known. */
uint64_t memory_available(void);
uint64_t memory_total(void);
/* Looks at the room on the file system of dir. 0, or -errno. */
int room_get(const char *dir, struct room *out);

#endif
