#!/bin/bash
# A guest that runs in no unit, as after a move there and back, leaves again: the unit that started it here once is disabled, and does not start the old copy at
# the next boot. One that merely reads its disk, and one that is disabled already, are left as they are.
. "$(dirname "$0")/../../lib/systemd.sh"

by_hand() { # NAME
	setsid "$DIR/$1-start" </dev/null >/dev/null 2>&1 &
	unit_guest_adopt "$1"
}

other_unit() { # UNIT COMMAND
	printf '[Service]\nType=oneshot\nExecStart=%s\n[Install]\nWantedBy=default.target\n' "$2" >"$UNITS/$1"
}

unit_guest a vm-a.service
systemctl --user stop vm-a.service
other_unit backup.service "/bin/cat $DIR/a.raw"
other_unit off.service "$DIR/a-start"
systemctl --user daemon-reload
systemctl --user enable -q backup.service
by_hand a
move a local
assert_eq "$(result '[d["unit"] for d in r["disabled"]]')" '["vm-a.service"]' "units that are disabled"
assert_result "any('unit vm-a.service' in x and '--install-unit' in x for x in r['warnings'])"
assert_eq "$(systemctl --user is-enabled vm-a.service || true)" disabled "the unit"
for unit in backup off; do
	assert_eq "$(show DropInPaths "$unit.service")" "" "drop-ins of $unit.service"
done
assert_eq "$(systemctl --user is-enabled backup.service)" enabled "the unit that reads the disk"
reboot
systemctl --user start vm-a.service || true
[[ $(show ActiveState vm-a.service) == inactive ]] || fail "the unit was started again"
nobody_has_open "$DIR/a.raw" || fail "the old disk is in use again"
guest_verify "$(orders a)" blocks
