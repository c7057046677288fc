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

/* Kinds of what is journaled (life_own()). */
#define EXPORT_DIRECTORY "directory"
#define EXPORT_QEMU	 "qemu"
#define EXPORT_FREEZE	 "freeze" /* as freeze_entry() says, until the guest is thawed */

enum export_freeze { FREEZE_AUTO, FREEZE_REQUIRE, FREEZE_OFF };

struct export_options {
	const char *vm;
	const char *dir;   /* "-": a stream on standard output */
	const char *spool; /* where a stream is made; NULL: $TMPDIR, or /var/tmp */
	char *const *argv; /* the command line of a guest that is shut down; NULL: vm says what it is */
	size_t argc;
	uint64_t rate; /* bytes a second that are read of a guest's disks; 0: no limit */
	enum export_freeze freeze;
	bool compress, no_media, memory;
	struct life_options life;
};

/* Tells what it does by events (docs/report.md). Returns an exit code
 * (exit-code.h): EXIT_DESTINATION: the bundle is whole; EXIT_REFUSED: nothing was touched; EXIT_SOURCE: it failed, and nothing is left;
 * EXIT_LEFTOVERS: something is, and is listed; EXIT_PAUSED: the guest, which was stopped for a moment, may stand still. Else it is as
 * before. */
int export_run(const struct export_options *o);

/* Removes what an export or an import that was cut off has made, by its journal, which is stolen. Returns the exit code. The files
 * of one that had made all stay. */
int export_recover_by_journal(const struct life_options *o, struct journal *j);

/* Removes what exports that have died have left in the QEMU of the guest that vm names, if one runs. *removed: what there was. */
int export_recover(const char *vm, unsigned *removed, struct err *e);

#endif
