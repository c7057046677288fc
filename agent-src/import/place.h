/* place.h: the directory where a guest is imported to, and what is there already: nothing is written over. */
#ifndef VMFERRY_IMPORT_PLACE_H
#define VMFERRY_IMPORT_PLACE_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define IMPORT_NAME_MAX 100u /* bytes */

/* The guest's name: as the user says (wish), or as it was (NULL: "guest"), printable and not too long; malloc'ed. */
int place_name(char **out, const char *wish, const char *was, struct err *e);
/* dir as an absolute path (NULL: the current one); malloc'ed. */
int place_dir(char **out, const char *dir, struct err *e);
/* 0: nothing has that name. */
int place_is_free(const char *path, struct err *e);
/* The same, and it fits a socket's address. */
int place_fits_socket(const char *path, struct err *e);
/* Whether a script there (NAME.sh), of another guest, names it. */
bool place_is_named(const char *dir, const char *path);
/* 0: no guest of that name runs here. */
int place_has_no_guest(const char *name, struct err *e);
/* A socket of that name that a QEMU has left; not that of one that lives. */
void place_remove_socket(const char *path);

#endif
