#!/bin/bash
# A standing vmferry-dst settles what a session of its own has left that was killed. Whatever does that is killed, too: for each session it
# tries once, and the next one that is started there removes all of it.
. "$(dirname "$0")/../../lib/aftermath.sh"

tries() {
	grep -c 'hand-off: JOURNAL in DST_ABORTED' "$DIR/dst.log" || true
}

answers() { # a stranger, whom it sends away: whatever it was about before that is done
	python3 -S -c 'import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
stranger = socket.create_connection((host, int(port)), 10)
stranger.shutdown(socket.SHUT_WR)
while stranger.recv(4096): pass' "$DST_ADDRESS" || fail "the listener does not answer"
}

tried_and_does_no_more() { # a retry without a limit would come a thousand times a second
	local before
	before=$(tries)
	[[ $before -gt 0 ]] || return 1
	answers
	answers
	[[ $(tries) -eq $before && -z $(agent_dst) ]]
}

guest_a
export VMFERRY_FAULT=before-DST_ABORTED:kill # every attempt dies, not only the first
to_listener
unset VMFERRY_FAULT
move_until there disks
session=$(agent_dst)
kill_at_exit "$session"
kill -STOP "$session" # the session does not notice the other's end
kill_now "$MOVE_PID"
kill_now "$session"
wait_for 60 tried_and_does_no_more || fail "it has tried $(tries) times"
assert_eq "$(tries)" 1 "how often it has tried"
[[ -e $TO/a.raw ]] || fail "$TO was cleared all the same"

end_process "$DST_PID"
listen_dst --listen "$DEST"
recover 1
assert_at_source
assert_next_move_succeeds
