#!/bin/bash
# At the destination sockets and logs lie beside each other, and another guest there has one of the same name: a guest that would take it away is
# refused, and `check` says so before. So it is where a file has that name which is no socket, pidfile or log, as the image of a guest that is
# shut down. What nobody uses any more is in nobody's way.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a -serial "file:$DIR/console.log" -pidfile "$DIR/a.pid"
to_listener
THERE=$DIR/there
mkdir "$THERE"
SETTINGS=$(settings_of a)
python3 -S -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); open(sys.argv[1] + ".up", "w"); time.sleep(600)' "$THERE/a.mon" &
other=$!
kill_at_exit "$other"
wait_for 60 test -e "$THERE/a.mon.up"
rm "$THERE/a.mon.up"
before=$(stat -c %i "$THERE/a.mon")

refused() { # FILE WHY
	move_start a "$DEST" --disk-dir "$THERE"
	move_wait 3
	assert_result "'$1' in r['reason'] and '$2' in r['reason']"
	status=0
	vmferry check "${GUEST_PID[a]}" "$DEST" --disk-dir "$THERE" >"$DIR/check.out" 2>&1 || status=$?
	[[ $status -ne 0 ]] || fail "check: $(<"$DIR/check.out")"
	grep -q "$2" "$DIR/check.out" || fail "check: $(<"$DIR/check.out")"
}

refused "$THERE/a.mon" 'is in use there'
assert_eq "$(stat -c %i "$THERE/a.mon")" "$before" "the other guest's socket"
end_process "$other"
echo "what the other guest says" >"$THERE/console.log"
exec {log}>>"$THERE/console.log"
refused "$THERE/console.log" 'is in use there'
assert_eq "$(<"$THERE/console.log")" "what the other guest says" "the other guest's log"
exec {log}>&-

image_is_kept() { # FILE WHY
	mv "$1" "$1.before" 2>/dev/null || true
	cp "$DIR/other.img" "$1"
	refused "$1" "$2"
	cmp "$DIR/other.img" "$1" || fail "the image $1 is another"
	rm "$1"
	mv "$1.before" "$1" 2>/dev/null || true
}
head -c 1M /dev/zero >"$DIR/other.img"
image_is_kept "$THERE/a.mon" 'is no socket'
image_is_kept "$THERE/a.pid" 'is no pidfile'
image_is_kept "$THERE/console.log" 'is an image'
rm "$DIR/other.img"
"$QEMU_IMG" create -q -f qcow2 "$DIR/other.img" 1M
image_is_kept "$THERE/console.log" 'is an image'
echo 4194305 >"$THERE/a.pid"
vmferry check "${GUEST_PID[a]}" "$DEST" --disk-dir "$THERE" >"$DIR/check.out" 2>&1 || fail "check: $(<"$DIR/check.out")"
grep -q "log $THERE/console.log .* exists there: QEMU empties it" "$DIR/check.out" || fail "check: $(<"$DIR/check.out")"
move_start a "$DEST" --disk-dir "$THERE"
move_wait
GUEST_AT[a]=$THERE
guest_verify "$(orders a)" blocks
