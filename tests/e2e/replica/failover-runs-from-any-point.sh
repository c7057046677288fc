#!/bin/bash
# At the replica's host a trial runs from a point beside the guest, while further points come; then, its primary being dead, the guest itself does, from the point that is
# chosen, with what it had then. The term is raised before: who was its primary is refused, until the run is cancelled. No point has changed by any of that.
# timeout: 600
. "$(dirname "$0")/../../lib/replica.sh"

points_digest() {
	find "$STORE/points" -type f -print0 | sort -z | xargs -0r sha256sum
}

ready() { # DIRECTORY: the guest whose sockets are there has come up from its disks, and writes
	wait_for 120 grep -aq 'witness ready' "$1/$A.console" || fail "it does not come up: $(tail -n 3 "$1/$A.console")"
}

found_pair() { # DIRECTORY: "FIRST,SECOND" that the guest there has found on its disks
	pair_says "$1/$A.orders" found
}

replica_start
replica_add
sync
sync
disk_of "$(slots | sed -n 2p)" 0
second=$(pair_number "$DIR/point.raw")
before=$(points_digest)

runs() { # KIND: the pid of the QEMU that runs from a point
	python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]]["pid"])' "$STORE/replica.json" "$1"
}

qemu_of() { # IMAGE: prints who has it open
	local found
	found=$(find /proc/[0-9]*/fd -lname "$1" -printf '%h\n' 2>/dev/null || true) # processes end meanwhile
	[[ -n $found ]] && cut -d/ -f3 <<<"$found" | head -n 1
}

# a trial
replica test "$A" --point 2 >"$DIR/out" || fail "test: $(cat "$DIR/out")"
kill_at_exit "$(runs test)"
ready "$STORE/test"
[[ $(found_pair "$STORE/test") == *"$second"* ]] || fail "the trial has found $(found_pair "$STORE/test"), and point 2 has $second"
! replica test "$A" 2>"$DIR/err" || fail "two trials at once"
says 'a trial of guest .* is under way' "$DIR/err"
writes_on
sync
points_digest >"$DIR/digest"
assert_eq "$(head -n 9 "$DIR/digest")" "$(head -n 9 <<<"$before")" "points from which a trial runs"
replica status "$A" >"$DIR/out"
says "of .*: [0-9]* points: warning" "$DIR/out"
says 'there is a trial of the guest, from point 2, since' "$DIR/out"
assert_eq "$(of_primary 'p["health"], len(p["warnings"])')" "('warning', 1)" "health where it was told as the last point was made"
replica list >"$DIR/out"
says 'as point 4 came there: there is a trial' "$DIR/out"
replica test "$A" --end >"$DIR/out"
[[ ! -e $STORE/test ]] || fail "left of the trial: $(ls "$STORE/test")"

# a trial whose terminal goes (a run of tests under nohup ignores that signal, and so would what it starts)
env --default-signal=HUP "$BIN/vmferry" replica test "$A" --for 1h >"$DIR/out" 2>&1 </dev/null &
trial=$!
wait_for 60 grep -q 'runs from point' "$DIR/out" || fail "no trial for an hour: $(cat "$DIR/out")"
kill -HUP "$trial"
wait "$trial" || fail "a trial whose terminal went: $(cat "$DIR/out")"
[[ ! -e $STORE/test ]] || fail "left of a trial whose terminal went: $(ls "$STORE/test")"

# beside the guest itself
! replica failover "$A" --peer-is-fenced >"$DIR/out" 2>&1 || fail "a failover beside the guest, which runs on this very host"
says "a guest $A runs here already" "$DIR/out"

# killed as it begins: it is noted, and is cleared up
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"
! VMFERRY_FAULT=replica-noted replica failover "$A" --peer-is-fenced >"$DIR/out" 2>&1 || fail "nobody has come to replica-noted"
begun=$(runs run)
[[ -e $STORE/run ]] || fail "no overlays"
exec {held}<"$STORE/run/disk1.qcow2"
! replica failover "$A" --cancel 2>"$DIR/err" || fail "cancelled, though somebody has an overlay open"
says 'may run from its overlays still' "$DIR/err"
exec {held}<&-
[[ -e $STORE/run/disk1.qcow2 ]] || fail "its overlay is gone"
replica failover "$A" --cancel >"$DIR/out" || fail "cancel: $(cat "$DIR/out")"
[[ -n $begun ]] || fail "it is not noted"
wait_for 60 eval '! [[ -e /proc/$begun ]]' || fail "its QEMU runs: $(cat "/proc/$begun/status")"

# killed a moment later: its QEMU waits for whoever is to tell it to begin, and has no disk open
! VMFERRY_FAULT=replica-launched replica failover "$A" --peer-is-fenced >"$DIR/out" 2>&1 || fail "nobody has come to replica-launched"
begun=$(runs run)
kill_at_exit "$begun"
replica failover "$A" --cancel >"$DIR/out" 2>&1 || fail "cancel of a run whose QEMU waits: $(cat "$DIR/out")"
wait_for 60 process_is_gone "$begun" || fail "its QEMU waits still"
[[ ! -e $STORE/run ]] || fail "left: $(ls "$STORE/run")"
replica_start
sync

