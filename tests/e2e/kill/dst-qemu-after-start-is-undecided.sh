#!/bin/bash
# The destination QEMU dies after START was journaled: whether it ran the guest nobody knows, so the guest stays held
# on the source, and only a person may have it taken back. An agent that answers there then clears out.
# covered in the gate: e2e/disks/shared-survive-what-fails, unit/test-both-conductors
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

cut_off() {
	move_until "$1" after-DST_START:stop
	kill_now "$(qemu_dst)"
	fault_continue
	move_wait 6
	assert_result 'r["outcome"] == "undecided" and "vmferry recover" in r["guest_text"]'
	recover 6
	assert_eq "$(state_of "${GUEST_PID[a]}")" T "the state of the source QEMU while undecided"
}

guest_a
cut_off local
recover 1 --peer-is-fenced
assert_at_source
cut_off listener
recover 1 --peer-is-fenced
assert_at_source

cut_off listener
end_process "$DST_PID"
DST_PID=
recover 4 --peer-is-fenced
assert_eq "$(settings_of a)" "$SETTINGS" "settings of QEMU"
guest_verify "$(orders a)" blocks
