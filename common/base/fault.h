/*
 * fault.h: named points at which a test can have an agent die or stop, so that every window of a move can be hit exactly.
 *
 * VMFERRY_FAULT=NAME[:ACTION[:FILE]] chooses one; without it nothing ever happens. ACTION is kill (SIGKILL, the default),
 * stop (SIGSTOP: the test acts, then continues us), exit or fail (fault_point returns true). With FILE it happens once: the pid is written
 * there, and a file that exists already makes the point harmless. VMFERRY_FAULT_BEFORE chooses a further, earlier point. The agents inherit
 * the environment, so names tell the side: src-*, dst-*, before-STATE and after-STATE (around the journal record of a hand-off state).
 */
#ifndef VMFERRY_FAULT_H
#define VMFERRY_FAULT_H

#include <stdbool.h>

/* True only for the action fail: the caller behaves as if what it is about to do was refused. */
bool fault_point(const char *name, ...) __attribute__((format(printf, 1, 2)));

#endif
