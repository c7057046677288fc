#!/bin/bash
# replica-two-hundred-points.sh [POINTS (200)] [ROUNDS (12)]: points of a busy guest, each with both disks of a pair that is written in order: none may have the second newer than
# the first, or one half written. The same disks by --only-disks, whose rounds end one after the other, must fail that, or this test sees nothing. Prints how
# many of each were inconsistent, and what the points have carried beside what was written.
# timeout: 10800
. "$(dirname "$0")/../lib/replica.sh"

points=${1:-200} rounds=${2:-12}

is_of_a_moment() { # NUMBER NUMBER
	[[ $1 -eq $2 || $1 -eq $(($2 + 1)) ]]
}

is_of_one_moment() { # SLOT
	local first second
	disk_of "$1" 0 && first=$(pair_number "$DIR/point.raw") && disk_of "$1" 2 && second=$(pair_number "$DIR/point.raw") && is_of_a_moment "$first" "$second"
}

partial_number() { # NAME FORMAT: the pair that is in what has come of that disk
	local image
	image=$(ls "$DIR/ahead/$1".vmferry-*-partial)
	"$QEMU_IMG" convert -U -O raw -f "$2" "$image" "$DIR/partial.raw" && pair_number "$DIR/partial.raw"
}

# the pair is on the first and the last of three disks, and the one between them is what else is written
WITNESS="disks=vdb pair=vda,vdc" replica_start
replica_add --keep 2
bad=0
for ((i = 0; i < points; i++)); do
	sync
	is_of_one_moment "$(slots | tail -n 1)" || bad=$((bad + 1))
done
echo "points: $bad of $points inconsistent"
replica status "$A" --json | python3 -S -c 'import json, sys
h = [e for e in json.load(sys.stdin)[0]["history"] if not e.get("whole", True)]
written, sent = sum(e["delta_bytes"] for e in h), sum(e["bytes_wire"] for e in h)
print("of the last %d: written %.1f MB, sent %.1f MB: %.2f of it; %.1f s each" % (len(h), written / 1e6, sent / 1e6, sent / written, sum(e["total_ms"] for e in h) / 1e3 / len(h)))'
replica remove "$A" >/dev/null

mkdir "$DIR/ahead"
ahead=0
for ((i = 0; i < rounds; i++)); do
	vmferry migrate "$A" local --only-disks --bwlimit 4M --disk-dir "$DIR/ahead" >"$DIR/ahead.log" 2>&1 || fail "only-disks: $(tail -n 3 "$DIR/ahead.log")"
	first=$(partial_number "$A.a" raw) && second=$(partial_number "$A.c" raw) && is_of_a_moment "$first" "$second" || ahead=$((ahead + 1))
done
echo "by --only-disks: $ahead of $rounds inconsistent"
writes_on
guest_verify "$DIR/$A.orders" blocks >/dev/null
[[ $bad -eq 0 ]] || fail "$bad points are not of one moment"
[[ $ahead -gt 0 ]] || fail "disks that come one after the other are of one moment: this test sees nothing"
