/* import-bundle-private.h: what import-bundle.c and import-bundle-line.c share. Nobody else's. */
#ifndef VMFERRY_IMPORT_BUNDLE_PRIVATE_H
#define VMFERRY_IMPORT_BUNDLE_PRIVATE_H

#include "bundle.h"
#include "host-qemu.h"
#include "import-turn.h"
#include "import-bundle.h"
#include "line-trust.h"
#include "made.h"
#include "qemu-args.h"
#include "spool.h"

struct bundling {
	const struct import_options *o;
	struct life *life;
	struct bundle b;
	bool has_bundle;
	int stream;	    /* it comes from there; -1: from is a directory */
	char *from;	    /* where its files are */
	struct spool spool; /* where a stream's are put */
	struct host_qemu qemu;
	struct args_result line;
	struct line_words words;     /* of the line */
	char *machine_was, *machine; /* the type that the guest had, and that it gets here; NULL: as its line says */
	bool has_other_files;	     /* the line had a directory of files of QEMU's own (-L), which is left out */
	struct made made;
	struct import_turn turn;
	char *name, *plain, *dir, *script, *qmp;
	char *disks[BUNDLE_DISKS_MAX], *files[BUNDLE_FILES_MAX]; /* where each goes */
	uint64_t done, total;
};

bool bundling_has_memory(const struct bundling *m);

/* ---- import-bundle-line.c ---- */

/* m->line and m->qmp. -EINVAL, -ENOENT, -EBUSY: it names what is not in the bundle, is not here, or is another guest's memory. */
int bundling_make_line(struct bundling *m, struct err *e);
/* QEMU makes such a file when it starts. */
bool bundling_is_made_here(enum args_role role);
/* Of those the ones in the guest's directory, which an import that fails removes: that none is there. */
bool bundling_makes(const struct bundling *m, const struct args_file *f);
int bundling_check_free(const struct bundling *m, struct err *e);

#endif
