/*
 * error-stop.h: pure: a guest that stands, because of an error or because a client of its QEMU has stopped it. No I/O.
 *
 * QEMU announces such a stop by an event of its own, and then by STOP, as any other (qapi/run-state.json, qapi/block-core.json); an internal
 * error by STOP alone, and a shutdown in a QEMU that stays by SHUTDOWN before it. The run state says which it was for as long as the guest stands, but for a migration, which replaces it.
 */
#ifndef VMFERRY_ERROR_STOP_H
#define VMFERRY_ERROR_STOP_H

#include <jansson.h>
#include <stdbool.h>

/* The run state that STOP brings right after this event: "io-error", "guest-panicked", "watchdog"; NULL: none. A constant. */
const char *error_stop_announced(const char *event, const json_t *data);
/* The same run state, as a constant, if an error or the guest's own shutdown brings it; otherwise NULL. */
const char *error_stop_state(const char *run_state);
/* Words for one: "an I/O error". */
const char *error_stop_cause(const char *run_state);
/* True if a guest in this run state stands where `cont` lets it go on: its memory and its disks can be taken like those of a paused
 * guest. A migration carries the run state along, with the requests that an I/O error has stopped. */
bool run_state_stands(const char *run_state);
/* True if run_state_stands(), or the guest runs. */
bool run_state_moves(const char *run_state);
/* The next steps of a person whose guest cannot be moved in that state, in words. */
const char *run_state_way_out(const char *state);
/* A notice for who moves a guest that stands in another state than "paused": why it does, and what it needs there. A constant; NULL: it is paused,
 * or does not stand. */
const char *run_state_notice(const char *run_state);

#endif
