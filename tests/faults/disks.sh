#!/bin/bash
# tests/faults/disks.sh WHEN WHO WHAT: at that moment of bringing the disks of a guest that stays (--only-disks) an agent, or the guest's QEMU, is killed, stopped
# for five seconds, or stopped for ever. The guest runs on as if nothing had been; the same command again brings them up to date, and a move goes on from that.
. "$(dirname "$0")/cell.sh"
RECONNECT_S=6 MOVE_OPTIONS=(--only-disks --keep-partial 1h)

kept() { # prints what else than what is kept is at the destination
	find "$TO" -mindepth 1 ! -name '*.vmferry-*-partial'
}

cell_begins
reach "$1"
hit "$2" "$3"
go_on
settle
TO=$REAL_TO
take_what_is_listed
assert_eq "$(kept)" "" "files at the destination besides what is kept"
assert_never_two
if [[ $MAY_BE_NOWHERE == 1 ]]; then
	assert_eq "$(where_it_runs)" nowhere "where the guest is"
	[[ $CODE =~ ^(3|8|nothing)$ ]] || fail "$SAID_BY says $CODE of a guest that has ended"
	evidence nowhere
	exit
fi
[[ $CODE =~ ^(0|1|3|nothing)$ || $CODE -ge 128 ]] || fail "$SAID_BY says $CODE of a guest that stays"
wait_for 60 is_alone || fail "not alone: $(ours | xargs -r ps -o pid=,args= -p)"
assert_eq "$(settings_of a)" "$SETTINGS" "settings of QEMU"
assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state"

again() { # [OPTION...]: to the same place
	move_start a "$DEST" --disk-dir "$REAL_TO" --keep-partial 1h "$@"
	TO=$REAL_TO
	move_wait
}
unset VMFERRY_FAULT
to_listener
again --only-disks
assert_result 'r["outcome"] == "disks-copied" and len(r["leftovers"]) == 1'
assert_eq "$(ls -A "$TO" | wc -l) $(kept)" "1 " "what is kept at the destination"
again
assert_result 'r["disks"][0]["bytes_kept"] > 3 << 20'
assert_moved
evidence source
