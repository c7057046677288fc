#!/bin/bash
# The source agent dies while memory is copied, its guard takes the guest back, and somebody migrates the guest away by QEMU itself.
# recover does not set it going again here: it would run twice.
. "$(dirname "$0")/../../lib/aftermath.sh"

ask() { # COMMAND-JSON
	qmp "$(free_monitor a)" "$1" >/dev/null
}

guest_a
move_until local memory
kill_now "$MOVE_PID"
guard_ends
assert_eq "$(status_of "$(free_monitor a)")" running "the guest that the guard took back"
ask '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}'
wait_for 60 eval '[[ $(status_of "$(free_monitor a)") == postmigrate ]]' || fail "it is not migrated"
recover 5
said recover.log 'another client migrated the guest elsewhere'
assert_eq "$(status_of "$(free_monitor a)")" postmigrate "the guest that is elsewhere"

# The guard is killed, too: nobody takes the guest back, and QEMU's migration ends by itself. What is complete later was begun by somebody else.
ask '{"execute": "cont"}'
rm -rf "$DIR"/d*/
vmferry recover "${GUEST_PID[a]}" >/dev/null 2>&1 || true
move_until there memory
kill_now "$(pgrep -f "^vmferry --guard $DIR/")"
kill_now "$MOVE_PID"
ended() { [[ $(qmp "$(free_monitor a)" '{"execute": "query-migrate"}') =~ '"status": "'(failed|cancelled)'"' ]]; }
wait_for 60 ended || fail "QEMU does not end its migration: $(qmp "$(free_monitor a)" '{"execute": "query-migrate"}')"
is_clean() { ! qmp "$(free_monitor a)" '{"execute": "query-yank"}' | grep -q '"migration"'; }
wait_for 60 is_clean || skip "this QEMU has lost track of its migration"
assert_eq "$(status_of "$(free_monitor a)")" running "the guest whose migration has failed"
off=
known=$(qmp "$(free_monitor a)" '{"execute": "query-migrate-capabilities"}')
for name in multifd return-path pause-before-switchover switchover-ack events x-ignore-shared; do
	[[ $known != *"\"$name\""* ]] || off+="${off:+, }{\"capability\": \"$name\", \"state\": false}"
done
ask '{"execute": "migrate-set-capabilities", "arguments": {"capabilities": ['"$off"']}}'
ask '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 1073741824, "downtime-limit": 20000}}'
ask '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}'
wait_for 60 eval '[[ $(status_of "$(free_monitor a)") == postmigrate ]]' || fail "it is not migrated"
recover 5
said recover.log 'another client migrated the guest elsewhere'
assert_eq "$(status_of "$(free_monitor a)")" postmigrate "the guest that is elsewhere"
