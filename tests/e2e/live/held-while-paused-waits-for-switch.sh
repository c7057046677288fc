#!/bin/bash
# --hold keeps a converged guest that is paused here, too, until someone says switch, and it is paused there. One that is resumed meanwhile goes on to be
# held, and what it writes from then on is copied.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 32M
MEM=256 WITNESS="ram_mb=64 rate=2000 disks=vda disk_mb=8 disk_rate=100" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
state() {
	qmp "$(monitor a)" '{"execute": "query-status"}' | grep -oE '"status": "[a-z-]*"'
}

qmp "$(monitor a)" '{"execute": "stop"}' STOP >/dev/null
qmp "$(monitor a)" '{"execute": "query-migrate-capabilities"}' >"$DIR/fresh"
move_start a local --hold --ram-mode opaque
wait_for 60 is_moving_with a 's["held"]' || fail "the move is not held"
vmferry cancel --no-wait "${GUEST_PID[a]}"
move_wait 1
assert_eq "$(state)" '"status": "paused"' "the guest after a move that was cancelled"
diff -u "$DIR/fresh" <(qmp "$(monitor a)" '{"execute": "query-migrate-capabilities"}') || fail "the source QEMU has other capabilities"
move_start a local --hold --ram-mode opaque
wait_event 'ev["event"] == "notice" and "vmferry switch" in ev["text"]'
wait_for 60 is_moving_with a 's["held"] and s["stage"] == "copy"' || fail "status: $(vmferry status --json)"
vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait
assert_eq "$(state)" '"status": "paused"' "the guest there"

move_start a local --hold
wait_for 60 is_moving_with a 's["held"]' || fail "the second move is not held"
qmp "${GUEST_AT[a]}/a.mon" '{"execute": "cont"}' RESUME >/dev/null
written=$(disk_ops a)
wait_for 60 has_disk_ops a $((written + 50)) || fail "the guest does not run on while held"
wait_for 60 is_moving_with a 's["held"]' || fail "the move is no more held"
vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait
assert_eq "$(state)" '"status": "running"' "the guest there"
guest_verify "$(orders a)" blocks
