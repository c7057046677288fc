#!/bin/bash
# A disk that both hosts see, and moves of its guest that fail: before the hand-over and after it, the guest goes on here with it, or there,
# and never both. A person's word does not make an older memory run over a newer disk.
# takes: 55
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

at_source() {
	assert_settled
	assert_eq "$(qemu_dst)" "" "QEMUs at the destination"
	guest_verify "$(orders a)" blocks
}

guest_a

# called off while it is copied
move_until local memory --disk d0=shared
"$BIN/vmferry" cancel --no-wait a >/dev/null
move_wait 1
at_source

# the agent here dies when all is promised: the guard takes the guest and its disk back at once, while the other QEMU waits
move_until listener src-ready --disk d0=shared
guard_ends
assert_eq "$(status_of "$(free_monitor a)")" running "the guest"
recover 1
at_source

# the QEMU there is gone when it should begin: NOVM, and the held guest goes on with its disk
move_until listener after-DST_PREPARED:stop --disk d0=shared
kill_now "$(qemu_dst)"
fault_continue
move_wait 1
at_source

# no agent there lets the other QEMU have the disk, and the guest cannot be taken back here until that QEMU lets go
move_until listener before-DST_START:stop --disk d0=shared
another_has_the_disk
fault_continue
move_wait 5
assert_result 'r["guest"] == "source-paused"'
end_process "$OTHER"
qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
at_source

# the whole destination is gone before its guest has begun to run: a person's word brings it back
gone_at() { # POINT
	move_until listener "$1:stop" --disk d0=shared
	there=$(qemu_dst)
	kill_now "$DST_PID"
	kill_now "$FAULT_PID"
	DST_PID=
	rm -rf "$DIR/dst-state" "$DIR/dst-run" # with its host
}
gone_at before-DST_START
kill_now "$there"
move_wait 6
recover 4 --peer-is-fenced
at_source

# if the guest has run there, as its disk proves, an older memory does not go on
gone_at before-DST_STARTED
kill_at_exit "$there"
before=$(stat -c %y "$DIR/a.raw")
wait_for 60 eval '[[ $(stat -c %y "$DIR/a.raw") != "$before" ]]' || fail "the guest does not write there"
kill_now "$there"
move_wait 6
held() { # STATUS of recover
	recover "$1" "${@:2}"
	said recover.log "was written since the guest was handed over"
	assert_eq "$(state_of "${GUEST_PID[a]}")" T "the state of the source QEMU"
}
held 6 --peer-is-fenced
held 6 # said once, that is asked again
to_listener
held 6 --dest "$DEST"
