/* fleet-back.h: how a guest that has gone comes back: by which word it is known there, and to where its disks lay. Pure. */
#ifndef VMFERRY_FLEET_BACK_H
#define VMFERRY_FLEET_BACK_H

#include "fleet.h"

/* The word by which vmferry there names the guest, malloc'ed. NULL: it has not gone, or nothing names it there. */
char *fleet_back_guest(const struct fleet_task *t);
/* The options of its move back, an array of words: --reuse auto, and more where its disks lie at other paths there, or it did not go live. */
json_t *fleet_back_options(const struct fleet_task *t);

#endif
