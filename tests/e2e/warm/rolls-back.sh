#!/bin/bash
# A move that fails before the guest is handed over leaves it at the source: it has just run on, or, if it was shut down for this, it boots
# there again, from the disks that it has there; and it shuts down as it did before.
# timeout: 300
# takes: 30
# tier: gate
. "$(dirname "$0")/../../lib/warm.sh"

again() { # BOOTS
	runs_at_source "$1"
	to_local
}

warm_guest
to_local

# Cancelled while its disks are copied, and while it waits for `vmferry switch`.
warm "${SLOW_DISKS[@]}"
while_disks
kill -TERM "$MOVE_PID"
move_wait 1
assert_result '"running on the source" in r["guest_text"] and not any("told" in n for n in notices)'
again 1
warm --hold
wait_event 'ev["event"] == "notice" and "until you say: vmferry switch a" in ev["text"]' >/dev/null
kill -TERM "$MOVE_PID"
move_wait 1
again 1

# Cancelled when it has been told to shut down, or has.
for point in src-power-pressed src-pre-switchover; do
	move_until there $point:stop --how warm
	kill -TERM "$MOVE_PID"
	fault_continue
	move_wait 1
	[[ $point == src-power-pressed ]] && boots=2 || boots=3
	again $boots
done

# The destination cannot start it: known before it is shut down, or else before anything is promised.
warm --map-net nosuch=none
move_wait 3
fault dst-try-forked exit
warm
move_wait 1
assert_result 'not any("told" in n for n in notices)'
again 3
fault dst-qemu-forked exit
warm
move_wait 1
again 4

# The guest reboots instead.
move_until there src-power-noted:stop --how warm
qmp "$(free_monitor a)" '{"execute": "stop"}' >/dev/null # the button is not seen
fault_continue
is_told
qmp "$(free_monitor a)" '{"execute": "system_reset"}' RESET >/dev/null
qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
move_wait 1
assert_result '"rebooted instead" in r["reason"]'
again 5

# Paused, it could not shut down.
qmp "$(free_monitor a)" '{"execute": "stop"}' >/dev/null
warm
move_wait 3
assert_result '"is stopped, and cannot shut down" in r["reason"]'
qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
again 5

# The guest shuts down as it ever did.
guest_order "$(orders a)" poweroff >/dev/null
wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "its QEMU is still there"
warm_guest
to_local

# By itself, while its disks are copied, and then the move is rolled back: it is as it would have been without.
warm "${SLOW_DISKS[@]}"
while_disks
guest_order "$(orders a)" poweroff >/dev/null
wait_event 'ev["event"] == "notice" and "has shut down by itself" in ev["text"]' >/dev/null
kill -TERM "$MOVE_PID"
move_wait 8
assert_result 'r["guest"] == "shut-down" and "leftovers" not in r'
wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "its QEMU is still there"
assert_nothing_unfinished
assert_eq "$(ls -A "$TO")" "" "files at the destination"

# A guest whose QEMU stays when it shuts down is left so, whenever that is.
warm_guest -action shutdown=pause,reboot=reset
to_local
fault after-SRC_ABORTED stop
warm --hold # with no reads under way: a QEMU that stops its guest waits for them, and the agent is stopped
wait_event 'ev["event"] == "notice" and "until you say: vmferry switch a" in ev["text"]' >/dev/null
kill -TERM "$MOVE_PID"
fault_wait
guest_order "$(orders a)" poweroff >/dev/null
wait_for 60 is_shut_down
fault_continue
move_wait 1
assert_result 'r["guest"] == "shut-down" and r["where"] == "source"'
assert_eq "$(status_of "$(free_monitor a)")" shutdown "QEMU's run state"
assert_nothing_unfinished
assert_eq "$(ls -A "$TO")" "" "files at the destination"
