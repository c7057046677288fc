#!/bin/bash
# After COMMITTED somebody lets the held source QEMU go on (SIGCONT) and resumes the guest, while its agent lives: QEMU refuses, as its disk is locked. One that takes
# no locks runs a second copy: the agent ends neither of them, but says so. With the source's ended by a person, and its
# disk moved away, recover settles the rest.
. "$(dirname "$0")/../../lib/aftermath.sh"

resumed() { # prints what QEMU says to that
	move_until listener after-SRC_COMMITTED:stop
	kill -CONT "${GUEST_PID[a]}"
	qmp "$(free_monitor a)" '{"execute": "cont"}' 2>&1 || true
}

is_told() {
	fault_continue
	move_wait 6
	assert_result '"another process has resumed it" in r["reason"]'
}

guest_a
resumed >"$DIR/said"
grep -q 'Failed to get "write" lock' "$DIR/said" || fail "it is resumed: $(<"$DIR/said")"
is_told
recover 0
assert_at_destination

unset 'GUEST_AT[a]'
kill_now "${GUEST_PID[a]}"
rm -f "$DIR"/a.*
eval "$(declare -f guest_drive | sed '1s/guest_drive/locked_drive/')"
guest_drive() { locked_drive "$@" | sed 's/format=raw/&,file.locking=off/'; }
guest_a
resumed >"$DIR/said"
is_told
assert_eq "$(status_of "$(free_monitor a)")" running "the source's copy"
qemu_dst >/dev/null || fail "the destination's QEMU was ended"

kill_now "${GUEST_PID[a]}"
recover 6 # the guest has written to its disk
mv "$DIR/a.raw" "$DIR/aside"
recover 0
mv "$DIR/aside" "$DIR/a.raw"
assert_at_destination
