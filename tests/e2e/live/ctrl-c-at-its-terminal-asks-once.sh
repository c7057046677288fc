#!/bin/bash
# At a terminal Ctrl-C asks, and the move goes on when it is not pressed again, and says so; pressed later it asks anew; pressed twice it rolls the
# move back. While the guest may be had back it asks, too, before it gives that away, even if its other question is still open.
# takes: 15
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

TERMINALS=0

at_terminal() { # STATUS PRESSES [OPTION...]: vmferry migrate at a terminal of its own, held; the key is pressed so often, then `vmferry switch` is said
	TO=$DIR/t$((++TERMINALS))
	mkdir "$TO"
	python3 -S - "$2" "$DIR/typed" "$BIN/vmferry" migrate "${GUEST_PID[a]}" local --disk-dir "$TO" --hold "${@:3}" >"$DIR/screen" <<-'END_OF_PROGRAM' &
		import os, pty, select, sys, time
		presses, typed, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
		pid, terminal = pty.fork()
		if pid == 0:
		    os.execv(command[0], command)
		said, asked, deadline = b"", 0, time.monotonic() + 80
		def press():
		    os.write(terminal, b"\x03")
		while time.monotonic() < deadline:
		    if select.select([terminal], [], [], 0.2)[0]:
		        try:
		            piece = os.read(terminal, 65536)
		        except OSError:
		            break
		        said += piece
		        sys.stdout.buffer.write(piece)
		        sys.stdout.flush()
		    if asked == 0 and b"vmferry switch" in said:
		        press()
		        asked = 1
		    if asked == 1 and b"Press Ctrl-C again" in said:
		        asked = 2
		        if presses == 2:
		            press()
		        else:
		            open(typed, "w").close()
		    if asked == 2 and presses == 1 and b"the move goes on." in said.split(b"goes on.", 1)[-1]:
		        open(typed + ".over", "w").close()
		        press() # asks anew
		        asked = 3
		    if asked == 3 and said.count(b"Press Ctrl-C again") == 2:
		        open(typed + ".anew", "w").close()
		        asked = 4
		    if asked == 4 and b"the guest runs at the destination. Until" in said:
		        press()
		        asked = 5
		    if asked == 5 and b"stay at the destination for good" in said:
		        press()
		        asked = 6
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END_OF_PROGRAM
	MOVE_PID=$!
	kill_at_exit "$MOVE_PID"
	rm -f "$DIR"/typed*
	if [[ $2 -eq 1 ]]; then
		wait_for 60 test -e "$DIR/typed" || fail "it does not ask: $(tail -c 500 "$DIR/screen")"
		wait_for 60 test -e "$DIR/typed.over" || fail "its question is never over: $(tail -c 500 "$DIR/screen")"
		wait_for 60 test -e "$DIR/typed.anew" || fail "it does not ask anew: $(tail -c 500 "$DIR/screen")"
		wait_for 60 is_moving_with a 's["held"]' || fail "the move does not go on: $(vmferry status --json)"
		vmferry switch --no-wait "${GUEST_PID[a]}"
	fi
	local status=0
	wait_for 60 process_is_gone "$MOVE_PID" || fail "it does not end: $(tail -c 500 "$DIR/screen")"
	wait "$MOVE_PID" || status=$?
	assert_eq "$status" "$1" "exit code with $2 presses ($(tail -c 500 "$DIR/screen"))"
}

guest_a
to_local
at_terminal 1 2
grep -q "cancelled by the user" "$DIR/screen" || fail "it does not say why: $(tail -c 500 "$DIR/screen")"
assert_at_source
if beyond_gate; then # the next has all of it, and more
	at_terminal 0 1
	assert_at_destination
fi
at_terminal 0 1 --revert-within 300s
grep -q "stay at the destination for good?" "$DIR/screen" || fail "the answer to another question gave it away: $(tail -c 500 "$DIR/screen")"
grep -q "the guest stays at the destination; finishing" "$DIR/screen" || fail "it does not say so: $(tail -c 500 "$DIR/screen")"
assert_at_destination
