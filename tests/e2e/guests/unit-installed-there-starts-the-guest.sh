#!/bin/bash
# --install-unit: the unit is enabled and not started, its script is the line that starts the guest again, and after a
# reboot there the guest is back with its disk; when it moves on, that unit is disabled like any other.
# timeout: 180
. "$(dirname "$0")/../../lib/systemd.sh"

NAME="it's \"100%\" \$HOME; a guest"
PLAIN=it_s__100____HOME__a_guest
UNIT=vmferry-$PLAIN.service
GUEST_NAME=${NAME//,/,,} unit_guest a vm-a.service Restart=always

# refused where there is such a unit
printf '[Service]\nExecStart=/bin/true\n' >"$UNITS/$UNIT"
systemctl --user daemon-reload
move_start a local --install-unit
move_wait 3
[[ $(result 'r["reason"]') == *"there is a unit $UNIT at the destination already"* ]] || fail "the reason is: $(result 'r["reason"]')"
rm "$UNITS/$UNIT"
systemctl --user daemon-reload

# rolled back: no script and no unit
move_start a local --install-unit "${SLOW_RAM[@]}"
while_ram
[[ ! -e $TO/$PLAIN.sh && ! -e $UNITS/$UNIT ]] || fail "the guest could be started at the destination before it is there"
vmferry cancel --no-wait "${GUEST_PID[a]}"
move_wait 1
assert_nothing_left
[[ ! -e $UNITS/$UNIT ]] || fail "the unit is there after a rollback"

move a local --install-unit
assert_eq "$(result 'r["start_script"]')" "$TO/$PLAIN.sh"
assert_eq "$(result 'r["unit"]')" "$UNIT"
assert_result '"when its host boots" in r["after_reboot"]'
assert_eq "$(show UnitFileState "$UNIT") $(show ActiveState "$UNIT")" "enabled inactive" "the unit"
assert_eq "$(stat -c '%a %u' "$TO/$PLAIN.sh")" "700 $SANDBOX_UID" "the script"
grep -qE -- '-incoming|(^|[[:space:]])-S|vmferry\.qmp' "$TO/$PLAIN.sh" && fail "the script waits for a move: $(cat "$TO/$PLAIN.sh")"
guest_verify "$(orders a)" blocks

# the guest ends, and its host boots again
guest_stop a
rm "$TO/a.console"
reboot
unit_guest_adopt a "$TO"
assert_eq "$(show MainPID "$UNIT")" "${GUEST_PID[a]}" "main process of the unit"
guest_verify "$(orders a)" blocks
assert_eq "$(qmp "$(monitor a)" '{"execute": "query-name"}' | python3 -S -c 'import json, sys; print(json.load(sys.stdin)["name"])')" "$NAME"

# the guest moves on: out of its unit; and once more, when it was never in it
move a local
assert_eq "$(result 'r["disabled"][0]["unit"]')" "$UNIT"
assert_eq "$(show UnitFileState "$UNIT")" disabled "the unit"
reboot
[[ $(show ActiveState "$UNIT") == inactive ]] || fail "the unit was started again"
guest_verify "$(orders a)" blocks

rm -r "$UNITS/$UNIT" "$UNITS/$UNIT.d"
systemctl --user daemon-reload
move a local --install-unit
guest_verify "$(orders a)" blocks
move a local
assert_eq "$(result 'r["disabled"][0]["unit"]')" "$UNIT"
assert_eq "$(show UnitFileState "$UNIT")" disabled "the unit in which the guest never ran"
guest_verify "$(orders a)" blocks
