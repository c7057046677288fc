/*
 * qcow2-options.h: pure: what kind of qcow2 image an image is, besides its cluster size, so that its copy becomes the same: version, lazy
 * refcounts, bits of a refcount, type of compression, subclusters. No I/O.
 *
 * QEMU describes an image by ImageInfoSpecificQCow2, and makes one by BlockdevCreateOptionsQcow2 (qapi/block-core.json).
 */
#ifndef VMFERRY_QCOW2_OPTIONS_H
#define VMFERRY_QCOW2_OPTIONS_H

#include <jansson.h>

/* Members of BlockdevCreateOptionsQcow2 for an image like this one; those that QEMU did not report are left out. specific:
 * `format-specific`.`data`, or NULL. */
json_t *qcow2_options_of(const json_t *specific);
/* Adds them to options of `blockdev-create`. Unknown members and values, as a peer may send them, are left out. options may be NULL. */
void qcow2_options_add(json_t *create, const json_t *options);

#endif
