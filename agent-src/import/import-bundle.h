/*
 * import-bundle.h: a guest out of a bundle of `vmferry export` (bundle.h).
 *
 * Unlike other imports it is the same machine: its own command line, with the files of the bundle at their new places. Every file's digest is
 * compared before anything is made of it.
 */
#ifndef VMFERRY_IMPORT_BUNDLE_H
#define VMFERRY_IMPORT_BUNDLE_H

#include "import.h"

/* True if these files are a bundle: "-", a directory, or a tar that begins with a manifest. */
bool import_is_bundle(char *const *files, size_t count);
/* Imports a bundle. Parameters and results as import_run(). */
int import_bundle(struct life *l, const struct import_options *o);

#endif
