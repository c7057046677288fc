#!/bin/bash
# A guest's replica at B goes on to C: its points have the numbers, moments and contents there that they have at B, and each after the first carries what was written
# since. It is so after points were merged at B, after an agent died, and after a disk was left out. What is not at B is not asked for, and the guest is not touched.
# timeout: 400
. "$(dirname "$0")/../../lib/replica.sh"

declare -A ADDRESS_AT
stands() { # HOST: a vmferry-dst with a state of its own
	mkdir -p "$DIR/$1"
	"$BIN/vmferry-dst" --listen 127.0.0.1:0 --plaintext -v --state-dir "$DIR/$1-state" --runtime-dir "$DIR/$1-run" </dev/null >"$DIR/$1.out" 2>"$DIR/$1.log" &
	kill_at_exit $!
	wait_for 60 grep -q '^listening on' "$DIR/$1.out" || fail "vmferry-dst does not listen: $(<"$DIR/$1.log")"
	ADDRESS_AT[$1]=$(sed -n 's/^listening on \([^ ]*\).*/\1/p' "$DIR/$1.out")
}

at_b() { # SUBCOMMAND [WORD...]: where the guest is none of the processes
	VMFERRY_STATE_DIR=$DIR/b-state VMFERRY_RUNTIME_DIR=$DIR/b-run unshare -pf --mount-proc sh -c '"$@"; exit $?' sh "$BIN/vmferry" replica "$@" </dev/null
}

goes_on_to_c() { # [SUBCOMMAND (sync)]: exit code 0, and what it said is in on.json, on.log
	at_b "${1:-sync}" "$A" --json -v >"$DIR/on.json" 2>"$DIR/on.log" || fail "${1:-sync} at B: $? $(grep -o "\"reason\":.*" "$DIR/on.json"; tail -n 3 "$DIR/on.log")"
}

sync_b() {
	replica sync "$A" --json -v >"$DIR/sync.json" 2>"$DIR/sync.log" || fail "sync: $(tail -n 3 "$DIR/sync.json" "$DIR/sync.log")"
}

newest() { # HOST: its slot
	STORE=$DIR/$1/$A.replica slots | tail -n 1
}

of_newest() { # HOST EXPRESSION over p
	in_point "$(newest "$1")" "$2"
}

chain_digest() { # SLOT INDEX
	disk_of "$1" "$2"
	sha256sum <"$DIR/point.raw"
}

assert_same_point() {
	local i
	assert_eq "$(of_newest c 'p["number"], p["at_ms"], p["term"], p["guest"]["argv"]')" "$(of_newest b 'p["number"], p["at_ms"], p["term"], p["guest"]["argv"]')" "the newest point at C"
	for i in 0 1 2; do
		assert_eq "$(chain_digest "$(newest c)" $i)" "$(chain_digest "$(newest b)" $i)" "contents of disk $i at C"
	done
}

at_b_knows() { # EXPRESSION over p
	at_b status "$A" --json | python3 -S -c 'import json, sys
p = [x for x in json.load(sys.stdin) if x["role"] == "onward"][0]
print(eval(sys.argv[1]))' "$1"
}

stands b
stands c
replica_start
replica add "$A" "${ADDRESS_AT[b]}" --plaintext --token-file "$DIR/b-state/token" --disk-dir "$DIR/b" --keep 3 --json -v >"$DIR/sync.json" 2>"$DIR/sync.log" || fail "add: $(tail -n 3 "$DIR/sync.json" "$DIR/sync.log")"
sync_b

# options that ask for a guest are refused
! at_b add "$A" "${ADDRESS_AT[c]}" --plaintext --token-file "$DIR/c-state/token" --disk-dir "$DIR/c" --freeze >"$DIR/out" 2>&1 || fail "--freeze is taken"
grep -q 'is for where the guest runs' "$DIR/out" || fail "--freeze: $(<"$DIR/out")"

at_b add "$A" "${ADDRESS_AT[c]}" --plaintext --token-file "$DIR/c-state/token" --disk-dir "$DIR/c" --keep 2 --json -v >"$DIR/on.json" 2>"$DIR/on.log" || fail "add at B: $(grep -o "\"reason\":.*" "$DIR/on.json"; tail -n 3 "$DIR/on.log")"
assert_same_point
assert_eq "$(at_b_knows 'p["point"], p["whole"], p["to"] == "'"${ADDRESS_AT[c]}"'"')" "(2, True, True)" "what B knows"

