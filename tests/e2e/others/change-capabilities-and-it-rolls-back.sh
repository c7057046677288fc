#!/bin/bash
# Somebody switches pause-before-switchover off while disks are copied, or at the last moment: QEMU would hand the guest over
# without the last round of its disks. The move is rolled back and says what happened. A parameter that no move of ours sets stays as somebody sets it.
. "$(dirname "$0")/../../lib/aftermath.sh"

off='{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [{"capability": "pause-before-switchover", "state": false}]}}'

guest_a
move_until local disks
qmp "$(free_monitor a)" '{"execute": "migrate-set-parameters", "arguments": {"announce-rounds": 7}}' >/dev/null
qmp "$(free_monitor a)" "$off" >/dev/null
vmferry set "${GUEST_PID[a]}" bwlimit=0
move_wait 1
assert_result '"another client has changed the migration capability pause-before-switchover" in r["reason"]'
[[ $(qmp "$(free_monitor a)" '{"execute": "query-migrate-parameters"}') == *'"announce-rounds": 7'* ]] || fail "announce-rounds was put back"
qmp "$(free_monitor a)" '{"execute": "migrate-set-parameters", "arguments": {"announce-rounds": 5}}' >/dev/null
assert_at_source

at_the_last_moment() { # local|there [OPTION...]
	move_until "$1" src-migrate:stop "${@:2}"
	qmp "$(free_monitor a)" "$off" >/dev/null
	fault_continue
	move_wait 1
	assert_result '"without waiting for us" in r["reason"]'
}

at_the_last_moment there
assert_at_source
assert_next_move_succeeds

# QEMU 7.2 stops the guest and says nothing more.
guest_stop a
rm -f "$DIR"/a.*
unset "GUEST_AT[a]"
QEMU=$(qemu_called 7.2) QEMU_THERE=
guest_a
for how in live quick; do
	at_the_last_moment local --how $how
	assert_at_source
done
qmp "$(free_monitor a)" '{"execute": "stop"}' >/dev/null
at_the_last_moment local
assert_result '"paused as it was" in r["guest_text"]'
