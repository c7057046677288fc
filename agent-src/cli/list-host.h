/* list-host.h: vmferry list HOST: another host's resources and guests. */
#ifndef VMFERRY_LIST_HOST_H
#define VMFERRY_LIST_HOST_H

#include "dest-connect.h"

/* True if a word of vmferry list names a host: USER@HOST, or ssh://HOST. */
bool list_is_host(const char *word);
/* Returns the exit code. */
int list_host(const struct dest_config *cfg, bool json);

#endif
