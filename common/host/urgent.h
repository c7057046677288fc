/*
 * urgent.h: real-time priority for this process while a guest is paused, so that other load on the host does not lengthen the blackout.
 *
 * All threads of the process get the lowest real-time priority (SCHED_RR, 1), which comes before every ordinary one's, and lose it after
 * URGENT_MS at the latest. Programs that are started meanwhile do not inherit it. The kernel takes it away when the process ends. It needs
 * root, CAP_SYS_NICE or RLIMIT_RTPRIO; without, nothing changes.
 */
#ifndef VMFERRY_URGENT_H
#define VMFERRY_URGENT_H

#include <stdbool.h>

#define URGENT_MS 2000

/* True if this process may have the priority: tried for a moment on the calling thread. */
bool urgent_is_allowed(void);
/* Begins the urgent time. Any thread may call this and urgent_end(); a second urgent_begin() before urgent_end() changes nothing, even if
 * the limit has ended the first. */
void urgent_begin(void);
void urgent_end(void);

#endif
