#!/bin/bash
# The guest was handed over, its agents and the guard died, and the QEMU that is held here looks as if it hung: somebody starts the guest again beside it.
# recover neither has it started at the destination, nor does it end or let go what is here; a person's word about the destination does
# not speak to the wrong QEMU.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
held=${GUEST_PID[a]}
fault after-SRC_COMMITTED # the destination is not told
to_listener
move_start a "$DEST"
fault_wait
kill_agent_here
then=$(stat -c %y "$DIR/a.raw")
mapfile -d '' line <"/proc/$held/cmdline"
rm "$DIR/a.console"
"${line[@]}" </dev/null >"$DIR/again.stderr" 2>&1 &
again=$!
kill_at_exit "$again"
wait_for 60 grep -qs '^witness ready' "$DIR/a.console" || fail "the guest cannot be started again here: $(<"$DIR/again.stderr")"

recover 6
said recover.log "is open here in process $again"
[[ ! -e $TO/a.mon ]] || fail "the guest is started at the destination: $(status_of "$TO/a.mon")" # the monitor is created when the guest is started
recover 6 --peer-is-fenced --dest 127.0.0.1:1
assert_eq "$(state_of "$held")" T "the QEMU that is held"
assert_eq "$(status_of "$(free_monitor a)")" running "the guest that was started again"

kill_now "$again"
rm -f "$DIR/a.console" "$DIR/a.orders" "$DIR/a.qmp" "$DIR/a.mon"
recover 6
said recover.log 'has been written here since the guest was handed over' # by a guest that began anew, and is gone
touch -d "$then" "$DIR/a.raw"
recover 0
assert_at_destination
