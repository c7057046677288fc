#!/bin/bash
# Somebody has the port that a vmferry-dst in clear had, or stands between it and the source: neither learns the token, or
# carries a move on; what was said to them opens nothing.
. "$(dirname "$0")/../../lib/aftermath.sh"

refused() { # ADDRESS REASON [OPTION...]
	move_refused "$2" "$1" "${@:3}"
	assert_at_source
}

assert_not_told() { # FILE
	[[ -s $1 ]] || fail "nothing was said at all"
	python3 -S -c '
import sys
said, token = open(sys.argv[1], "rb").read(), open(sys.argv[2]).read().strip()
sys.exit(token.encode() in said or bytes.fromhex(token) in said)' "$1" "$DIR/dst-state/token" || fail "the token was told"
}

guest_a
to_listener
agent=$DEST
listener thief.py "$DIR/thief"
refused "$LISTENER_ADDRESS" "does not know the token"
refused "$LISTENER_ADDRESS" "does not know the token" --plaintext # a source that does not even say so
assert_not_told "$DIR/thief"
end_process "$LISTENER"

mkdir "$DIR/said"
listener record.py "$agent" "$DIR/said"
refused "$LISTENER_ADDRESS" "stands between"
assert_not_told "$DIR/said/0"
end_process "$LISTENER"

# meant to be: then it goes through, and tells no more
to_listener --plaintext
listener record.py "$DST_ADDRESS" "$DIR/said"
move_start a "$LISTENER_ADDRESS" --plaintext
move_wait
assert_moved
assert_not_told "$DIR/said/0"
answer=$(python3 -S "$TOP/tests/lib/record.py" "$DST_ADDRESS" replay "$DIR/said/0" "$(stat -c %s "$DIR/said/0")")
[[ $answer =~ ^ended\ [0-9]+$ && ${answer#* } -lt 3000 ]] || fail "the same words again are answered: $answer"
grep -q "does not know this agent's token" "$DIR/dst.log" || fail "the log has no word of it"
move a "$DST_ADDRESS" --plaintext
assert_moved "$DIR/d$((MOVES - 1))/a.raw"
rm "$VMFERRY_STATE_DIR/token"
refused "$DST_ADDRESS" "wants a token" --plaintext
