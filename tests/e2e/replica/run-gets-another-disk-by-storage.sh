#!/bin/bash
# The guest runs at the replica's host, and is given another image by vmferry storage: what it writes is there then. Its run is not thrown away, also
# when the QEMU that failover started has ended; --complete takes that disk for what it is.
# takes: 30
# timeout: 300
. "$(dirname "$0")/../../lib/replica.sh"

ready() {
	wait_for 120 grep -aq 'witness ready' "$THERE/$A.console" || fail "it does not come up: $(tail -n 3 "$THERE/$A.console")"
}

replica_start
replica_add
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"
replica failover "$A" --peer-is-fenced >"$DIR/out" 2>&1 || fail "failover: $(cat "$DIR/out")"
pid=$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["run"]["pid"])' "$STORE/replica.json")
kill_at_exit "$pid"
ready
"$BIN/vmferry" storage "$pid" --disk "$STORE/run/disk0.qcow2=$DIR/other.qcow2" --old keep </dev/null >"$DIR/out" 2>&1 || fail "storage: $(cat "$DIR/out")"
[[ -e $STORE/run/disk0.qcow2 ]] || fail "the old image is gone, so this test shows nothing"
kill -KILL "$pid"
wait_for 60 process_is_gone "$pid"
! replica failover "$A" --cancel >"$DIR/out" 2>&1 || fail "the run was thrown away"
says 'names other disks than .*disk0.qcow2' "$DIR/out"
[[ -e $STORE/run/disk1.qcow2 && -e $THERE/$A.sh ]] || fail "something of it is gone"

# again by its script
rm -f "$THERE/$A.console"
sh "$THERE/$A.sh" </dev/null >"$DIR/started" 2>&1 &
kill_at_exit $!
ready
replica failover "$A" --complete >"$DIR/out" 2>&1 || fail "complete: $(cat "$DIR/out")"
[[ ! -e $STORE/run ]] || fail "left: $(ls "$STORE/run")"
[[ $(pair_written "$THERE/$A.orders") -gt 0 ]] || fail "the guest does not write any more"
guest_verify "$THERE/$A.orders" >/dev/null
