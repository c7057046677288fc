#!/bin/bash
# The source agent dies while memory is copied, its guard takes the guest back, and somebody migrates the guest away by QEMU itself.
# recover does not set it going again here: it would run twice.
. "$(dirname "$0")/../lib/aftermath.sh"

ask() { # COMMAND-JSON
	qmp "$(free_monitor a)" "$1" >/dev/null
}

guest_a
to_local
move_start a "$DEST" "${SLOW_RAM[@]}"
while_ram
kill_now "$MOVE_PID"
wait_for 10 eval '! pgrep -f "^vmferry --guard $DIR/" >/dev/null' || fail "the guard does not end"
assert_eq "$(status_of "$(free_monitor a)")" running "the guest that the guard took back"
ask '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}'
wait_for 60 eval '[[ $(status_of "$(free_monitor a)") == postmigrate ]]' || fail "it is not migrated"
recover 5
said recover.log 'migrated away from here by somebody else'
assert_eq "$(status_of "$(free_monitor a)")" postmigrate "the guest that is elsewhere"
