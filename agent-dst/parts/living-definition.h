/*
 * living-definition.h: the definition of a libvirt guest that runs here since it came, and that libvirt here is yet to define: others may change its devices
 * until then. A disk that has another image by now is defined with that, as the guest would go on from an old one at its next start; all else is told.
 */
#ifndef VMFERRY_DST_LIVING_DEFINITION_H
#define VMFERRY_DST_LIVING_DEFINITION_H

#include "libvirt-rpc.h"

#include <jansson.h>

/* Call once libvirt here has the guest's QEMU wait, and before anything is promised: the file that keeps the definition has its devices, too, from then on. */
int living_definition_note(const char *path, struct lv *v, const struct lv_domain *it, struct err *e);
/* Defines the guest as kept_definition_define() does, with the images that it has by now. Each change of others is a sentence in `told`; if images changed, it
 * names the file in state_dir that has the definition as it came. */
int living_definition_define(struct lv *v, json_t *kept, const char *state_dir, json_t *told, struct err *e);

#endif
