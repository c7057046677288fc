#!/bin/bash
# Somebody saves a snapshot (savevm) of a qcow2 guest while its disks are copied: its QEMU survives that, the move is rolled back, and says why. A move succeeds once
# it is deleted. Its disk is called a.raw, as assert_next_move_succeeds looks for that.
. "$(dirname "$0")/../../lib/aftermath.sh"

"$QEMU_IMG" create -q -f qcow2 "$DIR/a.raw" 24M
"${QEMU_IMG%/*}/qemu-io" -f qcow2 -c 'write -P 7 0 20M' "$DIR/a.raw" >/dev/null
MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" qcow2) $(second_monitor a)
SETTINGS=$(settings_of a)

move_until local disks --codec none --dedup off
said=$(qmp "$(free_monitor a)" '{"execute": "human-monitor-command", "arguments": {"command-line": "savevm s1"}}')
assert_eq "$said" '""' "what savevm says"
! process_is_gone "${GUEST_PID[a]}" || fail "the guest's QEMU has ended"
vmferry set "${GUEST_PID[a]}" bwlimit=0 || true # the move may be over by now
move_wait 1
assert_result '"another client saved a snapshot" in r["reason"]'
assert_at_source

said=$(qmp "$(free_monitor a)" '{"execute": "human-monitor-command", "arguments": {"command-line": "delvm s1"}}')
assert_eq "$said" '""' "what delvm says"
assert_next_move_succeeds

# ended by somebody: it has not shut down
guest_stop a
GUEST_AT=()
rm -rf "$DIR"/d[0-9]*
guest_a
move_until local disks
qmp "$(free_monitor a)" '{"execute": "quit"}' >/dev/null || true
move_wait 8
assert_result 'r["reason"] == "another client ended the source QEMU during the move" and r["guest"] == "none"'
