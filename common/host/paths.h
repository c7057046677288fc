/* paths.h: where journals and the sockets of a running move live. */
#ifndef VMFERRY_PATHS_H
#define VMFERRY_PATHS_H

#include "err.h"

/*
 * The directory of journals, created 0700 with its parents: override, or $VMFERRY_STATE_DIR, or for root /var/lib/vmferry, or
 * $XDG_STATE_HOME/vmferry, or ~/.local/state/vmferry. The caller frees *out.
 */
int state_dir_get(char **out, const char *override, struct err *e);
/* override, or $VMFERRY_RUNTIME_DIR, or /run/vmferry for root, or $XDG_RUNTIME_DIR/vmferry, or /run/user/UID/vmferry,
 * or STATE-DIR/run: made 0700; refused if it belongs to another user. The caller frees *out. */
#define ROOT_RUNTIME_DIR "/run/vmferry"
int runtime_dir_get(char **out, const char *override, struct err *e);
/* Refuses (-EPERM) an open file of keys that others may read or that is another user's: path is for the sentence. */
int secret_file_check(int fd, const char *path, struct err *e);

/* The directory, beside the disks, of sockets of a guest that has not arrived yet: this, and the attempt. */
#define HIDDEN_DIR_PREFIX ".vmferry-"
/* A copy of path with name for each "%n" in it, and "%" for "%%". '/' and a leading '.' of the name become '-': it stays one component.
 * Malloc'ed. */
char *path_with_name(const char *path, const char *name);
/* path, where it has "/" HIDDEN_DIR_PREFIX "*" "/" the one that is there; malloc'ed, NULL if there is none. */
char *path_maybe_hidden(const char *path);

#endif
