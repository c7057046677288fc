/*
 * cmd-tap.h: vmferry-dst as a program that passes taps on, for a vmferry-dst that is confined and may not (common/host/tap.h).
 */
#ifndef VMFERRY_CMD_TAP_H
#define VMFERRY_CMD_TAP_H

#include "err.h"

#include <stdbool.h>

#define TAP_PERSIST "--tap-persist" /* TAP on|off */
#define TAP_TRY	    "--tap-try"	    /* TAP PID */
#define TAP_TAKE    "--tap-take"    /* TAP STAND-IN PID BEFORE START_TIME: as tap_take() */
#define TAP_TAKE_MS 10000

/* words: as above, and a NULL. Blocks; its error is in *e. */
int cmd_tap_run(char *const *words, unsigned timeout_ms, struct err *e);
/* True if main() was called so. */
bool cmd_tap_is_meant(int argc, char **argv);
/* The exit code. */
int cmd_tap(int argc, char **argv);

#endif
