#!/bin/bash
# The destination host was lost once the guest was handed over, and another agent answers at its address that knows of nothing. That alone
# decides nothing; a person's word does.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener before-DST_START:stop
kill_now "$MOVE_PID"
there=$(qemu_dst)
for pid in "$FAULT_PID" "$DST_PID" "$there"; do
	[[ -n ${PID_BORN[$pid]:-} ]] || kill_at_exit "$pid"
	kill_now "$pid"
done
rm -rf "$DIR/dst-state"/*.journal "$DIR/dst-run"/* "${TO:?}"/* "$TO"/.[!.]*
DST_PID=
address=$DST_ADDRESS
to_listener --listen "$address"
recover 6
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the QEMU that is held"
recover 1 --peer-is-fenced
assert_at_source
