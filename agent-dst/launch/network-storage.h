/*
 * network-storage.h: does the destination's QEMU reach the storage behind a network that the guest's command line names, disks and media? Nothing of
 * it is copied, and a trial (trial.h) has other disks. Each is opened for a moment, to be read only.
 */
#ifndef VMFERRY_NETWORK_STORAGE_H
#define VMFERRY_NETWORK_STORAGE_H

#include "trial.h"

/*
 * A new reference to an array of sentences, one for each that QEMU does not open; empty where it opens all. Only what a name alone says is asked
 * (nbd://…, http://…). A QEMU that neither starts nor ends in time tells nothing.
 */
json_t *network_storage_reasons(const struct trial *t, struct loop *l);

#endif
