#!/bin/bash
# The power fails while memory is copied: at the next boot the unit starts the guest as ever. It fails after COMMITTED: then
# the unit does not, as the guest is the destination's; that is for recover, and a person, to settle.
WHOLE_HOST=3
. "$(dirname "$0")/../../lib/systemd.sh"

MOVES=$BOOT
case $BOOT in
1)
	unit_guest a vm-a.service Restart=always RestartSec=100ms
	move_until local memory
	[[ $(show DropInPaths vm-a.service) == /run/* ]] || fail "the unit is not held"
	;;
2)
	unit_guest_adopt a
	assert_eq "$(show MainPID vm-a.service) $(show Restart vm-a.service)" "${GUEST_PID[a]} always" "the unit after a reboot"
	recover 1 # the QEMU of the move has ended, and the unit has started the guest again
	assert_eq "$(show MainPID vm-a.service) $(show DropInPaths vm-a.service)" "${GUEST_PID[a]} " "the unit after recover"
	guest_verify "$DIR/a.orders" blocks

	move_until local after-DST_START:stop
	;;
3)
	assert_eq "$(show ActiveState vm-a.service) $(show Restart vm-a.service)" "inactive no" "the unit after COMMITTED"
	nobody_has_open "$DIR/a.raw" || fail "the old disk is in use again"
	recover 6 # a person decides: the power failed at the destination, too
	"${SYSTEMCTL[@]}" start vm-a.service || true
	assert_eq "$(show ActiveState vm-a.service)" inactive "the unit before a person has decided"
	status=0
	vmferry recover a --peer-is-fenced </dev/null >"$DIR/recover.out" 2>"$DIR/recover.log" || status=$?
	[[ $status -eq 8 ]] || fail "recover --peer-is-fenced: exit code $status: $(cat "$DIR/recover.log")"
	assert_eq "$(show DropInPaths vm-a.service) $(show Restart vm-a.service)" " always" "the unit once that is decided"
	said recover.log 'unit vm-a.service may start the guest again'
	"${SYSTEMCTL[@]}" start vm-a.service
	unit_guest_adopt a
	guest_verify "$DIR/a.orders"
	;;
esac
trap - EXIT # the power fails
exit 0
