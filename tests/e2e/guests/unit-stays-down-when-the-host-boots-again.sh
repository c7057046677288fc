#!/bin/bash
# The same with the systemd of a whole host, as root: its power fails right after the move. When it boots again the old unit
# does not start the guest, and the one installed for its new place does.
WHOLE_HOST=2
. "$(dirname "$0")/../../lib/systemd.sh"

if [[ $BOOT == 1 ]]; then
	unit_guest a vm-a.service Restart=always RestartSec=100ms
	assert_eq "$(show MainPID vm-a.service)" "${GUEST_PID[a]}" "main process of the unit"
	move a local --install-unit
	assert_eq "$(result 'r["disabled"][0]["unit"]')" vm-a.service
	assert_eq "$(result 'r["unit"]')" vmferry-a.service
	wait_for 60 nobody_has_open "$DIR/a.raw" || fail "the old disk is in use again"
	assert_eq "$(show UnitFileState vm-a.service)" disabled "the unit"
	assert_eq "$(show UnitFileState vmferry-a.service) $(show ActiveState vmferry-a.service)" "enabled inactive" "the new unit"
	assert_eq "$(show RequiresMountsFor vmferry-a.service | tr ' ' '\n' | sort | xargs)" "$(printf '%s\n' "$TO" "$TOP/build/guest" | sort | xargs)" \
		"what the new unit waits for" # in an order of systemd's
	guest_verify "$(orders a)" blocks
	trap - EXIT # the power fails
	rm "$TO/a.console"
	exit 0
fi

unit_guest_adopt a "$DIR/d1"
assert_eq "$(show MainPID vmferry-a.service)" "${GUEST_PID[a]}" "main process of the new unit"
guest_verify "$DIR/d1/a.orders" blocks
"${SYSTEMCTL[@]}" start vm-a.service || true
assert_eq "$(show ActiveState vm-a.service)" inactive "the old unit"
nobody_has_open "$DIR/a.raw" || fail "the old disk is in use again"
