#!/bin/bash
# The agent that moves disks is stopped (SIGSTOP) while the guest's requests wait in QEMU, and nobody lets it go on: its guard kills it after
# ten seconds, and the guest writes again, to its old disks or, once what starts it names them, to its new ones.
. "$(dirname "$0")/../../lib/storage.sh"

storage_guest
for point in pending committed; do
	fault "src-$point" stop
	storage_start "${GUEST_PID[a]}" --disk "d0-dev=$DIR/new/a.qcow2" --disk "d1-dev=$DIR/new/b.raw" --format qcow2
	fault_wait
	wait_for 60 process_is_gone "$FAULT_PID" || fail "$point: the agent is still there"
	guard_ends
	if [[ $point == pending ]]; then assert_kept; else assert_on "$NEW_IMAGES"; fi
	wait_for 60 has_disk_ops a $(($(disk_ops a) + 20)) || fail "$point: the guest does not write any more"
done
