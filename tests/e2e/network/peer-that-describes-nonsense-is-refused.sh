#!/bin/bash
# Descriptions of a guest that are none, as JSON is: each is refused with a reason, and no session of the destination ends by a crash. So is
# one whose QEMU is to run a program that is not there.
# And a source that takes up an earlier move describes no other one in that session.
. "$(dirname "$0")/../../lib/aftermath.sh"

tell() { # MESSAGE...: $DIR/answer
	printf '%s\n' "$@" | python3 -S "$TOP/tests/lib/source.py" "$DST_ADDRESS" "$(<"$DIR/dst-state/token")" >"$DIR/answer" || fail "no talk: $(<"$DIR/answer")"
}

mkdir "$DIR/there"
to_listener
attempt=000102030405060708090a0b0c0d0e0f
describe() { # MEMBER...
	local members='"name": "x", "exe": "'$QEMU'", "argv": ["q", "-machine", "none", "-kernel", "/x"], "channels": 1, "disk_dir": "'$DIR/there'"' member
	for member; do members+=", $member"; done
	tell "0x8010 $attempt {$members}"
	grep -q '^error: \|^frame 0x8011$' "$DIR/answer" || fail "with $* it answers: $(<"$DIR/answer")"
}

disk='"disks": [{"object": 1, "real_path": "/a", "file": "/a", "format": "raw", "path": "'$DIR/there/a'"'
describe '"files": [{"role": "backing", "name": "/base", "object": 1, "parent": -1}]'
grep -q "backing file is incomplete" "$DIR/answer" || fail "it answers: $(<"$DIR/answer")"
for odd in '"files": [{"role": "backing", "path": 1, "name": "/base"}]' '"files": [{"path": "/x"}, 1, null, [], {"role": "kernel"}]' \
	'"disks": [1]' "$disk"', "acl": 7, "backing": 3, "virtual_size": -1}]' '"map_net": {"a": 1}' '"configs": [{"path": 1}, {"text": 2}]' \
	'"argv": [1, null]' '"argv": []' '"argv": "x"' '"env": {"LD_LIBRARY_PATH": 3}' '"name": 1' '"exe": []' '"channels": -1' '"disk_dir": ""'; do
	describe "$odd"
done
describe '"argv": ["q", "-machine", "none", "-netdev", "bridge,id=n,helper='"$DIR"'/none"]'
grep -q "needs script $DIR/none, which does not exist at the destination" "$DIR/answer" || fail "it answers: $(<"$DIR/answer")"
# A source that refuses its guest hears the obstacles here, and fewer checks are made: it has no guest to bring.
truncate -s 1M "$DIR/others.raw"
line='"name": "x", "exe": "'$QEMU'", "argv": ["q", "-machine", "none", "-drive", "if=none,format=raw,file='$DIR/others.raw'"], "channels": 1'
prepare="0x8012 $attempt {\"secret\": \"$(printf '%0384d' 0)\"}"
tell "0x8010 $attempt {$line}" "$prepare"
grep -q "the destination's QEMU would open what has its name there" "$DIR/answer" || fail "it answers: $(<"$DIR/answer")"
tell "0x8010 $attempt {$line, \"refused\": true}" "$prepare"
grep -q "unexpected PREPARE" "$DIR/answer" || fail "it answers: $(<"$DIR/answer")"
tell "0x8010 $attempt []"
grep -q '^error: ' "$DIR/answer" || fail "an array: $(<"$DIR/answer")"

guest_a
move_until there after-SRC_COMMITTED
journal=$(find "$DIR/dst-state" -name '*-dst.journal')
id=$(basename "$journal" -dst.journal)
odd_state=$'\005' # a state of a destination, which changes nothing
tell "0x803a $id $odd_state{}" "0x8010 $attempt {}"
grep -q "^error: DESCRIBE in a session that is about an earlier move" "$DIR/answer" || fail "it answers: $(<"$DIR/answer")"
recover 0
assert_at_destination
