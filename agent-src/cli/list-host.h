/* list-host.h: vmferry list HOST: what another host has, and what runs there. */
#ifndef VMFERRY_LIST_HOST_H
#define VMFERRY_LIST_HOST_H

#include "dest-connect.h"

/* A word of vmferry list names a host: USER@HOST, or ssh://HOST. */
bool list_is_host(const char *word);
/* The exit code. */
int list_host(const struct dest_config *cfg, bool json);

#endif
