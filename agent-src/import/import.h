/*
 * import.h: a guest of this host out of another hypervisor's files.
 *
 * Theory of operation. Everything is looked at first: files (sources.h), QEMU and firmware, the machine to be (qemu-line.h), names and room
 * at the place where it goes; whatever stands in the way then is a refusal, and nothing was touched. Then each disk is converted under a
 * hidden name of ours; only when all are whole and durable do they get their names, and the script that starts the guest its own last.
 * What was made is in a list, and is removed again if anything fails before that, or at the first start. What is inside the guest's disks
 * is never changed.
 */
#ifndef VMFERRY_IMPORT_H
#define VMFERRY_IMPORT_H

#include "life.h"
#include "networks.h"
#include "qemu-line.h"
#include "sources.h"

enum import_start { IMPORT_NO_START, IMPORT_START, IMPORT_PAUSED };

struct import_options {
	struct sources_named named;
	const char *name;	   /* NULL: as described */
	const char *dir;	   /* NULL: the current one */
	const char *format;	   /* "qcow2" or "raw"; NULL: qcow2 */
	struct network_wish *nets; /* the last one for a card counts; none: user; for a bundle: unchanged */
	size_t net_count;
	const char *qemu;  /* NULL: see host-qemu.h */
	const char *accel; /* "kvm" or "tcg"; NULL: kvm where it can be used */
	struct line_wishes wishes;
	enum import_start start;
	bool clone, dry_run, no_memory, no_disk;
	bool now;	   /* do not wait for other guests that come to this host */
	bool trust_line;   /* bundle: accept whatever its line names */
	char *const *more; /* further QEMU options */
	size_t more_count;
	struct life_options life;
};

/* Reports by events (docs/report.md). Returns an exit code (exit-code.h): EXIT_DESTINATION: the guest is here; EXIT_REFUSED: nothing was
 * touched; EXIT_SOURCE: failed, nothing is left over; EXIT_LEFTOVERS: leftovers are listed. */
int import_run(const struct import_options *o);

#endif
