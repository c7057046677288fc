/*
 * living-devices.h: what a libvirt guest has of devices as it runs, by libvirt's word for it (its XML), to know what others have changed of it since it
 * came: a disk's image that is another by now (a snapshot, a copy that was pivoted to) is to be in its definition, or its next start would be from an old one.
 */
#ifndef VMFERRY_DST_LIVING_DEVICES_H
#define VMFERRY_DST_LIVING_DEVICES_H

#include "err.h"

#include <jansson.h>

/* The devices in a running guest's XML: {ALIAS: {"what": "disk vda", "is": its source, "image": true if the guest's data is in there, or missing}}, a new
 * reference; NULL: not such XML. */
json_t *living_devices(const char *xml);
/* Gives the disks that have another image in `now` than in `before` that of the XML of the guest as it runs: *xml, a definition, malloc'ed, is another then.
 * Each of those is a sentence's words into `taken`, and what else is another into `lost`. 0 or -EBADMSG: it is no such XML, and *xml is as it was. */
int living_devices_take(char **xml, const char *live, const json_t *before, const json_t *now, json_t *taken, json_t *lost, struct err *e);

#endif
