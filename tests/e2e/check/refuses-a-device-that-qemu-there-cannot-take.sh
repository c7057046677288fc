#!/bin/bash
# A device that one QEMU migrates and another does not (NVMe: 11.1, 10.0): what the QEMU there says of it, started with the guest's line, stands in the
# way before anything is copied; to a QEMU that can take it the guest moves.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

OLDER=$(qemu_called 10.0)
guest_disk "$DIR/b.qcow2" qcow2 16M
MACHINE=pc-q35-7.2 MEM=128 WITNESS="ram_mb=8" tiny_start a $(guest_drive d0 "$DIR/b.qcow2" qcow2 nvme)
! qmp "$(monitor a)" '{"execute": "query-migrate"}' | grep -q nvme || skip "this QEMU does not migrate NVMe"
status=0
mkdir "$DIR/there"
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/there" --qemu "$OLDER" >"$DIR/check.out" 2>&1 </dev/null || status=$?
assert_eq "$status" 3 "exit code ($(<"$DIR/check.out"))"
grep -q 'QEMU 10[.0-9]* cannot migrate this guest: non-migratable device: .*nvme' "$DIR/check.out" || fail "check says: $(<"$DIR/check.out")"
vmferry check "${GUEST_PID[a]}" local --how warm --disk-dir "$DIR/there" --qemu "$OLDER" >"$DIR/check.out" 2>&1 </dev/null || fail "warm: $(<"$DIR/check.out")"
move a local
guest_verify "$(orders a)"
