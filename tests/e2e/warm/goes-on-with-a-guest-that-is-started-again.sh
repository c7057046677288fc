#!/bin/bash
# A guest shuts down by itself while its disks are copied, and somebody starts it again here before they are: it is moved as one that runs, with
# what it has written since. One that stays off boots at the destination.
# timeout: 300
. "$(dirname "$0")/../../lib/warm.sh"

shuts_down_while_it_is_copied() {
	warm "${SLOW_DISKS[@]}" --bwlimit 300K
	while_disks
	guest_order "$(orders a)" poweroff >/dev/null
	wait_event 'ev["event"] == "notice" and "has shut down by itself" in ev["text"]' >/dev/null
	is_shut_down || fail "its QEMU did not stay: $(status_of "$(free_monitor a)")"
}

warm_guest
fault before-DST_START stop
to_listener
shuts_down_while_it_is_copied
somebody_starts_it_again
wait_event 'ev["event"] == "notice" and "was started here again" in ev["text"]' >/dev/null
wait_for 60 eval '[[ $(boots a) == 2 ]]' || fail "it does not boot again here"
goes_on a
vmferry set "${GUEST_PID[a]}" bwlimit=0
is_told
fault_wait # the guest has shut down here, and does not run there yet
assert_same_disks
fault_continue
move_wait
assert_arrived

guest_stop a
unset "GUEST_AT[a]"
warm_guest
to_local
shuts_down_while_it_is_copied
vmferry set "${GUEST_PID[a]}" bwlimit=0
move_wait
assert_result 'not any("told to shut down" in n for n in notices)'
assert_arrived
