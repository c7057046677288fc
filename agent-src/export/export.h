/*
 * export.h: a guest becomes a bundle (bundle.h): a directory, or a stream.
 *
 * Theory of operation. Everything is looked at first; what stands in the way then is a refusal, and nothing was touched. A guest that is shut
 * down is read under QEMU's own locks. Of one that runs all disks are copied by its own QEMU: one transaction begins a backup job for each, so
 * that all are of that moment, whatever the guest writes afterwards (export-live.h); with its memory, of the moment in which that is whole
 * (export-memory.h). What is made has hidden names until it is whole and durable;
 * the manifest gets its name last. A stream is made in a directory of our own first, and then sent.
 */
#ifndef VMFERRY_EXPORT_H
#define VMFERRY_EXPORT_H

#include "life.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kinds of journal entries (life_own()). */
#define EXPORT_DIRECTORY "directory"
#define EXPORT_QEMU	 "qemu"
#define EXPORT_FREEZE	 "freeze" /* freeze_entry(); until the guest is thawed */

enum export_freeze { FREEZE_AUTO, FREEZE_REQUIRE, FREEZE_OFF };

struct export_options {
	const char *vm;
	const char *dir;   /* "-": a stream on standard output */
	const char *spool; /* directory in which a stream is made; NULL: $TMPDIR, or /var/tmp */
	char *const *argv; /* command line of a guest that is shut down; NULL: use vm */
	size_t argc;
	uint64_t rate; /* bytes a second read from the guest's disks; 0: no limit */
	enum export_freeze freeze;
	bool compress, no_media, memory;
	struct life_options life;
};

/* Reports by events (docs/report.md). Returns an exit code (exit-code.h): EXIT_DESTINATION: the bundle is complete; EXIT_REFUSED:
 * nothing was touched; EXIT_SOURCE: failed, nothing is left over; EXIT_LEFTOVERS: leftovers are listed; EXIT_PAUSED: the guest, which
 * was stopped for a moment, may still be stopped. Otherwise the guest is as before. */
int export_run(const struct export_options *o);

/* Removes the files of an export or import that was cut off, by its journal, which is stolen; keeps them if all were made. Returns the
 * exit code. */
int export_recover_by_journal(const struct life_options *o, struct journal *j);

/* Removes leftovers of dead exports from the QEMU of vm, if it runs. *removed: their number. */
int export_recover(const char *vm, unsigned *removed, struct err *e);

#endif
