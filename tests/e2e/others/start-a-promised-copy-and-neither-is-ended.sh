#!/bin/bash
# The destination has promised, all agents are dead, the source has its guest back, and somebody starts the destination's copy by
# QEMU's monitor: recover ends neither, and says so on both sides.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener src-ready:stop
there=$(qemu_dst)
end_agents_there
kill_now "$MOVE_PID"
wait_for 60 runs_here || fail "the guard does not take the guest back"
qmp "$(echo "$DIR"/dst-run/*/vmferry.qmp)" '{"execute": "cont"}' >/dev/null
kill_at_exit "$there"

rm -f "$DIR/dst.out"
listen_dst
recover 6 --dest "$DST_ADDRESS"
said recover.log 'though it was never handed over'
process_is_gone "$there" && fail "the destination's copy was ended"
assert_eq "$(status_of "$(free_monitor a)")" running "the source's copy"

# With one of them gone it is settled.
kill_now "$there"
recover 1 --dest "$DST_ADDRESS"
end_process "$DST_PID"
DST_PID=
assert_at_source