# without a new point nothing is sent
at_b sync "$A" >"$DIR/out" 2>&1 || fail "sync without a new point: $(<"$DIR/out")"
grep -q 'no newer point here than 2' "$DIR/out" || fail "sync without a new point says: $(<"$DIR/out")"

# only new writes travel, over points that are merged at B meanwhile
for n in 3 4 5 6; do
	writes_on
	sync_b
done
goes_on_to_c
assert_same_point
assert_eq "$(at_b_knows 'p["point"], p["whole"], p["points"], 0 < p["delta_bytes"] < 16 << 20')" "(6, False, 2, True)" "what B knows of point 6"
writes_on
sync_b
goes_on_to_c
assert_same_point
assert_eq "$(at_b_knows 'p["whole"]')" False "whether all was compared"

# either agent dies, and what comes next is a delta still
writes_on
sync_b
! VMFERRY_FAULT=src-point at_b sync "$A" >"$DIR/out" 2>&1 || fail "nobody has come to src-point"
! VMFERRY_FAULT=src-onward at_b sync "$A" >"$DIR/out" 2>&1 || fail "nobody has come to src-onward"
[[ -z $(find "$DIR/b-run" -name '*.reader' ! -newer "$DIR/out") ]] || echo "its sockets are left until the next attempt"
goes_on_to_c
assert_same_point
assert_eq "$(at_b_knows 'p["whole"]')" False "whether all was compared after a death"
[[ -z $(find "$DIR/b-run" -name '*.reader') ]] || fail "left: $(find "$DIR/b-run" -name '*.reader')"

# compared as a whole
writes_on
sync_b
goes_on_to_c verify
assert_same_point
assert_eq "$(at_b_knows 'p["whole"]')" True "whether all was compared by verify"

# a point that C has stays at B for as long as it is the newest there
number=$(of_newest c 'p["number"]')
for n in 1 2 3 4 5; do
	writes_on
	sync_b
done
STORE=$DIR/b/$A.replica slots >"$DIR/slots"
found=no
while read -r slot; do [[ $(in_point "$slot" 'p["number"]') != "$number" ]] || found=yes; done <"$DIR/slots"
assert_eq "$found" yes "whether B has point $number still"
goes_on_to_c
assert_same_point
assert_eq "$(at_b_knows 'p["whole"]')" False "whether all was compared after that"
STORE=$DIR/c/$A.replica assert_points_are_of_one_moment

# a disk that was left out comes back: there it lies above what C has of it, here above something newer
replica set "$A" disk=d2=empty >/dev/null || fail "a disk is not left out"
writes_on
sync_b
goes_on_to_c
writes_on
sync_b
replica set "$A" disk=d2=copy >/dev/null || fail "a disk does not come back"
writes_on
sync_b
goes_on_to_c
assert_same_point
assert_eq "$(at_b_knows 'p["whole"]')" True "whether all was compared as a disk came back"

# points do not go in a circle
VMFERRY_STATE_DIR=$DIR/c-state VMFERRY_RUNTIME_DIR=$DIR/c-run unshare -pf --mount-proc sh -c '"$@"; exit $?' sh "$BIN/vmferry" replica add "$A" "${ADDRESS_AT[b]}" \
	--plaintext --token-file "$DIR/b-state/token" --disk-dir "$DIR/b" </dev/null >"$DIR/out" 2>&1 && fail "points go round in a circle"
grep -q 'cannot come to it again' "$DIR/out" || fail "a circle: $(<"$DIR/out")"

# the same point is not compared twice, and nothing of it changes
! at_b verify "$A" --json >"$DIR/on.json" 2>&1 || fail "a point that is there is compared again"
grep -q 'is there already' "$DIR/on.json" || fail "verify says: $(tail -n 2 "$DIR/on.json")"

# a removal at B does not go on, and C keeps its points
at_b remove "$A" --peer-is-fenced >"$DIR/out" 2>&1 || fail "remove at B: $(<"$DIR/out")"
grep -q 'do not go on' "$DIR/out" || fail "remove at B says: $(<"$DIR/out")"
[[ -n $(newest b) && -n $(newest c) ]] || fail "points are gone"
! at_b sync "$A" >"$DIR/out" 2>&1 || fail "a replica that was removed goes on"
assert_eq "$(status_of "$DIR/$A.mon")" running "state of the guest"
