#!/bin/bash
# A guest under KVM with two processors of a named model, each with RAM of its own to write, moves in both RAM modes; a paused one stays
# paused.
# timeout: 300
ACCEL=kvm CPU=Nehalem SMP=2
. "$(dirname "$0")/../lib/move.sh"
. "$(dirname "$0")/../lib/tiny.sh"

guest_disk "$DIR/a.qcow2" qcow2 3M
WITNESS="ram_mb=4 rate=300 disks=vda disk_mb=2" tiny_start a $(guest_drive d0 "$DIR/a.qcow2" qcow2)
for mode in pages opaque; do
	move a local --ram-mode $mode
	assert_result 'any("all features of the guest" in note for note in plan["findings"])'
	guest_verify "$(orders a)" blocks
	qmp "$(monitor a)" '{"execute": "stop"}' >/dev/null
	move a local --ram-mode $mode
	assert_eq "$(status_of "$(monitor a)")" paused "run state after the move"
	qmp "$(monitor a)" '{"execute": "cont"}' >/dev/null
	guest_verify "$(orders a)" blocks
done
