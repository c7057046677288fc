/* export-copy.h: a file of a bundle: its copy, and what the manifest says of it. */
#ifndef VMFERRY_EXPORT_COPY_H
#define VMFERRY_EXPORT_COPY_H

#include "bundle.h"

/* Copies from's contents, with holes where it has zeros, to the file `to`, which is there; durable when 0 is returned. -ESTALE: it was changed meanwhile;
 * -ECANCELED. */
int export_copy_file(const char *from, const char *to, struct err *e);
/* Sets f->bytes and f->sha256 by the file draft, and brings that to stable storage: the digest is made of what the kernel has of it in memory
 * meanwhile. */
int export_describe_file(struct bundle_file *f, const char *draft, struct err *e);

#endif
