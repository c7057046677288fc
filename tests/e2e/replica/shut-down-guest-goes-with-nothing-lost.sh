#!/bin/bash
# A guest that has shut down, and whose QEMU stays (set-action shutdown=pause), has a last point, which is a delta and all that it has written; it cannot go there as it
# runs, which says how it can, and is taken over from that point.
. "$(dirname "$0")/../../lib/replica.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

head -c 16M /dev/urandom >"$DIR/$A.raw"
MEM=64 WITNESS="ram_mb=8 rate=100 disks=vda disk_mb=8 disk_rate=40 button=1" tiny_start "$A" $(guest_drive d0 "$DIR/$A.raw" raw) $(second_monitor "$A")
replica_add
qmp "$DIR/$A.mon" '{"execute": "set-action", "arguments": {"shutdown": "pause"}}' >/dev/null
qmp "$DIR/$A.mon" '{"execute": "system_powerdown"}' >/dev/null
wait_for 60 eval '[[ $(status_of "$DIR/$A.mon") == shutdown ]]' || fail "it does not shut down"
! replica failover "$A" --planned >"$DIR/out" 2>&1 || fail "a guest that is shut down goes as it runs"
says "can go there shut down, with nothing lost: vmferry replica failover $A --planned --how warm" "$DIR/out"
assert_eq "$(of_primary 'p["point"], p["whole"], p["exit_code"]')" "(2, False, 0)" "the last point"
assert_eq "$(status_of "$DIR/$A.mon")" shutdown "state of the guest"
replica sync "$A" >"$DIR/out" 2>&1 || fail "sync: $(cat "$DIR/out")"
says 'the guest is on the source, shut down, and its QEMU stays, as it was' "$DIR/out"
replica list >"$DIR/out"
says "^  point 3 of .*, [0-9]+ s ago, of the guest shut down; a point every" "$DIR/out" # at its primary
says "^  point 3 of .*, [0-9]+ s ago, of the guest shut down$" "$DIR/out"	      # at its replica's host: the same
"$BIN/vmferry" jobs --metrics >"$DIR/out"
says "vmferry_replica_lag_seconds\{guest=\"$A\",role=\"replica\"" "$DIR/out"
replica status "$A" >"$DIR/out"
says "^  point 1 of .*, [0-9]+ s ago$" "$DIR/out"
qmp "$DIR/$A.mon" '{"execute": "quit"}' >/dev/null
wait_for 60 process_is_gone "${GUEST_PID[$A]}"
disk_of "$(slots | tail -n 1)" 0
assert_same_content "$DIR/$A.raw" raw "$DIR/point.raw" raw
replica failover "$A" --peer-is-fenced >"$DIR/out" 2>&1 || fail "failover: $(cat "$DIR/out")"
kill_at_exit "$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["run"]["pid"])' "$STORE/replica.json")"
wait_for 60 grep -aq '^witness ready' "$THERE/$A.console" || fail "it does not come up"

# a file in the place of one of its disks is in the way, and stays untouched
echo mine >"$THERE/$A-disk0.raw"
! replica failover "$A" --complete >"$DIR/out" 2>&1 || fail "a file of somebody's is a disk of the guest's now"
says "$A-disk0.raw is there already" "$DIR/out"
assert_eq "$(cat "$THERE/$A-disk0.raw")" mine "what was there"
rm "$THERE/$A-disk0.raw"
replica failover "$A" --complete >"$DIR/out" 2>&1 || fail "complete: $(cat "$DIR/out")"
