#!/bin/bash
# Either agent dies as a libvirt guest goes to its replica: it runs once, under libvirt at its primary, where its points go on, until it was given up there, and from its newest
# point, as a plain guest, afterwards.
# timeout: 400
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"
. "$(dirname "$0")/../../lib/libvirt-plain.sh"
export PATH=${QEMU_IMG%/*}:$PATH
THERE=$DIR/both/there # b's own guests' files are not a move's

replica_of_it() {
	to_local
	to_listener
	rm -rf "$THERE"
	mkdir "$THERE"
	"${ON[@]}" "$BIN/vmferry" replica add "$NAME" "$DEST" --disk-dir "$THERE" --reconnect-timeout 3 </dev/null >"$DIR/out" 2>&1 || fail "add: $(<"$DIR/out")"
}

begin_move() {
	TO=$THERE
	rm -f "$DIR/move.json" "$DIR/move.log"
	sed -i "s|^to .*|to $DEST|" "$VMFERRY_STATE_DIR/replica/$NAME.conf" # the destination listens at another port
	"${ON[@]}" "$BIN/vmferry" replica failover "$NAME" --planned --json -v </dev/null >"$DIR/move.json" 2>"$DIR/move.log" &
	MOVE_PID=$!
	kill_at_exit "$MOVE_PID"
}

of_store() { # EXPRESSION over r, replica.json
	python3 -S -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$THERE/$NAME.replica/replica.json" "$1"
}

assert_runs() { # source|destination
	if [[ $1 == destination ]]; then
		assert_runs_plain
		assert_eq "$(of_store "r['term'], r['run']['came']")" "(2, True)" "term and run of the store"
	else
		assert_runs_at source
		assert_eq "$(of_store "r['term'], 'run' in r")" "(1, False)" "term and run of the store"
		[[ ! -e $THERE/$NAME.replica/run ]] || fail "left: $(ls "$THERE/$NAME.replica/run")"
	fi
	assert_nothing_unfinished
}

again() {
	unset VMFERRY_FAULT
	plain_again
	replica_of_it
}

libvirt_guest_runs
replica_of_it
source_dies src-definition-aside source 1
source_dies src-held source 1
destination_dies dst-qemu-noted source 1
source_dies after-SRC_COMMITTED destination 0
again
destination_dies dst-taken-over destination 0
again
destination_dies before-DST_STARTED destination 0
