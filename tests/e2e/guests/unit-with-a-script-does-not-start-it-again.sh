#!/bin/bash
# The unit's script starts QEMU again and again by itself, and has started something beside it. It is stopped before the guest can be the destination's, and ended
# before its QEMU, so that the guest does not come back; after a move that failed it goes on.
. "$(dirname "$0")/../../lib/systemd.sh"

LOOP='again() { "$0" again; }; [ "$1" = again ] || { tail -f /dev/null & while :; do again; done; }; exec'

assert_not_restarted() {
	wait_for 60 nobody_has_open "$DIR/a.raw" || fail "the old disk is in use again"
	[[ -z $(pgrep -f "^[^ ]*/qemu-system-[^ ]* .*$DIR/a[.]raw") ]] || fail "the guest was started again"
	assert_eq "$(systemctl --user is-enabled vm-a.service || true)" disabled "the unit"
	guest_verify "$(orders a)" blocks
}

START_WITH=$LOOP unit_guest a vm-a.service Restart=always
SCRIPT=$(show MainPID vm-a.service)
[[ $SCRIPT != "${GUEST_PID[a]}" ]] || fail "the QEMU is the unit's main process"

# rolled back when the script is stopped already
move_until local src-ready:stop
assert_eq "$(state_of "$SCRIPT")" T "state of the script before COMMITTED"
kill_now "$FAULT_PID"
wait_for 60 process_is_gone "$MOVE_PID"
recover 1
[[ $(state_of "$SCRIPT") == [SR] ]] || fail "the script does not go on: $(state_of "$SCRIPT")"
assert_eq "$(show MainPID vm-a.service) $(show Restart vm-a.service)" "$SCRIPT always" "the unit"
guest_verify "$DIR/a.orders" blocks

# the source QEMU dies when all was sent
rm -rf "$DIR/d1"
move_until local src-ready:stop
kill -KILL "${GUEST_PID[a]}"
wait_for 10 process_is_gone "${GUEST_PID[a]}" || true # a zombie of the stopped script's
nobody_has_open "$DIR/a.raw" || fail "the guest was started again"
fault_continue
move_wait
assert_not_restarted
guest_stop a

# the drop-in is removed, as it should be
rm -r "$UNITS/vm-a.service.d"
START_WITH=$LOOP unit_guest a vm-a.service Restart=always
unset "GUEST_AT[a]"
move a local
assert_not_restarted
