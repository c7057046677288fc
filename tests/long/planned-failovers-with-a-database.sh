#!/bin/bash
# planned-failovers-with-a-database.sh [ROUNDS (3)]: a guest with a database that takes transactions all the time goes to its replica as it runs, and back, its replica with it: no
# row is lost, ever. Then it goes there and back by migrate. Prints how long it stood still in either.
# timeout: 3600
. "$(dirname "$0")/../lib/replica.sh"

rounds=${1:-3}
BACK=$DIR/back
ORDERS=$DIR/$A.orders
ROWS=0
mkdir "$BACK"

at() { # a|b SUBCOMMAND [WORD...]
	local -a dirs=()
	[[ $1 == a ]] || dirs=(VMFERRY_STATE_DIR="$DIR/dst-state" VMFERRY_RUNTIME_DIR="$DIR/dst-run")
	env "${dirs[@]}" "$BIN/vmferry" "${@:2}" </dev/null >"$DIR/out" 2>"$DIR/err" || fail "at $1: ${*:2}: $(tail -n 5 "$DIR/out" "$DIR/err")"
}

has_all_rows() { # ORDERS: where the guest is now
	local said ops rows
	ORDERS=$1
	said=$(guest_verify "$ORDERS" blocks) || fail "the database is damaged: $said"
	rows=$(sed -n 's/.* blocks_checked=\([0-9]*\) .*/\1/p' <<<"$said")
	[[ $rows -ge $ROWS ]] || fail "rows are gone: $ROWS before, $rows after"
	ROWS=$rows
	wait_for 60 takes_more "$rows" || fail "the database takes no transactions any more"
}

takes_more() { # ROWS
	local rows
	rows=$(guest_verify "$ORDERS" blocks | sed -n 's/.* blocks_checked=\([0-9]*\) .*/\1/p')
	[[ $rows -gt $(($1 + 50)) ]]
}

stood() { # FILE: as the move's result has it
	tail -n 1 "$DIR/out" | python3 -S -c 'import json, sys
r = json.load(sys.stdin)
assert r["exit_code"] == 0, r
print(r["downtime_ms"]["total"])' >>"$1"
}

runs_in() { # STORE: ends with the test
	kill_at_exit "$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1] + "/replica.json"))["run"]["pid"])' "$1")"
}

listen_dst
b=$DST_ADDRESS
DST_NUMBER=2 listen_dst --state-dir "$VMFERRY_STATE_DIR"
a=$DST_ADDRESS

guest_ext4 "$DIR/a.raw" raw 64M
MEM=256 WITNESS="ram_mb=8 rate=100 db=vda db_rate=0" guest_start "$A" $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor "$A")
wait_for 180 has_disk_ops "$A" 300 || fail "the database takes no transactions"
at a replica add "$A" "$b" --disk-dir "$THERE"
for ((i = 0; i < rounds; i++)); do
	at a replica failover "$A" --planned --json
	runs_in "$STORE"
	stood "$DIR/planned"
	has_all_rows "$THERE/$A.orders"
	at b replica reverse "$A" "$a" --disk-dir "$BACK"
	rm -f "$DIR/a.raw" "$BACK/$A-disk0.raw" # the guest's earlier disks there
	has_all_rows "$THERE/$A.orders"
	at b replica failover "$A" --planned --json
	runs_in "$BACK/$A.replica"
	stood "$DIR/planned"
	has_all_rows "$BACK/$A.orders"
	at a replica reverse "$A" "$b" --disk-dir "$THERE"
	rm -f "$THERE/$A-disk0.raw"
	has_all_rows "$BACK/$A.orders"
done
at a replica remove "$A"
for ((i = 0; i < rounds; i++)); do
	rm -rf "$DIR/m" && mkdir "$DIR/m"
	at a migrate "$A" "$b" --disk-dir "$DIR/m" --json
	stood "$DIR/moves"
	has_all_rows "$DIR/m/$A.orders"
	rm -rf "$DIR/n" && mkdir "$DIR/n"
	at b migrate "$A" "$a" --disk-dir "$DIR/n" --json
	stood "$DIR/moves"
	has_all_rows "$DIR/n/$A.orders"
done
echo "to the replica and back, stood still for: $(sort -n "$DIR/planned" | xargs) ms"
echo "by migrate:                               $(sort -n "$DIR/moves" | xargs) ms; $ROWS rows at the end"
