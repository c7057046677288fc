#!/bin/bash
# This host has two unfinished moves of guests of one name, one from here and one to here. A person's word that "the peer" is gone could be
# about either other host: it counts for none until the attempt is named.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
to_local
fault src-ready stop # a move to here: of what it had at its source nothing is left
move_start a "$DEST"
fault_wait
there=$(qemu_dst)
kill_at_exit "$there"
agent=$(agent_dst)
kill -KILL "$agent" "$MOVE_PID" # whichever is left alone would end by itself
wait_for 60 process_is_gone "$MOVE_PID" || fail "the agent does not die"
kill_agent_here
rm "$VMFERRY_STATE_DIR"/*-src.journal
kill_now "${GUEST_PID[a]}"

guest_a # a move from here
move_until listener before-SRC_COMMITTED:stop
kill_now "$MOVE_PID"
wait_for 60 runs_here || fail "the guard does not take the guest back"

recover 3 --peer-is-fenced
said recover.log 'Of which other host do you vouch'
process_is_gone "$there" && fail "the copy that arrived has ended"
recover 1
assert_eq "$(status_of "$(free_monitor a)")" running "the guest"
