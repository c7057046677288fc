#!/bin/bash
# The source agent dies right after COMMITTED: the guest does not start here by its old script, as its disks are locked. When the guard has died, too, somebody
# starts it all the same: recover changes nothing and says so, until a person says which is to live. After it has written it is undecided.
# tier: gate
. "$(dirname "$0")/../../lib/cold.sh"

guest_at_rest
to_listener
fault after-SRC_COMMITTED
cold_start "$DIR/src" "$DEST"
fault_wait
wait_for 60 process_is_gone "$MOVE_PID" || fail "the agent lives on"
wait_for 60 test -e "$TO/a.raw"

guard_ends
! timeout 20 sh "$DIR"/src/a.sh.moved-* </dev/null &>"$DIR/again" || fail "it starts here while the destination has it"
grep -q 'Failed to get "write" lock' "$DIR/again" || fail "it does not start as: $(<"$DIR/again")"

kill_agent_here
sh "$DIR"/src/a.sh.moved-* </dev/null &>/dev/null &
guest=$!
kill_at_exit $guest
wait_for 60 eval '[[ $(status_of "$DIR/src/a.qmp" 2>/dev/null) == running ]]' || fail "the guest does not start"
recover 6
said recover.log 'is open here in process [0-9]*: the guest may have been started again'
end_process $guest
printf y | dd of="$DIR/src/a.raw" bs=1 conv=notrunc status=none
recover 6
said recover.log 'has been written here since the guest was handed over'
[[ -e $(echo "$DIR"/src/a.sh.moved-*) ]] || fail "something was undone"
