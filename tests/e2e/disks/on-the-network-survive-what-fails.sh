#!/bin/bash
# A disk behind a network, and moves of its guest that fail: it goes on here with it, or there, and never both. Nobody can see whether such a disk
# was written to: a person's word that the other host is dead lets no memory go on that may be older.
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/network-disk.sh"

at_source() {
	assert_settled
	assert_eq "$(qemu_dst)" "" "QEMUs at the destination"
}

guest_with_nbd_disk

# called off while memory is copied
move_until local memory --disk d0=shared
"$BIN/vmferry" cancel --no-wait a >/dev/null
move_wait 1
at_source

# the agent here dies when all is promised: the guard takes the guest back
move_until listener src-ready --disk d0=shared
guard_ends
assert_eq "$(status_of "$(free_monitor a)")" running "the guest"
recover 1
at_source

# the QEMU there is gone when it should begin: the held guest goes on
move_until listener after-DST_PREPARED:stop --disk d0=shared
kill_now "$(qemu_dst)"
fault_continue
move_wait 1
at_source

# both agents die when the guest is handed over: the guest goes on there
move_until listener after-SRC_COMMITTED --disk d0=shared
guard_ends
recover 0
guest_is_there
assert_settled

# the whole destination is gone after that: whether it has run there nobody knows
move_until listener before-DST_START:stop --disk d0=shared
there=$(qemu_dst)
kill_now "$DST_PID"
kill_now "$FAULT_PID"
DST_PID=
rm -rf "$DIR/dst-state" "$DIR/dst-run"
kill_now "$there"
move_wait 6
held() { # [OPTION...]
	recover 6 "$@"
	said recover.log "${PATTERN:-vmferry cannot see whether the guest wrote to disk .* at the destination}"
	assert_eq "$(state_of "${GUEST_PID[a]}")" T "the state of the source QEMU"
}
held --peer-is-fenced
to_listener # set up anew
held --dest "$DEST" --peer-is-fenced
PATTERN=. held
# the guest is started anew from its disk, once that QEMU is ended
kill_now "${GUEST_PID[a]}"
recover 8 --dest "$DEST" --peer-is-fenced
assert_nothing_unfinished

# here its agent and its QEMU are gone after it was handed over, as if the host had crashed: who knows what was started since
GUEST_AT=()
guest_with_nbd_disk
move_until listener after-SRC_COMMITTED --disk d0=shared
kill_agent_here
kill_now "${GUEST_PID[a]}"
recover 8
said recover.log "vmferry cannot see whether disk .* was written to since the source's QEMU was lost"
assert_nothing_unfinished
assert_eq "$(qemu_dst)" "" "QEMUs at the destination"

# the whole source is gone when the destination has promised
GUEST_AT=()
guest_with_nbd_disk
move_until listener src-ready:stop --disk d0=shared
there=$(qemu_dst)
kill_now "${GUEST_PID[a]}"
kill_agent_here
end_agents_there
kill_at_exit "$there"
recover_there 6 a --peer-is-fenced
said recover.log "vmferry cannot see whether disk .* was written to since that was promised"
[[ $(status_of "$TO/a.mon" 2>/dev/null) != running ]] || fail "the guest runs"
