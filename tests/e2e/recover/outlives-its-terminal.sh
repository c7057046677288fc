#!/bin/bash
# The agent and its guard are killed while the guest stands still; whoever runs `vmferry recover` loses the terminal in the middle of it, and types
# Ctrl-C: the guest is taken back all the same.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until local src-pre-switchover:stop
unset VMFERRY_FAULT
assert_eq "$(status_of "$(free_monitor a)")" finish-migrate "run state"
kill_now "$(pgrep -f "^vmferry --guard $DIR/")"
kill_now "$FAULT_PID"
fault before-SRC_ABORTED stop
"$BIN/vmferry" recover "${GUEST_PID[a]}" -v </dev/null >"$DIR/recover.out" 2>"$DIR/recover.log" &
pid=$!
kill_at_exit $pid
fault_wait
for signal in HUP INT TSTP TERM; do kill -$signal $pid; done
kill -CONT $pid
wait_for 60 runs_here || fail "the guest stands still: $(tail -n 3 "$DIR/recover.log")"
wait_for 60 process_is_gone $pid || fail "recover does not end"
[[ -z $(unfinished_journals) ]] || recover 1
guest_verify "$(orders a)" blocks
