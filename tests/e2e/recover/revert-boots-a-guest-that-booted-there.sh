#!/bin/bash
# --revert-within of a guest that was shut down for its move, and boots at the destination: had back it boots here again, from the disks
# that it left. And where it cannot be had.
# timeout: 400
. "$(dirname "$0")/../../lib/warm.sh"

refused() { # EXIT-CODE WORDS OPTION...
	local status=0
	vmferry migrate "${GUEST_PID[a]}" local --disk-dir "$DIR/none" --revert-within "${@:3}" >"$DIR/refused.log" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of --revert-within ${*:3}"
	said refused.log "$2"
}

warm_guest
mkdir "$DIR/none"
refused 2 "'0' is not a time such as" 0
refused 2 "'8d' is not a time such as" 8d
refused 2 'for a guest that runs' 1h --how cold
refused 3 'only in a move of a running guest with its memory' 1h --how warm --disk d0=shared
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/none" --how warm --revert-within 90m --script >"$DIR/script"
grep -q -- '--revert-within 5400s' "$DIR/script" || fail "the script has not this choice: $(<"$DIR/script")"

moved_for_now local --how warm
wait_for 60 grep -aq '^witness ready' "$TO/a.console" || fail "it does not boot at the destination"
GUEST_AT[a]=$TO
goes_on a
unset "GUEST_AT[a]"
vmferry revert --no-wait a
move_wait 1
process_is_gone "$there" || fail "the destination's QEMU was not ended"
runs_at_source 2

# A guest that shut down by itself there boots here again, too.
move_start a "$DEST" --how warm --hold --revert-within 1h
wait_event 'ev["event"] == "notice" and "until you say" in ev["text"]' >/dev/null
guest_order "$(orders a)" poweroff >/dev/null
wait_event 'ev["event"] == "notice" and "vmferry revert a" in ev["text"]' >/dev/null
vmferry revert --no-wait a
move_wait 1
assert_result 'r["guest_text"] == "running on the source"'
runs_at_source 3

move_start a "$DEST" --how warm --revert-within 1h
wait_event 'ev["event"] == "notice" and "vmferry revert a" in ev["text"]' >/dev/null
vmferry keep --no-wait a
move_wait
assert_arrived
