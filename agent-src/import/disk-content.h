/*
 * disk-content.h: what the first bytes of a disk, as its guest sees it, say of it. Pure.
 *
 * A raw image has no header, so any file could be one. Disks begin with a boot sector, a partition table, a file system or zeros;
 * documents, archives and programs begin with a signature of their own. The same bytes say how large the disk was and which firmware can
 * boot from it.
 */
#ifndef VMFERRY_DISK_CONTENT_H
#define VMFERRY_DISK_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_CONTENT_BYTES (256u << 10) /* bytes of the disk's beginning that are looked at, as far as there are so many */

struct disk_content {
	const char *other;    /* the file that this is instead of a disk, for people: "a PDF document"; NULL */
	bool is_disk;	      /* contents begin as those of disks do */
	uint64_t end;	      /* bytes from its beginning that its partitions or file system reach to; 0: not said */
	unsigned sector;      /* bytes: of the sectors that its GPT counts in; 0: it has none */
	bool is_volume;	      /* a file system without partitions */
	bool bios_boots;      /* a BIOS finds something to start in its boot sector */
	bool uefi_boots;      /* an EFI system partition exists */
	bool uefi_could_boot; /* an EFI system partition exists, or at least a FAT file system */
};

void disk_content_read(struct disk_content *out, const uint8_t *p, size_t n);

#endif
