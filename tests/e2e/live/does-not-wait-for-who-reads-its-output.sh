#!/bin/bash
# A terminal that is full and that nobody reads, one at which Ctrl-Z is pressed, one that another program has (stty tostop), a pipe that nobody reads and one that is closed: the
# guest moves, status answers, and SIGTERM rolls back. What was said can be read afterwards, the result last.
. "$(dirname "$0")/../../lib/aftermath.sh"

unread() { # KIND [OPTION...]: a move that is held, with its output as unread.py has it
	MOVES=$((MOVES + 1))
	TO=$DIR/d$MOVES
	MOVING=a
	mkdir "$TO"
	rm -f "$DIR/orders-to-it" "$DIR/pid" "$DIR/output"
	mkfifo "$DIR/orders-to-it"
	"$TOP/tests/lib/unread.py" "$1" "$DIR/output" "$BIN/vmferry" migrate "${GUEST_PID[a]}" local --disk-dir "$TO" --hold -v "${@:2}" \
		<"$DIR/orders-to-it" >"$DIR/pid" 2>"$DIR/unread.log" &
	HELPER=$!
	kill_at_exit "$HELPER"
	exec 7>"$DIR/orders-to-it"
	wait_for 60 test -s "$DIR/pid" || fail "it does not start"
	MOVE_PID=$(<"$DIR/pid")
	kill_at_exit "$MOVE_PID"
	wait_for 60 is_held || fail "the move comes to nothing, as its output ($1) is not read"
}

is_held() {
	timeout 5 "$BIN/vmferry" status "${GUEST_PID[a]}" --json 2>/dev/null | grep -q '"held":true'
}

no_qemu_dst() {
	[[ -z $(qemu_dst) ]]
}

reader_gets() { # STATUS: read what it said, until it ends
	local status=0
	echo read >&7
	wait_for 60 process_is_gone "$HELPER" || fail "the move does not end"
	exec 7>&-
	wait "$HELPER" || status=$?
	assert_eq "$status" "$1" "exit code"
}

switch_and_verify() {
	vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null
	wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "the guest does not move while the output is not read"
	guest_is_there
	guest_verify "$(orders a)" blocks
}

guest_a

unread pty
echo ctrl-z >&7
is_held || fail "no status after Ctrl-Z"
[[ $(state_of "$MOVE_PID") == [RSD] ]] || fail "vmferry after Ctrl-Z: $(state_of "$MOVE_PID")"
kill "$MOVE_PID"
wait_for 60 no_qemu_dst || fail "SIGTERM is not obeyed"
reader_gets 1
grep -qa 'the guest is now: running on the source' "$DIR/output" || fail "the result cannot be read: $(tail -n 3 "$DIR/output")"

unread pty
switch_and_verify
reader_gets 0
grep -qa 'migrated.*: the guest runs at the destination' "$DIR/output" || fail "the result cannot be read: $(tail -n 3 "$DIR/output")"

unread background
switch_and_verify
reader_gets 0

unread pipe --json=fine
switch_and_verify
reader_gets 0
grep -a '^{' "$DIR/output" | tail -n 1 | grep -q '^{"event":"result","outcome":"migrated"' ||
	fail "the result is not the last line of JSON: $(tail -n 3 "$DIR/output" | cut -c1-100)"

# Nobody ever reads: the move ends all the same.
unread pipe --json
switch_and_verify
wait_for 60 process_is_gone "$MOVE_PID" || fail "it waits for its reader for ever"
reader_gets 0

unread closed --json
switch_and_verify
reader_gets 0
