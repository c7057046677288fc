#!/bin/bash
# A guest that does not obey the power button is not moved, and runs on; with --force it is stopped as it is, and boots at the other end; and one that
# is shut down from inside while its move waits is moved as well.
. "$(dirname "$0")/../../lib/warm.sh"

BUTTON=0 warm_guest
to_local
before=$(disk_ops a)
warm --shutdown-timeout 1
move_wait 1
assert_result '"has not shut down within 1 s" in r["reason"] and "--force" in r["reason"]'
[[ $(disk_ops a) -ge $before ]] || fail "it was started anew"
runs_at_source 1

# Rolled back when it was stopped: it has lost nothing.
move_until local src-pre-switchover:stop --how warm --shutdown-timeout 1 --force
kill -TERM "$MOVE_PID"
fault_continue
move_wait 1
runs_at_source 1

to_local
fault before-DST_START stop
to_listener
warm --shutdown-timeout 1 --force
is_told
qmp "$(free_monitor a)" '{"execute": "stop"}' >/dev/null # somebody else's, which comes to the same
fault_wait
assert_same_disks
fault_continue
move_wait
assert_result 'r["forced"] and r["verified"]'
assert_arrived

# From inside.
to_local
SETTINGS=$(settings_of a)
warm --hold
wait_event 'ev["event"] == "notice" and "vmferry switch a" in ev["text"]' >/dev/null
guest_order "$(orders a)" poweroff >/dev/null
move_wait
assert_result 'any("shut down by itself" in n for n in notices) and r["shutdown_ms"] == 0 and r["verified"]'
assert_arrived

# A guest that takes its time, while the move is cancelled: once it has shut down it is started again.
guest_stop a
unset 'GUEST_AT[a]'
BUTTON=2 warm_guest
to_local
warm
is_told
kill -TERM "$MOVE_PID"
wait_event 'ev["event"] == "notice" and "once it has, it is started again here" in ev["text"]' >/dev/null
guest_order "$(orders a)" poweroff >/dev/null
move_wait 1
runs_at_source 2
