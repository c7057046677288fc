#!/bin/bash
# The disks of a guest that stays are brought (--only-disks): a cancel leaves nothing there; a source agent that dies leaves what has arrived, and
# `recover --resume` brings the rest, and moves nothing; what else is left there is told, and a guest that shuts down meanwhile goes nowhere.
. "$(dirname "$0")/../lib/partial.sh"

it_stays() {
	assert_eq "$(settings_of a)" "$SETTINGS" "settings of QEMU"
	assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state"
}

guest_of_48
to_listener
copy_begins --only-disks
VMFERRY_RUNTIME_DIR=$DIR/run vmferry cancel "${GUEST_PID[a]}"
move_wait 1
assert_result 'r["outcome"] == "rolled-back" and r["where"] == "source"'
[[ -z $(ls -A "$TO") ]] || fail "left at the destination: $(ls -A "$TO")"
it_stays

copy_begins --only-disks
kill_now "$MOVE_PID"
guard_ends
resume 0 -v
assert_result 'r["outcome"] == "disks-copied" and r["disks"][0]["bytes_kept"] > (10 << 20)'
assert_kept
it_stays
status=0
vmferry recover a </dev/null >"$DIR/out" 2>&1 || status=$?
assert_eq "$status" 0 "exit code of recover, when there is nothing to be settled ($(<"$DIR/out"))"

# something in the directory of its sockets there, which is not removed then
rm "$KEPT"
copy_begins --only-disks
touch "$(find "$DIR/dst-run" -mindepth 1 -type d)/note"
move_wait 4
assert_result 'r["outcome"] == "rolled-back" and len(r["leftovers"]) == 2 and "--only-disks" in r["reason"]'
it_stays

copy_begins --only-disks
guest_order "$(orders a)" poweroff >/dev/null
move_wait 8
assert_result 'r["outcome"] == "rolled-back" and r["guest"] == "shut-down" and r["where"] == "nowhere"'
