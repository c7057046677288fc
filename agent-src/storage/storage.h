/*
 * storage.h: moves disks of a guest to other images on the same host, while it runs or is shut down.
 *
 * Theory of operation, for a running guest. QEMU itself copies each disk (blockdev-mirror) and is told to finish without switching
 * (auto-finalize=false). A job that has come so far is `pending`: the new image equals the old one and is synced (as the old one is, as far
 * as the guest has asked for it), and QEMU holds the guest's requests to that disk while its processors run on. Only when all jobs are
 * pending, the guest's starter gets the new images, by one rename(2), COMMITTED is journaled, and QEMU switches (job-finalize). So
 *
 *   at every instant the guest's starter names images that are complete and no older than any other.
 *
 * A guest that writes faster than its new disks can take is stopped at the end.
 *
 * The point of no return is that rename. If the starter is not known, it is COMMITTED, and the old images get other names as soon as QEMU
 * has switched (for which QEMU may open them again by their own), so that nothing starts the guest from them unnoticed. Before that point
 * everything is undone: jobs, nodes, images. After it, the attempt goes forward. An agent that dies leaves a guest whose requests wait: its
 * guard (guard.h) settles the attempt at once by the journal, as `vmferry recover` does (settle.c). While QEMU lives, its devices decide
 * which images count; after its end, the starter does.
 *
 * Images of a guest that is shut down are locked, copied by the file system or through us (reflink, copy_file_range) and compared bit by
 * bit; then the same rename is all that counts.
 */
#ifndef VMFERRY_STORAGE_H
#define VMFERRY_STORAGE_H

#include "life.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keep;

#define STORAGE_DISKS_MAX 64

/* Fate of an image that the guest does not use any more. */
enum old_image { OLD_AUTO, OLD_KEEP, OLD_ASIDE, OLD_REMOVE };

struct storage_options {
	const char *vm;	   /* name, pid or QMP socket; script or unit if it is shut down */
	char *const *line; /* the guest's command line instead; NULL: none */
	size_t words;
	const char *disks[STORAGE_DISKS_MAX]; /* DISK=PATH */
	unsigned disk_count;
	const char *format;	  /* "raw" or "qcow2"; NULL: unchanged */
	const char *start_script; /* script that starts the guest; NULL: to be found */
	enum old_image old;
	unsigned accept;  /* DISK_ACCEPT_* */
	uint64_t bwlimit; /* bytes per second and disk; 0: none */
	bool dry_run;
	struct life_options life;
};

/* Runs a move of disks to its end. Returns the exit code; EXIT_DESTINATION: the guest has its new disks. */
int storage_run(const struct storage_options *o);
/* Settles a move whose agent died. Returns the exit code. */
int storage_recover(const struct life_options *o, struct journal *j);
/* Settles a move whose agent died, in its guard: see guard_take_up(). */
bool storage_guard(const struct life_options *o, struct journal *j, struct keep *kept, struct err *words);

#endif
