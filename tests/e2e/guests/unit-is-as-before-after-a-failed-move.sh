#!/bin/bash
# A move of a guest in a unit that is cancelled, fails or is cut off: the unit is as it was, to the byte, and goes on to
# restart its guest.
# timeout: 180
. "$(dirname "$0")/../../lib/systemd.sh"

still_as_before() {
	assert_eq "$(unit_as_it_is vm-a.service)" "$BEFORE" "the unit"
	assert_eq "$(show MainPID vm-a.service)" "${GUEST_PID[a]}" "main process of the unit"
	guest_verify "$DIR/a.orders" blocks
}

unit_guest a vm-a.service Restart=always RestartSec=100ms
SETTINGS=$(settings_of a)
BEFORE=$(unit_as_it_is vm-a.service)

# cancelled while memory is copied, when the unit is held already
move_until local memory
assert_eq "$(show Restart vm-a.service)" no "Restart= while memory is copied"
vmferry cancel --no-wait "${GUEST_PID[a]}"
move_wait 1
still_as_before
assert_at_source

# the source agent dies then, and before COMMITTED with the drop-in for the next boot in place: its guard puts that right, and recover
# the rest
for point in memory before-SRC_COMMITTED; do
	[[ $point == memory ]] || fault "$point" stop
	move_start a local $([[ $point != memory ]] || echo "${SLOW_RAM[@]}")
	if [[ $point == memory ]]; then
		while_ram
		[[ $(unit_as_it_is vm-a.service) != "$BEFORE" ]] || fail "the unit was not held"
	else
		fault_wait
		[[ -e $UNITS/vm-a.service.d ]] || fail "the unit was not kept from starting at the next boot"
	fi
	kill_now "$MOVE_PID"
	recover 1
	still_as_before
	assert_at_source
done

# the guest's QEMU dies meanwhile: it starts again, as it would have without the move
move_until local memory
kill -KILL "${GUEST_PID[a]}"
wait_for 60 process_is_gone "$MOVE_PID" || fail "the move does not end"
assert_result 'r["outcome"] == "rolled-back"'
assert_result 'any("vm-a.service starts the guest again" in n for n in notices)' "notice"
unit_guest_adopt a
assert_eq "$(unit_as_it_is vm-a.service | grep -v MainPID)" "$(grep -v MainPID <<<"$BEFORE")" "the unit"

# somebody restarts the unit meanwhile, which has no Restart=: what was kept from starting then starts afterwards
guest_stop a
systemctl --user stop vm-a.service
rm -f "$DIR/a.console"
unit_guest a vm-a.service Restart=no
move_until local memory
systemctl --user restart vm-a.service 2>/dev/null || true
wait_for 60 process_is_gone "$MOVE_PID" || fail "the move does not end"
assert_result 'r["outcome"] == "rolled-back"'
assert_result 'any("vm-a.service starts the guest again" in n for n in notices)' "notice"
unit_guest_adopt a
assert_eq "$(show ActiveState vm-a.service)" active "the unit"
