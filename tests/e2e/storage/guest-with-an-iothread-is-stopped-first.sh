#!/bin/bash
# QEMU aborts if a guest is stopped while the mirror of a disk with an iothread comes to its end (seen with 10.0 and 11.1). So the guest is stopped before,
# whether it writes fast or not, and goes on with its new disks; one that cannot be given them goes on with its old ones.
# tier: gate
# takes: 12
. "$(dirname "$0")/../../lib/storage.sh"
DISK_RATE=400
MORE="-object iothread,id=io0"
DEVICE0=,iothread=io0

to_pending() {
	fault src-pending stop
	storage_start "${GUEST_PID[a]}" "${BOTH[@]}"
	fault_wait
	assert_eq "$(status_of "$DIR/a.mon")" paused "QEMU's run state while requests would wait"
}

storage_guest
to_pending
kill -INT "$MOVE_PID"
fault_continue
storage_wait 1
assert_result 'r["outcome"] == "cancelled"'
assert_eq "$(status_of "$DIR/a.mon")" running "QEMU's run state"
assert_kept

to_pending
fault_continue
storage_wait 0
assert_result 'any("a disk with an iothread" in n for n in r["notes"]) and r["held_ms"] > 0'
assert_eq "$(status_of "$DIR/a.mon")" running "QEMU's run state"
assert_on "$NEW_IMAGES"
