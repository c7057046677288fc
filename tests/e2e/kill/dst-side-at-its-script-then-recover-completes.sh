#!/bin/bash
# The destination side dies when the guest runs there, before the source hears of that, and then while the script gets its name: recover completes it.
# takes: 27
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
# The script gets its name after the source was told that the guest runs there.
for point in after-DST_STARTED dst-script-named; do
	move_until listener "$point:stop"
	status=6
	if [[ $point == dst-script-named ]]; then
		wait_for 60 grep -q 'src: hand-off: PEER DST_STARTED' "$DIR/move.log" || fail "the source has not heard that the guest runs there"
		status=7
	fi
	kill_now "$DST_PID"
	kill_now "$FAULT_PID"
	move_wait "$status"
	listen_dst --listen "$DEST"
	FROM=${GUEST_AT[a]:-$DIR}
	recover 0
	wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "the source QEMU is still there"
	guest_is_there
	assert_moved "$FROM/a.raw"
	said recover.log "$TO/a.sh starts the guest again"
	sh -n "$TO/a.sh"
	[[ -x $TO/a.sh && $(stat -c %h "$TO/a.sh") -eq 1 ]] || fail "the script: $(stat "$TO/a.sh")"
done
assert_next_move_succeeds
