/* definition-plan.h: what this host's libvirt says of a guest of libvirt's that is to come: whether its name is free, and what of the host the guest needs. */
#ifndef VMFERRY_DST_DEFINITION_PLAN_H
#define VMFERRY_DST_DEFINITION_PLAN_H

#include "arriving-definition.h"

#define DEFINITION "definition" /* member of PREPARE's, and journal entry: the file that keeps it */

/* told: what the source says of the definition. Sets d->accept, with cautions. */
int definition_look(struct definition *d, const json_t *told, struct err *e);

#endif
