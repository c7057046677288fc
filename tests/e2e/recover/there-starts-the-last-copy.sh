#!/bin/bash
# The source is gone for good when the destination has promised: the only copy of the guest waits there. A person who says so
# has it started; without that word it waits, whoever asks. The source's host comes up again after all, and with it the guest: it is told that
# there are two, and once this one is ended that the guest is there.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener src-ready:stop
there=$(qemu_dst)
mapfile -d '' line <"/proc/${GUEST_PID[a]}/cmdline"
kill_agent_here
kill_now "${GUEST_PID[a]}"
end_agents_there
kill_at_exit "$there"

recover_there 6 a
grep -q -- --peer-is-fenced "$DIR/recover.log" || fail "it does not say what to do: $(<"$DIR/recover.log")"
recover_there 2 --peer-is-fenced
recover_there 0 b --peer-is-fenced # no such guest
process_is_gone "$there" && fail "the last copy was ended"
VMFERRY_STATE_DIR=$DIR/dst-state VMFERRY_RUNTIME_DIR=$DIR/dst-run timeout 60 "$BIN/vmferry" recover </dev/null >"$DIR/recover.log" 2>&1 ||
	fail "recover without a name there: $(<"$DIR/recover.log")"
said recover.log '^a move to this host has not ended: a <- .*\. It is settled here by: vmferry recover a$'
! grep -q "nothing to recover" "$DIR/recover.log" || fail "it says, too: $(<"$DIR/recover.log")"
VMFERRY_STATE_DIR=$DIR/dst-state VMFERRY_RUNTIME_DIR=$DIR/dst-run recover 0 --peer-is-fenced # by vmferry, which leaves it to vmferry-dst
guest_is_there "$there"
assert_eq "$(status_of "$(free_monitor a)")" running "the guest"
guest_verify "$(orders a)" blocks
[[ -x $TO/a.sh ]] || fail "nothing starts it again"
[[ -z $(ls -A "$DIR/dst-run") && -z $(find "$DIR/dst-state" -name '*.journal') ]] || fail "left: $(ls -A "$DIR/dst-run" "$DIR/dst-state")"

to_listener
rm -f "$DIR"/a.{console,orders,qmp,mon}
"${line[@]}" </dev/null >"$DIR/again.stderr" 2>&1 &
again=$!
kill_at_exit "$again"
wait_for 60 grep -qs '^witness ready' "$DIR/a.console" || fail "the guest cannot be started again here: $(<"$DIR/again.stderr")"
recover 6 --dest "$DEST"
said recover.log "is open here in process $again: the guest may have been started again"
process_is_gone "$again" && fail "the guest here was ended"
kill_now "$again"
recover 0 --dest "$DEST"
process_is_gone "$there" && fail "the guest was ended by its source's word"
assert_moved
