#!/bin/bash
# An old image that cannot be removed at once is listed, and `recover` tries again: whatever else was done to the guest and to that name meanwhile,
# it removes that image, and nothing else. Other moves of the guest are not kept waiting for it.
. "$(dirname "$0")/../../lib/storage.sh"

storage_guest
mkdir "$DIR/elsewhere"
leaves_the_old_one() { # DISK TO
	exec {held}<"$1"
	storage_start "${GUEST_PID[a]}" --disk "$1=$2" --old remove
	storage_wait 4
	assert_result "r['outcome'] == 'moved' and '$1 is open in process' in r['leftovers'][0]"
}

# Another image has its name by now: that of another guest, say.
leaves_the_old_one "$DIR/src/a.raw" "$DIR/new/a.raw"
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/elsewhere" >"$DIR/check.out" 2>&1 || fail "another move is refused ($?): $(cat "$DIR/check.out")"
exec {held}<&-
rm "$DIR/src/a.raw"
echo "somebody else's" >"$DIR/src/a.raw"
recover 0
assert_eq "$(<"$DIR/src/a.raw")" "somebody else's" "what has the old image's name"
assert_nothing_unfinished
rm "$DIR/src/a.raw"

# The guest has gone on to where it came from: its script stays so.
storage "${GUEST_PID[a]}" --disk "$DIR/new/a.raw=$DIR/src/a.raw" --old remove
leaves_the_old_one "$DIR/src/a.raw" "$DIR/new/a.raw"
rm "$DIR/src/a.raw"
storage "${GUEST_PID[a]}" --disk "$DIR/new/a.raw=$DIR/src/a.raw" --old remove
exec {held}<&-
recover 0
grep -q "file=$DIR/src/a.raw" "$DIR/src/a.sh" || fail "its script names another image: $(grep -o 'file=[^,]*' "$DIR/src/a.sh")"
[[ -e $DIR/src/a.raw ]] || fail "its image is gone"

# A backup tool takes a snapshot meanwhile: the guest's device uses another node, and that is its own business.
leaves_the_old_one "$DIR/src/a.raw" "$DIR/new/a.raw"
node=$(qmp "$DIR/a.mon" '{"execute": "query-block"}' | python3 -S -c '
import json, sys
print(*[b["inserted"]["node-name"] for b in json.load(sys.stdin) if b.get("inserted", {}).get("file") == sys.argv[1]])' "$DIR/new/a.raw")
qmp "$DIR/a.mon" '{"execute": "blockdev-snapshot-sync", "arguments": {"node-name": "'"$node"'", "snapshot-node-name": "overlay", "snapshot-file": "'"$DIR/new/overlay"'", "format": "qcow2"}}' >/dev/null
recover 4
exec {held}<&-
recover 0
[[ ! -e $DIR/src/a.raw ]] || fail "the old image is still there"
assert_nothing_unfinished
guest_verify "$DIR/a.orders" blocks
