/*
 * ova.h: an OVA, which is a tar of an OVF, its disks, and a manifest of digests; and that manifest, which lies beside an OVF, too.
 *
 * The reader of tar is strict, and takes nothing out: a member is where it is in the file, and is read there. Members are regular
 * files with plain names; anything else (a link, a directory but "./", "..", a name twice) refuses the whole.
 */
#ifndef VMFERRY_OVA_H
#define VMFERRY_OVA_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OVA_MEMBERS_MAX 256

struct ova_member {
	char *name;
	uint64_t offset, size; /* range of its contents */
};

struct ova {
	struct ova_member members[OVA_MEMBERS_MAX];
	size_t n;
};

/* Reads the headers. 0; -EINVAL: it is no tar, or one that an OVA would not be. ova_fini() whatever is returned. */
int ova_read(struct ova *o, int fd, struct err *e);
void ova_fini(struct ova *o);
/* Member of that name, or NULL. */
const struct ova_member *ova_find(const struct ova *o, const char *name);
/* A name that can be a file's beside another: no '/', no "..", nothing unprintable, no protocol of QEMU's. */
bool plain_file_name(const char *name);
/* True for such a name, or one in folders below, with '/' between. */
bool file_name_below(const char *name);

/* ---- manifests ---- */

struct manifest_line {
	char *name;
	const char *digest; /* "SHA1", "SHA256", "SHA512" */
	uint8_t value[64];
	size_t bytes;
};

struct manifest {
	struct manifest_line *lines;
	size_t n;
};

/* "SHA256(disk1.vmdk)= 0a1b…", a line each. 0 or -EINVAL. */
int manifest_parse(struct manifest *m, const char *text, size_t n, struct err *e);
void manifest_fini(struct manifest *m);

/* Progress callback; a negative result ends the reading. */
typedef int (*digest_progress_fn)(void *ctx, uint64_t bytes);
/* Digests `size` bytes from offset and compares. 0; -EBADMSG: they do not match the line; -ECANCELED. */
int manifest_check(const struct manifest_line *l, int fd, uint64_t offset, uint64_t size, digest_progress_fn progress, void *ctx,
		   struct err *e);

#endif
