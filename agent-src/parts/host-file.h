/* host-file.h: a file of this host that the guest's command line or a disk names, as the destination is told of it. */
#ifndef VMFERRY_HOST_FILE_H
#define VMFERRY_HOST_FILE_H

#include "options.h"

#include <jansson.h>
#include <stdbool.h>

#define HOST_FILES_MAX 256

/* Onto an entry of DESCRIBE's `files`: what the file system says of its path ("missing" if that is nothing), its digest, and what the user
 * wants to become of it. at: where it can be read, if it has not its name any more. */
void host_file_look(const struct move_options *o, json_t *entry, const char *at);
/* True if the destination may have the file sent: by the wish, which is the user's; "path" and "eject" do not ask for it. */
bool host_file_travels(const json_t *entry);

#endif
