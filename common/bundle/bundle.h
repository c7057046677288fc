/*
 * bundle.h: a guest as `vmferry export` writes it down: a directory of files, and a manifest that says what each is. Pure.
 *
 * docs/bundle.md is the format. The manifest is written last, so a directory without one is no bundle. Names in it are plain: they are of
 * files beside the manifest and lead nowhere else. Members that are not known are ignored, unless `needs` names them.
 */
#ifndef VMFERRY_BUNDLE_H
#define VMFERRY_BUNDLE_H

#include "err.h"
#include "qemu-args.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUNDLE_MANIFEST	    "vmferry-bundle.json"
#define BUNDLE_README	    "README"
#define BUNDLE_MEMORY	    "memory"
#define BUNDLE_MANIFEST_MAX (4u << 20) /* bytes */
#define BUNDLE_README_MAX   (1u << 20)
#define BUNDLE_DISKS_MAX    64
#define BUNDLE_FILES_MAX    256
#define BUNDLE_WORDS_MAX    16384 /* words of the command line */
#define BUNDLE_BYTES_MAX    (1ULL << 56)
#define BUNDLE_DIGEST	    64 /* characters of a SHA-256 */

struct bundle_file {
	char *file;	/* name beside the manifest; NULL: a medium that is not in the bundle */
	uint64_t bytes; /* size of that file */
	char sha256[BUNDLE_DIGEST + 1];
	char *path, *real_path; /* absolute path as the guest's line names it; the same without links, or NULL */
	/* a disk: a qcow2 image without a backing file */
	char format[8];		/* format in which the guest's line uses it: "raw" or "qcow2" */
	uint64_t virtual_bytes; /* size that the guest sees */
	/* members of any other file */
	enum args_role role;
};

struct bundle {
	char *made; /* time: "2026-11-22 01:02:03 UTC" */
	char *name; /* the guest's */
	char *state;
	bool frozen; /* file systems were frozen, by the guest's agent */
	/* program and version of its QEMU, and machine type: "qemu-system-x86_64"; "10.0.2", "pc-q35-10.0", or NULL: not known */
	char *program, *version, *machine;
	char *cwd;
	char **argv; /* argc strings and a NULL */
	size_t argc;
	struct bundle_file disks[BUNDLE_DISKS_MAX];
	size_t disk_count;
	struct bundle_file files[BUNDLE_FILES_MAX];
	size_t file_count;
	struct bundle_file memory; /* QEMU's migration stream; file NULL: there is none. path is NULL */
};

/* The manifest; malloc'ed, ends with a newline. NULL: a text in it is not UTF-8. */
char *bundle_print(const struct bundle *b);
/* 0, or -EINVAL, -ENOTSUP (made by a later vmferry), with what is wrong; *b is empty then. */
int bundle_parse(struct bundle *b, const char *text, size_t n, struct err *e);
void bundle_fini(struct bundle *b);
/* A name of a file beside the manifest: letters, digits and . _ -, none of . and - in front; at most 200 bytes. */
bool bundle_name_is_plain(const char *name);
/* Walks through all files of the bundle, of any kind: *i from 0 on; NULL: there are no more. Media that are not in the bundle are left
 * out. */
const struct bundle_file *bundle_next(const struct bundle *b, size_t *i);
/* The file of that name, or NULL. */
const struct bundle_file *bundle_find(const struct bundle *b, const char *name);
/* Words that say how to start it by hand; malloc'ed. */
char *bundle_readme(const struct bundle *b);

#endif
