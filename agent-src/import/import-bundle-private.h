/* import-bundle-private.h: shared by import-bundle.c and import-bundle-line.c only. */
#ifndef VMFERRY_IMPORT_BUNDLE_PRIVATE_H
#define VMFERRY_IMPORT_BUNDLE_PRIVATE_H

#include "bundle.h"
#include "host-qemu.h"
#include "import-turn.h"
#include "import-bundle.h"
#include "line-trust.h"
#include "made-files.h"
#include "qemu-args.h"
#include "spool.h"

struct bundling {
	const struct import_options *o;
	struct life *life;
	struct bundle b;
	bool has_bundle;
	int stream;	    /* the bundle is read from there; -1: `from` is a directory */
	char *from;	    /* directory of the bundle's files */
	struct spool spool; /* holds the files of a stream */
	struct host_qemu qemu;
	struct args_result line;
	struct line_words words;     /* words of the line */
	char *machine_was, *machine; /* machine type that the guest had; the one that it gets here; NULL: as its line says */
	bool has_other_files;	     /* the line had a directory of QEMU's own files (-L), which is left out */
	struct made made;
	struct import_turn turn;
	char *name, *plain, *dir, *script, *qmp;
	char *disks[BUNDLE_DISKS_MAX], *files[BUNDLE_FILES_MAX]; /* destination of each */
	uint64_t done, total;
};

bool bundling_has_memory(const struct bundling *m);

/* ---- import-bundle-line.c ---- */

/* Makes m->line and m->qmp. -EINVAL, -ENOENT, -EBUSY: the line names something that is not in the bundle, not here, or another guest's
 * memory. */
int bundling_make_line(struct bundling *m, struct err *e);
/* True if QEMU makes such a file when it starts. */
bool bundling_is_made_here(enum args_role role);
/* True if QEMU makes this file in the guest's directory. A failed import removes it; bundling_check_free(): none exists yet. */
bool bundling_makes(const struct bundling *m, const struct args_file *f);
int bundling_check_free(const struct bundling *m, struct err *e);

#endif
