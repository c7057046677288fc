#!/bin/bash
# While a guest waits for `vmferry switch` (--how warm) somebody migrates it away by QEMU itself: it is neither told to shut down, nor stopped
# (--force), nor let go on here, where it would run a second time.
# timeout: 240
. "$(dirname "$0")/../../lib/warm.sh"

guest_a
for more in '' --force; do
	to_local
	warm --hold --shutdown-timeout 1 $more
	wait_event 'ev["event"] == "notice" and "until you say: vmferry switch a" in ev["text"]' >/dev/null
	qmp "$(free_monitor a)" '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}' >/dev/null
	wait_for 60 eval '[[ $(status_of "$(free_monitor a)") == postmigrate ]]' || fail "it is not migrated: $(status_of "$(free_monitor a)")"
	vmferry switch --no-wait "${GUEST_PID[a]}"
	move_wait 5
	assert_result '"migrated away by another client" in r["guest_text"]'
	assert_eq "$(status_of "$(free_monitor a)")" postmigrate "the guest that is elsewhere"
	qmp "$(free_monitor a)" '{"execute": "cont"}' RESUME >/dev/null
done
