# shellcheck shell=bash
# For tests of vmferry replica; to be sourced. Everything of export.sh, and a guest that has a replica at THERE, on this host.
#
#   replica_start [OPTION...]   the guest: its pair of disks (vda, vdb), and vdc, which is written everywhere
#   replica_add [OPTION...]     its replica, with the first point
#   sync [OPTION...]            one point more; what it said is in DIR/sync.json and sync.log
. "$(dirname "${BASH_SOURCE[0]}")/export.sh"

export PATH=${QEMU_IMG%/*}:$PATH # qemu-img as the host of a replica has it
THERE=$DIR/there
STORE=$THERE/$A.replica
mkdir -p "$THERE"

replica_start() { # [OPTION...]
	[[ -e $DIR/$A.c ]] || head -c "${REPLICA_C:-16M}" /dev/urandom >"$DIR/$A.c"
	WITNESS="disks=vdc disk_mb=0 disk_rate=${REPLICA_RATE:-40} ${REPLICA_DISCARD:-discard=0} ${WITNESS:-}" pair_start "$A" $(guest_drive d2 "$DIR/$A.c" raw) "$@"
	wait_for 60 pair_has_written "$DIR/$A.orders" 20 || fail "the guest does not write"
}

replica() { # SUBCOMMAND [WORD...]
	"$BIN/vmferry" replica "$@" </dev/null
}

replica_add() { # [OPTION...]
	replica add "$A" local --disk-dir "$THERE" --json -v "$@" >"$DIR/sync.json" 2>"$DIR/sync.log" || fail "add: $(tail -n 3 "$DIR/sync.log" "$DIR/sync.json")"
}

try_sync() { # [SUBCOMMAND (sync)]: its exit code is SYNCED
	SYNCED=0
	replica "${1:-sync}" "$A" --json -v >"$DIR/sync.json" 2>"$DIR/sync.log" || SYNCED=$?
}

sync() {
	try_sync "$@"
	assert_eq "$SYNCED" 0 "exit code of vmferry replica ${1:-sync} ($(tail -n 3 "$DIR/sync.log"))"
}

of_primary() { # EXPRESSION over p, what the primary knows
	replica status "$A" --json | python3 -S -c 'import json, sys
p = [x for x in json.load(sys.stdin) if x["role"] == "primary"][0]
print(eval(sys.argv[1]))' "$1"
}

slots() { # prints the directories of the points, the oldest first
	python3 -S - "$STORE" <<-'END'
		import glob, json, sys
		of = [(json.load(open(f)), f[:-len("/point.json")]) for f in glob.glob(sys.argv[1] + "/points/*/point.json") if ".tmp/" not in f]
		for point, slot in sorted(((p["number"], d) for p, d in of if "merging" not in p)):
		    print(slot)
	END
}

in_point() { # SLOT EXPRESSION over p, point.json
	python3 -S -c 'import json, sys; p = json.load(open(sys.argv[1] + "/point.json")); print(eval(sys.argv[2]))' "$1" "$2"
}

disk_of() { # SLOT INDEX: makes DIR/point.raw of it
	"$QEMU_IMG" convert -U -O raw -f "$(in_point "$1" "p['disks'][$2]['format']")" "$1/$(in_point "$1" "p['disks'][$2]['file']")" "$DIR/point.raw"
}

pair_number() { # FILE: the pair that is in its last block
	python3 -S "$TOP/tests/lib/points.py" "$1"
}

assert_points_are_of_one_moment() {
	python3 -S "$TOP/tests/lib/points.py" "$STORE" "$QEMU_IMG" "$DIR/points-seen" 2>"$DIR/points.err" || fail "$(tail -n 1 "$DIR/points.err")"
}

# The guest stands: its newest point has what its disks have.
assert_point_is_exact() {
	local newest i
	local -a disk=("$DIR/$A.a raw" "$DIR/$A.b qcow2" "$DIR/$A.c raw")
	newest=$(slots | tail -n 1)
	for i in 0 1 2; do
		disk_of "$newest" "$i"
		assert_same_content ${disk[i]} "$DIR/point.raw" raw
	done
}

writes_on() { # the guest's writes go on, and none has failed
	local at
	at=$(pair_written "$DIR/$A.orders")
	wait_for 60 pair_has_written "$DIR/$A.orders" $((at + 20)) || fail "the guest does not write any more"
	assert_eq "$(status_of "$DIR/$A.mon")" running "state of the guest"
}

bitmaps() { # prints those of the replica, a line a disk
	qmp "$DIR/$A.mon" '{"execute": "query-named-block-nodes", "arguments": {"flat": true}}' | grep -o '"vmfr-[^"]*"' || true
}

nothing_is_left() { # in QEMU, beside its disks, there
	local left
	assert_eq "$(qmp "$DIR/$A.mon" '{"execute": "query-named-block-nodes", "arguments": {"flat": true}}' | grep -o '"vmferry-[^"]*"')" "" "what is left in QEMU"
	left=$(find "$DIR" -maxdepth 1 -name '.vmferry-*.delta'; find "$STORE/points" -name '*.tmp')
	assert_eq "$left" "" "files that are left"
}
