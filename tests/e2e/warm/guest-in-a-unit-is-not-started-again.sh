#!/bin/bash
# A guest in a unit that restarts it whenever it ends. Moved warm, it shuts down and is not started again here; rolled back, the unit is as it was. Where
# it shuts down by itself and the move is rolled back, the unit does what it would have done.
# timeout: 180
. "$(dirname "$0")/../../lib/systemd.sh"

BUTTON=1 unit_guest a vm-a.service Restart=always RestartSec=100ms
SETTINGS=$(settings_of a)
BEFORE=$(unit_as_it_is vm-a.service)

move_until local src-pre-switchover:stop --how warm
[[ $(unit_as_it_is vm-a.service) != "$BEFORE" ]] || fail "the unit was not held"
kill -TERM "$MOVE_PID"
fault_continue
move_wait 1
assert_eq "$(unit_as_it_is vm-a.service)" "$BEFORE" "the unit"
wait_for 60 eval '[[ $(grep -ac "^witness ready" "$DIR/a.console") == 2 ]]' || fail "it does not boot again"
assert_at_source

move_start a local --how warm "${SLOW_DISKS[@]}"
while_disks
guest_order "$(orders a)" poweroff >/dev/null
wait_event 'ev["event"] == "notice" and "has shut down by itself" in ev["text"]' >/dev/null
kill -TERM "$MOVE_PID"
move_wait 8
unit_guest_adopt a
assert_eq "$(unit_as_it_is vm-a.service | grep -v MainPID)" "$(grep -v MainPID <<<"$BEFORE")" "the unit"

move a local --how warm
assert_eq "$(result 'r["disabled"][0]["unit"]')" vm-a.service
unit_is_down() { [[ $(show ActiveState vm-a.service) == inactive ]]; }
wait_for 60 unit_is_down || fail "the unit is $(show ActiveState vm-a.service)"
nobody_has_open "$DIR/a.raw" || fail "the old disk is in use again"
wait_for 60 witness_is_ready "$TO/a.console" || fail "it does not boot there"
guest_verify "$(orders a)" blocks
