/* process-sockets.h: unix sockets of a process, for callers that need a certain "no". Others: process.h. */
#ifndef VMFERRY_PROCESS_SOCKETS_H
#define VMFERRY_PROCESS_SOCKETS_H

#include <stdbool.h>
#include <sys/types.h>

/* True if the process may have a socket that was bound to that path, and listens: false only if it certainly has none, whatever others
 * have. */
bool process_may_listen_at(pid_t pid, const char *path);

#endif
