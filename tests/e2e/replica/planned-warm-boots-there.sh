#!/bin/bash
# A guest with a device whose state QEMU cannot carry does not go to its replica as it runs. The refusal names the way on which it gets there, and none by vmferry
# migrate: it is shut down, what it has written since the newest point goes over, and it boots there, its primary from then on. A move that fails, or whose agent is
# killed, leaves it running once.
# timeout: 600
. "$(dirname "$0")/../../lib/replica.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

of_store() { # EXPRESSION over r, replica.json
	python3 -S -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$STORE/replica.json" "$1"
}

starts() { # [OPTION...]: its replica, too
	head -c 16M /dev/urandom >"$DIR/$A.raw"
	mkdir -p "$DIR/shared"
	MEM=64 WITNESS="ram_mb=8 rate=100 disks=vda disk_mb=8 disk_rate=40 button=1" tiny_start "$A" $(guest_drive d0 "$DIR/$A.raw" raw) $(second_monitor "$A") \
		-device usb-ehci,id=ehci -device usb-mtp,bus=ehci.0,rootdir="$DIR/shared",readonly=on
	replica_add "$@"
}

warm() { # [OPTION...]: its exit code is WENT
	WENT=0
	replica failover "$A" --planned --how warm -v "$@" >"$DIR/out" 2>"$DIR/err" || WENT=$?
}

has_booted() { # DIRECTORY TIMES
	[[ $(grep -ac '^witness ready' "$1/$A.console" || true) == "$2" ]]
}

runs_there() {
	kill_at_exit "$(of_store "r['run']['pid']")"
	assert_eq "$(of_store "(r['term'], r['run']['came'])")" "(2, True)" "term and run of the store"
	wait_for 60 process_is_gone "${GUEST_PID[$A]}" || fail "it is here, too"
	wait_for 60 has_booted "$THERE" 1 || fail "it does not boot there"
	assert_eq "$(status_of "$THERE/$A.mon")" running "state of the guest there"
	[[ ! -e $VMFERRY_STATE_DIR/replica/$A.conf ]] || fail "points would be made from where it is no more"
}

starts
! replica failover "$A" --planned >"$DIR/out" 2>&1 || fail "a guest goes with what QEMU cannot carry"
says 'non-migratable device' "$DIR/out"
says "can go there shut down, with nothing lost: vmferry replica failover $A --planned --how warm" "$DIR/out"
! grep 'vmferry migrate' "$DIR/out" || fail "it is told to go by a move"
assert_eq "$(status_of "$DIR/$A.mon")" running "state of the guest"
WENT=0
replica failover "$A" --how warm --peer-is-fenced >"$DIR/out" 2>&1 || WENT=$?
assert_eq "$WENT" 2 "exit code of options that exclude each other ($(<"$DIR/out"))"

# the failover fails at the last moment: the guest boots here again, its primary is unchanged
VMFERRY_FAULT=dst-taken-over:fail warm
assert_eq "$WENT" 1 "exit code ($(tail -n 5 "$DIR/err" "$DIR/out"))"
wait_for 60 has_booted "$DIR" 2 || fail "it does not boot at its primary again"
assert_eq "$(of_store "(r['term'], 'run' in r)")" "(1, False)" "term and run of the store"
[[ ! -e $STORE/run ]] || fail "left: $(ls "$STORE/run")"
sync
assert_eq "$(of_primary "p['whole']")" False "the next point was everything"
nothing_is_left

# the guest goes: when it has shut down both have the same
VMFERRY_FAULT=before-DST_START:stop:$DIR/stopped warm --json &
move=$!
kill_at_exit "$move"
wait_for 60 eval '[[ -s $DIR/stopped ]]' || fail "nobody has come to before-DST_START: $(tail -n 5 "$DIR/err" "$DIR/out")"
"$QEMU_IMG" convert -U -O raw -f qcow2 "$STORE/run/disk0.qcow2" "$DIR/there.raw"
assert_same_content "$DIR/$A.raw" raw "$DIR/there.raw" raw
kill -CONT "$(<"$DIR/stopped")"
wait "$move" || fail "it does not go: $(tail -n 5 "$DIR/err" "$DIR/out")"
runs_there
tail -n 1 "$DIR/out" | python3 -S -c 'import json, sys; r = json.load(sys.stdin)
assert r["how"] == "warm" and r["disks"][0]["bytes_read"] < 12 << 20, r'
replica failover "$A" --complete >"$DIR/out" 2>"$DIR/err" || fail "complete: $(cat "$DIR/out" "$DIR/err")"
assert_eq "$(find "$STORE" -type f -printf '%f ' | tr ' ' '\n' | sort | xargs)" "lock replica.json" "what is left"

# an agent is killed at a step: once that is settled the guest runs at one place
is_settled() {
	vmferry recover </dev/null >"$DIR/recover.out" 2>&1 || true
	! compgen -G "$VMFERRY_STATE_DIR/*.journal" >/dev/null
}

next_point_settles_it() { # by the agent that makes it
	try_sync
	! compgen -G "$VMFERRY_STATE_DIR/*-src.journal" >/dev/null
}

is_up_once() {
	case $(status_of "$DIR/$A.mon" 2>/dev/null || true)-$(status_of "$THERE/$A.mon" 2>/dev/null || true) in
	running-) has_booted "$DIR" 2 ;;
	-running) has_booted "$THERE" 1 ;;
	*) false ;;
	esac
}

for step in $(some_of before-SRC_COMMITTED dst-qemu-launched after-DST_PREPARED after-SRC_COMMITTED before-DST_START after-DST_START before-DST_STARTED \
	after-DST_STARTED before-SRC_RELEASED after-SRC_RELEASED dst-taken-over); do
	A=$ID-$step STORE=$THERE/$A.replica
	starts --reconnect-timeout 2
	VMFERRY_FAULT=$step:kill:$DIR/killed-$step warm
	[[ -s $DIR/killed-$step ]] || fail "nobody has come to $step: $(tail -n 5 "$DIR/err" "$DIR/out")"
	[[ $step != before-SRC_COMMITTED ]] || wait_for 60 next_point_settles_it || fail "$step: the next point does not settle the move: $(tail -n 3 "$DIR/sync.log")"
	wait_for 120 is_settled || fail "$step is not settled: $(tail -n 5 "$DIR/recover.out")"
	wait_for 60 is_up_once || fail "$step: at its primary it is $(status_of "$DIR/$A.mon"), at its replica $(status_of "$THERE/$A.mon")"
	if has_booted "$THERE" 1; then
		runs_there
	else
		assert_eq "$(of_store "(r['term'], 'run' in r)")" "(1, False)" "$step: term and run of the store"
		sync
		nothing_is_left
	fi
done
