/* identity.h: a guest's name, UUID, MAC addresses and generation ID. They change only when the user says so (--name, --clone). */
#ifndef VMFERRY_IDENTITY_H
#define VMFERRY_IDENTITY_H

#include "qemu-args.h"

#include <stdint.h>

#define UUID_CHARS 36

void identity_uuid(char out[UUID_CHARS + 1]);
/* Makes an address with QEMU's prefix 52:54:00. */
void identity_mac(uint8_t out[6]);

/* Changes a rewritten line. */
void identity_set_name(struct args_result *line, const char *name);
/* Sets a new UUID and generation ID, and a new address for every network card. */
void identity_renew(struct args_result *line);

#endif
