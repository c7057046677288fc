#!/bin/bash
# The guest suspends itself (S3) while it is copied: at the destination it is suspended, neither paused nor running, and can be
# woken there; after a move that is rolled back it is suspended here. One that is suspended already is refused. QEMU 7.2 would wake it, or leave it
# hanging at the destination, so that a move of that is rolled back.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

suspended_while_copied() {
	guest_a
	move_until local memory
	vmferry set "${GUEST_PID[a]}" bwlimit=1M >/dev/null # the guest writes no more from here on, and the move would be over in a moment
	guest_order "$(orders a)" suspend >/dev/null
	wait_for 60 eval '[[ $(status_of "$(free_monitor a)") == suspended ]]' || fail "the guest does not suspend itself"
}

wakes() { # wakes the guest in QEMU's sense only, as the witness has nowhere to go back to
	assert_eq "$(status_of "$(free_monitor a)")" suspended "the guest"
	qmp "$(free_monitor a)" '{"execute": "system_wakeup"}' WAKEUP >/dev/null || fail "it cannot be woken"
}

suspended_while_copied
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 1
move_start a local
move_wait 3
assert_result "\"state 'suspended'\" in r['reason']"
wakes
guest_stop a

stays_here() { # QEMU 7.2 cannot migrate it
	suspended_while_copied
	move_wait 1
	assert_result '"has suspended itself" in r["reason"]'
	wakes
}

case $("$QEMU" --version) in
*' version 7.'*) stays_here ;;
*)
	suspended_while_copied
	vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null
	move_wait
	wakes
	guest_stop a
	QEMU=$(qemu_called 7.2) QEMU_THERE=
	unset "GUEST_AT[a]"
	stays_here
	;;
esac
