#!/bin/bash
# Somebody's `stop` between our decision and QEMU's own stop for the switchover looks like that one over QMP: the guest arrives paused.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
for mode in pages opaque; do
	move_until local src-acknowledge:stop --ram-mode $mode
	assert_eq "$(status_of "$(free_monitor a)")" running "run state before the stop"
	qmp "$(free_monitor a)" '{"execute": "stop"}' STOP >/dev/null
	fault_continue
	move_wait
	assert_eq "$(status_of "$(free_monitor a)")" paused "run state after the move ($mode)"
	qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
	guest_verify "$(orders a)" blocks
done
