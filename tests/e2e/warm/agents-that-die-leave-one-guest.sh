#!/bin/bash
# Either agent dies at every step of a warm move: afterwards the guest runs on exactly one side, the exit code of `vmferry recover` says on which, and
# nothing of the move is left. What had shut down for it boots again.
# timeout: 600
. "$(dirname "$0")/../../lib/warm.sh"

declare -i BOOTS=1

# POINT: it has not been told to shut down when the source agent is killed there
source_dies_before() {
	move_until there "$1" --how warm --shutdown-timeout 2
	guard_ends
	wait_for 60 process_is_gone "$MOVE_PID" || fail "$1: the agent lives on"
	recover 1
	runs_at_source $BOOTS
}

# The source's agent dies: the guard boots the guest, before anybody asks.
source_dies_after() {
	move_until there "$1" --how warm
	BOOTS+=1
	wait_for 60 eval '[[ $(boots a) == $BOOTS ]]' || fail "$1: it does not boot again"
	guard_ends
	recover 1
	runs_at_source $BOOTS
}

destination_dies() { # POINT
	move_until listener "$1" --how warm
	move_wait 1
	[[ $1 == dst-prepare || $1 == dst-try-* || $1 == dst-helper-noted ]] || BOOTS+=1
	runs_at_source $BOOTS
}

warm_guest -no-reboot # a reset of ours must be none of the guest's
to_listener
for point in src-shutdown-action src-power-noted; do source_dies_before $point; done
for point in $(some_of src-power-pressed src-pre-switchover src-ready src-completed src-held before-SRC_COMMITTED); do source_dies_after $point; done
for point in $(some_of dst-prepare dst-try-forked dst-try-noted dst-try-launched dst-helper-noted dst-qemu-forked dst-qemu-noted dst-qemu-launched before-DST_PREPARED after-DST_PREPARED); do destination_dies $point; done

# From here on it is the destination's: each time it moves on from where it came to.
arrived() { # The same as assert_at_destination.
	process_is_gone "${GUEST_PID[a]}" || fail "the source QEMU is still there"
	guest_is_there
	assert_arrived
	SETTINGS=$(settings_of a)
}

for point in $(some_of after-SRC_COMMITTED before-SRC_RELEASED after-SRC_RELEASED); do
	move_until listener $point --how warm
	recover 0
	arrived
done
for point in $(some_of before-DST_START after-DST_START before-DST_STARTED after-DST_STARTED before-DST_DONE); do
	move_until listener $point --how warm
	move_wait
	assert_arrived
	SETTINGS=$(settings_of a)
done