# in its place
! replica failover "$A" 2>"$DIR/err" || fail "a failover without a word about the primary"
says 'peer-is-fenced' "$DIR/err"
before=$(points_digest)
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"
replica failover "$A" --peer-is-fenced --point 2 >"$DIR/out" 2>"$DIR/err" || fail "failover: $(cat "$DIR/err")"
assert_eq "$(stat -c %a "$THERE/$A.sh")" 700 "mode of a script whose line may hold secrets"
pid=$(runs run)
kill_at_exit "$pid"
ready "$THERE"
[[ $(found_pair "$THERE") == *"$second"* ]] || fail "it has found $(found_pair "$THERE"), and point 2 has $second"
assert_eq "$(points_digest)" "$before" "points"
! vmferry may-start "$A" >"$DIR/out" 2>&1 || fail "may-start says nothing of the guest that runs"
says 'may run already.*run/disk' "$DIR/out"

! replica failover "$A" --complete --cancel 2>"$DIR/err" || fail "one of two words was taken"
says 'say one of --planned, --cancel and --complete' "$DIR/err"
! replica failover "$A" --complete --point 2 2>"$DIR/err" || fail "a point of which a run is completed"
says 'not with --planned, --cancel or --complete' "$DIR/err"

# the primary comes back; one host has no two guests of a name
kill -KILL "$pid"
wait_for 60 process_is_gone "$pid"
replica_start
try_sync
assert_eq "$SYNCED" 3 "exit code of a sync from the primary of before"
says 'replaced: guest .* was taken over at the replica in term 2' "$DIR/sync.log"
replica sync "$A" >"$DIR/out" 2>&1 && fail "a second sync is not refused"
! grep 'the guest is now' "$DIR/out" || fail "what runs here is called the guest"
replica list >"$DIR/out"
says 'what runs here is not it any more' "$DIR/out"
! grep 'would start there' "$DIR/out" || fail "it would start where it runs"
assert_eq "$(of_primary 'p["replaced"], p["health"], len(p["health_why"])')" "(True, 'critical', 1)" "what the primary knows"
! vmferry may-start "$A" 2>"$DIR/err" || fail "the old copy may be started"
says 'taken over at the host of its replica' "$DIR/err"
assert_eq "$(points_digest)" "$before" "points"

# the replica is the guest again
replica failover "$A" --cancel >"$DIR/out" || fail "cancel: $(cat "$DIR/out")"
[[ ! -e $STORE/run && ! -e $THERE/$A.sh ]] || fail "left: $(ls "$STORE" "$THERE")"
sync
rests "$A"
sync
assert_point_is_exact

# for good: disks of its own, as they were at the primary
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"
rm -f "$THERE/$A.console"
replica failover "$A" --peer-is-fenced >"$DIR/out" 2>"$DIR/err" || fail "failover: $(cat "$DIR/err")"
pid=$(runs run)
kill_at_exit "$pid"
ready "$THERE"

# ended, and started again by its script: what has its overlays open is it
kill -KILL "$pid"
wait_for 60 process_is_gone "$pid"
! replica failover "$A" --complete >"$DIR/out" 2>"$DIR/err" || fail "completed a guest that does not run"
says 'does not run from it' "$DIR/err"
rm -f "$THERE/$A.console"
"$THERE/$A.sh" >"$DIR/out" 2>&1 &
wait_for 60 qemu_of "$STORE/run/disk0.qcow2" || fail "it is not started again: $(cat "$DIR/out")"
kill_at_exit "$(qemu_of "$STORE/run/disk0.qcow2")"
ready "$THERE"
! replica failover "$A" --cancel 2>"$DIR/err" || fail "cancelled under a guest that was started again"
says 'may run from its overlays still' "$DIR/err"
touch "$THERE/$A-disk0.raw" # the state of a --complete that is cut off between two disks
! replica failover "$A" --cancel 2>"$DIR/err" || fail "cancelled under a guest that may have disks of its own"
says 'may have disks of its own here by now' "$DIR/err"
rm "$THERE/$A-disk0.raw"
! VMFERRY_FAULT=replica-completed replica failover "$A" --complete >"$DIR/out" 2>&1 || fail "nobody has come to replica-completed"
! replica failover "$A" --cancel 2>"$DIR/err" || fail "cancelled what is completed"
says 'has its own disks here' "$DIR/err"
replica failover "$A" --complete >"$DIR/out" 2>"$DIR/err" || fail "complete: $(cat "$DIR/out" "$DIR/err")"
assert_eq "$(find "$STORE" -type f -printf '%f ' | tr ' ' '\n' | sort | xargs)" "lock replica.json" "what is left"
for disk in disk0.raw disk1.qcow2 disk2.raw; do
	[[ -s $THERE/$A-$disk ]] || fail "no $disk: $(ls "$THERE")"
	grep -q -- "$A-$disk" "$THERE/$A.sh" || fail "what starts it does not name $disk"
done
at=$(pair_written "$THERE/$A.orders")
wait_for 60 pair_has_written "$THERE/$A.orders" $((at + 20)) || fail "it does not write any more"
guest_verify "$THERE/$A.orders" blocks >/dev/null

# the primary of before is refused still, and what it has is the old copy when its replica is forgotten
kill -KILL "$(qemu_of "$THERE/$A-disk0.raw")"
replica_start
try_sync
assert_eq "$SYNCED" 3 "exit code of a sync from the primary of before"
says 'replaced: guest .* was taken over at the replica in term 2' "$DIR/sync.log"
guest_stop "$A"
try_sync
says 'the guest was taken over at the host of its replica, as far as is known here' "$DIR/sync.log"
replica remove "$A" >"$DIR/out" || fail "remove: $(cat "$DIR/out")"
! vmferry may-start "$A" 2>"$DIR/err" || fail "the old copy may be started"
says 'it went to local' "$DIR/err"
