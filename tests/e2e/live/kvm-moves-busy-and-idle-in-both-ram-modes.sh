#!/bin/bash
# A guest under KVM with the host's CPU, in both RAM modes: busy, it loses nothing and goes on where it was; idle, its disk arrives equal.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

has_written_more() { # THAN: pages and blocks
	local -a now
	read -ra now <<<"$(tiny_written a)"
	[[ ${now[0]} -gt $1 && ${now[1]} -gt $2 ]]
}

guest_disk "$DIR/a.raw" raw 3M
WITNESS="ram_mb=3 rate=300 disks=vda disk_mb=2 disk_rate=50" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
for mode in pages opaque; do
	written=$(tiny_written a)
	move a local --ram-mode $mode
	assert_result 'any(note == "accelerator there: KVM" for note in plan["findings"])'
	wait_for 60 has_written_more $written || fail "the guest does not go on: $written, $(tiny_written a)"
	guest_verify "$(orders a)" blocks
done
guest_order "$(orders a)" stop
for mode in pages opaque; do
	from=${GUEST_AT[a]}
	written=$(tiny_written a)
	move a local --ram-mode $mode
	assert_same_content "$from/a.raw" raw "$TO/a.raw" raw
	assert_eq "$(tiny_written a)" "$written" "what the idle guest has written"
	guest_verify "$(orders a)" blocks
done
