#!/bin/bash
# replica-write-latency.sh [ROUNDS (4)] [SECONDS (90)] [EVERY (30s)]: how long the writes of a busy guest take, by QEMU's own histogram, in
# turns without points of its replica and with one each EVERY; prints p50, p99, p99.9 and the slowest of both. Fails if points cannot be made, or if too little is written. Only a machine that does nothing else tells.
# timeout: 10800
. "$(dirname "$0")/../lib/replica.sh"
. "$(dirname "$0")/../lib/write-latency.sh"

rounds=${1:-4} seconds=${2:-90} every=${3:-30s}

measures() { # FILE
	histogram begin
	read -rt "$seconds" <> <(:) || true # time itself is measured
	histogram tell >>"$1"
}

REPLICA_RATE=200 replica_start
replica_add --every "$every" --keep 4
made=$(of_primary 'p["point"]')
for ((i = 0; i < rounds; i++)); do
	measures "$DIR/without"
	"$BIN/vmferry" replica run "$A" </dev/null >"$DIR/run.log" 2>&1 &
	running=$!
	kill_at_exit "$running"
	measures "$DIR/with"
	kill -TERM "$running"
	wait "$running" || fail "run: $(tail -n 3 "$DIR/run.log")"
	[[ ! -s $DIR/run.log ]] || fail "points fail: $(<"$DIR/run.log")"
done
made=$(($(of_primary 'p["point"]') - made))
[[ $made -ge $rounds ]] || fail "$made points were made"
echo "without: $(latencies "$DIR/without")"
echo "with a point each $every ($made points): $(latencies "$DIR/with")"
writes_on
guest_verify "$DIR/$A.orders" blocks >/dev/null
