#!/bin/bash
# A standing destination agent with keys: whoever has one may move guests there, through TLS; a wrong key, a stranger's name,
# a source that speaks in clear and a source that has a key for an agent without any are refused, and nothing is touched.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

new_key() { # NAME: prints a line of a key file
	echo "$1:$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')"
}

guest_a
(
	umask 077
	new_key host-a >"$DIR/psk-a"
	new_key host-b >"$DIR/psk-b"
	new_key host-a >"$DIR/psk-wrong"
	new_key host-c >"$DIR/psk-stranger"
	{ echo "# who may come" && cat "$DIR/psk-a" "$DIR/psk-b"; } >"$DIR/psk-both"
)
to_listener --psk-file "$DIR/psk-both"
mkdir "$DIR/scripted"
(cd "$DIR" && vmferry check "${GUEST_PID[a]}" "$DEST" --psk-file psk-a --disk-dir scripted --script) >"$DIR/script" 2>"$DIR/script.log" ||
	fail "check --script: $(<"$DIR/script.log")"
grep -qF -- "--psk-file $DIR/psk-a" "$DIR/script" || fail "the key's path is not absolute: recover would not find it"
move a "$DEST" --psk-file "$DIR/psk-a"
assert_moved
move a "$DEST" --psk-file "$DIR/psk-b" --channels 4 --codec zstd
assert_result 'all(r["cpu_s"]["source"][stage] > 0 for stage in ("compress", "encrypt"))'
assert_result 'all(r["cpu_s"]["destination"][stage] > 0 for stage in ("decrypt", "decompress"))'
assert_moved "$DIR/d1/a.raw"
assert_result 'r["transport"] == "TLS 1.3, TLS_AES_128_GCM_SHA256"'
if beyond_gate unit/test-link e2e/live/works-in-both-ram-modes-and-with-multifd; then
	move a "$DEST" --psk-file "$DIR/psk-a" --ram-mode opaque --channels 1
	assert_moved "$DIR/d2/a.raw"
fi

refused() { # WORDS OPTION...
	move_refused "$1" "$DEST" "${@:2}"
	assert_at_source
}

refused "same key" --psk-file "$DIR/psk-wrong"
refused "same key" --psk-file "$DIR/psk-stranger"
refused "speaks TLS only"
chmod 644 "$DIR/psk-a"
refused "other users can read" --psk-file "$DIR/psk-a"
chmod 600 "$DIR/psk-a"
to_listener
refused "the other end does not speak TLS" --psk-file "$DIR/psk-a"
from=${GUEST_AT[a]}
move a "$DEST"
assert_moved "$from/a.raw"
assert_result 'r["transport"] == "in clear"'
