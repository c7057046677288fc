#!/bin/bash
# replica-write-latency.sh [ROUNDS (4)] [SECONDS (90)] [EVERY (30s)]: how long the writes of a busy guest take, by QEMU's own histogram, in
# turns without points of its replica and with one each EVERY; prints p50, p99, p99.9 and the slowest (upper bounds of bins, each a tenth
# above the one before) of both. Fails if points cannot be made, or if too little is written. Only a machine that does nothing else tells.
# timeout: 10800
. "$(dirname "$0")/../lib/replica.sh"

rounds=${1:-4} seconds=${2:-90} every=${3:-30s}

HISTOGRAM='
import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.makefile("rw")
def ask(command, **arguments):
    f.write(json.dumps({"execute": command, "arguments": arguments}) + "\n"); f.flush()
    while True:
        said = json.loads(f.readline())
        if "error" in said: sys.exit(str(said["error"]))
        if "return" in said: return said["return"]
f.readline(); ask("qmp_capabilities")
row = [r for r in ask("query-blockstats") if r["device"] == "d2"][0]
if sys.argv[2] == "begin":
    ask("block-latency-histogram-set", id=row["qdev"])
    ask("block-latency-histogram-set", id=row["qdev"], **{"boundaries-write": [int(20000 * 1.1 ** i) for i in range(140)]})
else:
    print(json.dumps(row["stats"]["wr_latency_histogram"]))
'

histogram() { # begin|tell: of the disk that is written everywhere
	python3 -S -c "$HISTOGRAM" "$DIR/$A.mon" "$1"
}

measures() { # FILE
	histogram begin
	read -rt "$seconds" <> <(:) || true # what is measured is time itself
	histogram tell >>"$1"
}

told() { # FILE
	python3 -S - "$1" <<-'END'
		import json, sys
		all = [json.loads(line) for line in open(sys.argv[1])]
		bounds, bins = all[0]["boundaries"], [sum(b) for b in zip(*(h["bins"] for h in all))]
		n = sum(bins)
		assert n > 1000, f"{n} writes only"
		def at(part):
		    had = 0
		    for i, b in enumerate(bins):
		        had += b
		        if had >= part * n: return bounds[min(i, len(bounds) - 1)] / 1e6
		print("%d writes: p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, slowest %.1f ms" % (n, at(.5), at(.99), at(.999), at(1)))
	END
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
echo "without: $(told "$DIR/without")"
echo "with a point each $every ($made points): $(told "$DIR/with")"
writes_on
guest_verify "$DIR/$A.orders" blocks >/dev/null
