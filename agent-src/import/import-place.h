/* import-place.h: checks of the directory of an imported guest: nothing is overwritten. */
#ifndef VMFERRY_IMPORT_PLACE_H
#define VMFERRY_IMPORT_PLACE_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define IMPORT_NAME_MAX 100u /* bytes */

/* Chooses the guest's name: the user's (wish), or the old one (NULL: "guest"), printable and not too long; malloc'ed. */
int place_name(char **out, const char *wish, const char *was, struct err *e);
/* dir as an absolute path (NULL: the current one); malloc'ed. */
int place_dir(char **out, const char *dir, struct err *e);
/* 0: no file has that name. */
int place_is_free(const char *path, struct err *e);
/* Checks that no file has that name, and that the path fits a socket's address: 0. */
int place_fits_socket(const char *path, struct err *e);
/* True if another guest's script there (NAME.sh) names the path. */
bool place_is_named(const char *dir, const char *path);
/* 0: no guest of that name runs here. */
int place_has_no_guest(const char *name, struct err *e);
/* Removes a socket that a dead QEMU has left. */
void place_remove_socket(const char *path);

#endif
