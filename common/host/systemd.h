/*
 * systemd.h: the systemd of this host, or of our own user, by way of systemctl.
 *
 * `user` chooses whose: the system's, or that of the user that we run as. systemctl is run directly, with a deadline, and
 * never asks for a password. Blocks the calling thread.
 */
#ifndef VMFERRY_SYSTEMD_H
#define VMFERRY_SYSTEMD_H

#include "err.h"

#include <stdbool.h>

/* Units with guests are ordered before this target: at shutdown they end after the service that moves guests away
 * (docs/vmferry-drain@.service). */
#define GUESTS_TARGET "vmferry-guests.target"
/* True if this host was booted with systemd (sd_booted(3)). */
bool systemd_runs(void);
/* words ends with NULL. 0: it succeeded; *out (may be NULL) is what it printed, which the caller frees. Otherwise e says
 * what systemctl said. */
int systemctl(bool user, const char *const *words, char **out, struct err *e);
/*
 * The first words of a command line, so that the program runs in a scope of its own, outside of the limits and the life of a service
 * that we are part of. NULL: we are not in a service, or its systemd does not support it (then e says why). unit: a name that ends
 * with .scope. The caller frees the array with free_words().
 */
char **systemd_scope(const char *unit, const char *description, struct err *e);
void free_words(char **words);
/* The directory for units and drop-ins of an administrator, or (runtime) for those that last until the next boot. The caller frees it. */
char *systemd_unit_dir(bool user, bool runtime);
/* mkdir -p with mode 0755. */
int make_dirs(const char *path, struct err *e);
/* True if a file could be made in this directory, or in the nearest one above it that exists. */
bool dir_is_writable(const char *path);

#endif
