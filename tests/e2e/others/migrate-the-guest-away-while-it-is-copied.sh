#!/bin/bash
# While its disks are copied somebody migrates the guest away by QEMU itself: the move ends, the copy that stands still here is not set
# going again, and nobody is told that it is merely paused. One that is still under way when the move is rolled back goes on.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

ask() { # COMMAND-JSON
	qmp "$(free_monitor a)" "$1" >/dev/null
}

off() { # CAPABILITY...: those that this QEMU has
	local list name known
	known=$(qmp "$(free_monitor a)" '{"execute": "query-migrate-capabilities"}')
	list=$(for name; do [[ $known != *"\"$name\""* ]] || printf ',{"capability":"%s","state":false}' "$name"; done)
	ask "{\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":[${list#,}]}}"
}

migration() { # prints its status
	qmp "$(free_monitor a)" '{"execute": "query-migrate"}' | grep -o '"status": "[^"]*"' | cut -d'"' -f4
}

guest_a
move_until local disks
off multifd pause-before-switchover switchover-ack return-path
ask '{"execute": "migrate", "arguments": {"uri": "exec:exec tail -f /dev/null"}}'
wait_for 60 eval '[[ $(migration) == active ]]' || fail "somebody's migration is $(migration)"
vmferry cancel --no-wait "${GUEST_PID[a]}"
wait_for 60 process_is_gone "$MOVE_PID" || fail "the move does not end"
assert_eq "$(migration)" active "somebody's migration"
[[ -z $(ls -A "$TO") ]] || fail "left at the destination: $(ls -A "$TO")"
ask '{"execute": "migrate_cancel"}'
kill_now "$(pgrep -P "${GUEST_PID[a]}" -x tail)"
wait_for 60 eval '[[ $(migration) == cancelled ]]' || fail "somebody's migration is $(migration)"
recover 1
assert_at_source

move_start a local --bwlimit 500K --json=fine
while_disks
off multifd pause-before-switchover switchover-ack return-path
ask '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}'
move_wait 5
assert_result "r['guest'] == 'source-paused' and 'migrated away by another client' in r['guest_text']"
assert_eq "$(status_of "$(free_monitor a)")" postmigrate "the guest that is elsewhere"
[[ -z $(ls -A "$TO") ]] || fail "left at the destination: $(ls -A "$TO")"
