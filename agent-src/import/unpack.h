/*
 * unpack.h: archives and compressed files that a stranger has made are read by a process of our own that is held as qemu-img is (narrow.h): it has
 * nothing but the open archive, and the open files that it writes to.
 */
#ifndef VMFERRY_IMPORT_UNPACK_H
#define VMFERRY_IMPORT_UNPACK_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>

#define UNPACK_WORD	  "--unpack" /* word on the command line of that process */
#define UNPACK_DISKS_MAX  128
#define UNPACK_DISK_BYTES (64ULL << 40) /* size that no disk may exceed */

enum packed_kind { PACKED_OTHER, PACKED_VMA, PACKED_XVA, PACKED_TAR, PACKED_DISK };

struct packed_disk {
	unsigned number;
	uint64_t bytes;
	char *name;
};

/* The contents of an archive. */
struct packed_content {
	enum packed_kind kind; /* PACKED_DISK: a tar with a disk (tarred-disk.h), the only one of disks */
	char *config;	       /* configuration of a VMA or XVA; NULL: it has none */
	size_t config_bytes;
	struct packed_disk disks[UNPACK_DISKS_MAX];
	size_t disk_count;
};

struct unpack_target {
	unsigned number;  /* number of the disk */
	uint64_t bytes;	  /* size that the guest sees, for an XVA or a tar */
	const char *path; /* a file that is made */
};

/* Reads the beginning. 0; -EINVAL: it is damaged; -errno. packed_content_fini() whatever is returned. */
int unpack_look(struct packed_content *c, const char *path, struct err *e);
void packed_content_fini(struct packed_content *c);
/*
 * Reads a VMA to its end, and writes those of its disks as raw images with holes, of at most that many bytes each; tells of its progress (life.h).
 * 0; -EINVAL: it is damaged or cut off; -ECANCELED; -errno.
 */
int unpack_vma(const char *path, const struct unpack_target *targets, size_t count, uint64_t disk_bytes_max, uint64_t disk_bytes_all,
	       struct err *e);

/* Does the same as unpack_vma() with an XVA, whose digests are compared, too. */
int unpack_xva(const char *path, const struct unpack_target *targets, size_t count, struct err *e);
/* The disk of a tar (PACKED_DISK). */
int unpack_tarred_disk(const char *path, const struct unpack_target *t, struct err *e);
/* Compressed content of at most bytes_max bytes is written to the file to, which is made. */
int unpack_plain(const char *path, const char *to, uint64_t bytes_max, struct err *e);

/* Runs in that process: argv from UNPACK_WORD on. Returns the exit code: 0, also if the archive is damaged, which it says. */
int unpack_child(int argc, char **argv);

#endif
