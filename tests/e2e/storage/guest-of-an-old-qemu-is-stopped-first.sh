#!/bin/bash
# QEMU 7.2 aborts when it switches a disk whose guest was stopped while requests to that disk waited. So its guest is stopped before any can wait, and
# goes on with its new disks. If somebody lets it go on in that moment and stops it again, nothing is switched, and it has its old disks.
# tier: gate
# takes: 10
export QEMU=7.2 QEMU_THERE=
. "$(dirname "$0")/../../lib/storage.sh"
DISK_RATE=400

to_pending() {
	fault src-pending stop
	storage_start "${GUEST_PID[a]}" "${BOTH[@]}"
	fault_wait
	assert_eq "$(status_of "$DIR/a.mon")" paused "QEMU's run state while requests would wait"
}

order() { # COMMAND EVENT
	qmp "$DIR/a.mon" "{\"execute\": \"$1\"}" "$2" >/dev/null
}

storage_guest
to_pending
order cont RESUME
order stop STOP
fault_continue
storage_wait 1
assert_result '"another client stopped the guest" in r["reason"]'
assert_eq "$(status_of "$DIR/a.mon")" paused "QEMU's run state: somebody else stopped it"
order cont RESUME
assert_kept

to_pending
qmp "$DIR/a.mon" '{"execute": "stop"}' >/dev/null # one that has stopped already
fault_continue
storage_wait 0
assert_result 'any("was stopped for a moment" in n for n in r["notes"]) and r["held_ms"] > 0'
assert_eq "$(status_of "$DIR/a.mon")" running "QEMU's run state"
assert_on "$NEW_IMAGES"
