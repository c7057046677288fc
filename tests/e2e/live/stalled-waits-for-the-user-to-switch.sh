#!/bin/bash
# The guest dirties RAM faster than it can be copied, --on-stall=wait: vmferry says so, with numbers,
# and goes on until someone says switch.
# covered in the gate: e2e/live/stalled-is-cancelled-when-told-to, e2e/live/held-waits-for-switch, unit/test-converge
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"
QUIET= # it must write, also with QEMU 7.2: what that leaves out is found once the guest is stopped

MEM=256 WITNESS="ram_mb=16 rate=50000" tiny_start a $(second_monitor a)
move_start a local --bwlimit 4M --codec none --max-downtime 1
wait_event 'ev["event"] == "notice" and "writes as fast as it can be copied" in ev["text"] and "vmferry switch" in ev["text"]' 150
is_moving_with a 's["stage"] == "copy"' || fail "the move does not wait"
assert_eq "$(status_of "$DIR/a.mon")" running "run state while it waits"
vmferry switch --no-wait "${GUEST_PID[a]}"
move_wait
guest_verify "$(orders a)"
