#!/bin/bash
# The whole destination side dies while copying: the guest runs on at the source, the leftovers are told, and the next
# start of vmferry-dst there removes them, even if the journal is let go of only after that.
# takes: 17
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener memory
session=$(agent_dst)
kill_now "$DST_PID"
kill_now "$session"
move_wait 4
assert_result 'r["guest"] == "source" and len(r["leftovers"]) > 0'
assert_eq "$(status_of "$(free_monitor a)")" running

for journal in $(unfinished_journals); do [[ $journal != "$DIR/dst-state/"* ]] || exec {held}<"$journal"; done
flock -n "$held" || fail "somebody has the journal"
listen_dst --listen "$DEST" {held}<&-
! is_alone || fail "it was not waited for who has the journal"
exec {held}<&-
wait_for 60 is_alone || fail "not removed: $(ours)"
recover 1
assert_at_source
assert_next_move_succeeds
