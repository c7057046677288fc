/*
 * storage.h: disks of a guest go to other images of the same host, while it runs or while it is shut down.
 *
 * Theory of operation, of a guest that runs. QEMU itself copies each disk (blockdev-mirror) and is told to finish but not to
 * switch (auto-finalize=false). A job that has come so far is `pending`: the new image is the same as the old one and synced (the old one
 * is so as far as the guest has asked for it), and QEMU holds the guest's requests to that disk back, while its processors run on. When all of them are pending, and only then, what starts the guest again gets
 * the new images, by one rename(2), COMMITTED is journaled, and QEMU switches (job-finalize). So
 *
 *   at every instant what starts the guest names images that are whole, and no older than any other.
 *
 * A guest that writes faster than its new disks take it is stopped for that.
 *
 * The point of no return is that rename; where what starts the guest is not known, it is COMMITTED, and the old images get other names as
 * soon as QEMU has switched (which may open them once more by their own for that), so that nothing starts the guest from them unnoticed
 * then. Until then everything is undone: jobs, nodes, images. From then
 * on it goes forward. An agent that dies leaves a guest whose requests wait: its guard (guard.h) settles the attempt at once, by the
 * journal, as `vmferry recover` does (settle.c). While QEMU lives, what it uses is the truth; when it has ended, what starts the guest is.
 *
 * Of a guest that is shut down the images are locked, copied by the file system or through us (reflink, copy_file_range), compared
 * bit by bit, and then the same rename is all that counts.
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

/* What becomes of an image that the guest does not use any more. */
enum old_image { OLD_AUTO, OLD_KEEP, OLD_ASIDE, OLD_REMOVE };

struct storage_options {
	const char *vm;	   /* name, pid or QMP socket; script or unit of one that is shut down */
	char *const *line; /* its command line, in place of that; NULL: none */
	size_t words;
	const char *disks[STORAGE_DISKS_MAX]; /* DISK=PATH */
	unsigned disk_count;
	const char *format;	  /* "raw" or "qcow2"; NULL: as it is */
	const char *start_script; /* what starts it again; NULL: found */
	enum old_image old;
	unsigned accept;  /* DISK_ACCEPT_* */
	uint64_t bwlimit; /* bytes per second and disk; 0: none */
	bool dry_run;
	struct life_options life;
};

/* Runs one to its end. Returns the exit code: EXIT_DESTINATION: the guest has its disks there. */
int storage_run(const struct storage_options *o);
/* Settles one whose agent died. Returns the exit code. */
int storage_recover(const struct life_options *o, struct journal *j);
/* The same by its guard: as guard_take_up has it. */
bool storage_guard(const struct life_options *o, struct journal *j, struct keep *kept, struct err *words);

#endif
