#!/bin/bash
# --hold keeps a converged guest running here, and says so in its status, until someone says switch.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 32M
MEM=256 WITNESS="ram_mb=64 rate=2000 disks=vda disk_mb=8 disk_rate=100" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
move_start a local --hold
wait_event 'ev["event"] == "notice" and "vmferry switch" in ev["text"]'
wait_for 60 is_moving_with a 's["held"] and s["stage"] == "copy"' || fail "status: $(vmferry status --json)"
wait_for 60 eval 'vmferry status | grep -q held' || fail "status does not say that the move is held"

written=$(disk_ops a)
wait_for 60 has_disk_ops a $((written + 50)) || fail "the guest does not run on while held"
wait_for 60 is_moving_with a 's["held"]' || fail "the move is no more held"
! vmferry status | grep -q round || fail "status tells of rounds that QEMU makes for nothing: $(vmferry status)"
vmferry switch "${GUEST_PID[a]}" >"$DIR/switch.out" || fail "switch: exit code $?"
assert_eq "$(head -n 1 "$DIR/switch.out")" 'switching over now' "the answer"
grep -q '^migrated: the guest runs at the destination' "$DIR/switch.out" || fail "switch has not waited: $(<"$DIR/switch.out")"
move_wait
guest_verify "$(orders a)" blocks
vmferry status | grep -qx 'no move is under way here' || fail "status after the end: $(vmferry status)"
