#!/bin/bash
# A guest that is to go on in another QEMU of its host, and whatever fails then: it runs on in the one that it had, under the names that it had, and
# nobody reaches the other one meanwhile. After the hand-over it is the other way round. The next attempt succeeds.
# timeout: 400
# takes: 40
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

has_its_names() { # PID
	local socket
	for socket in a.qmp a.mon a.orders; do assert_eq "$(who_listens "$DIR/$socket")" "$1" "who listens at $socket"; done
	assert_eq "$(<"$DIR/a.pid")" "$1" "the pidfile"
}

at_source() {
	wait_for 60 is_alone || fail "not alone: $(ours | xargs -r ps -o pid=,args= -p)"
	has_its_names "${GUEST_PID[a]}"
	assert_eq "$(find "$DIR" -name '*.vmferry-*')" "" "what is left of the move"
	! grep 'if it is not needed, delete it' "$DIR/move.log" || fail "that is said of what the guest needs"
	assert_settled
}

in_place() { # [OPTION...]
	move_start a local --in-place "$@"
}

goes_on() {
	unset VMFERRY_FAULT
	in_place
	move_wait
	has_its_names "${GUEST_PID[a]}"
	assert_settled
}

# a debugger that connects stops the guest, so nobody is to try whether its socket is in use
guest_a -pidfile "$DIR/a.pid" -gdb "unix:$DIR/a.gdb,server=on,wait=off"
to_local

# called off, and meanwhile whoever calls a monitor speaks with the QEMU that has the guest
in_place "${SLOW_RAM[@]}"
while_ram
has_its_names "${GUEST_PID[a]}"
"$BIN/vmferry" cancel --no-wait a >/dev/null
move_wait 1
at_source

# the other QEMU dies, or ends as QEMUs do, which removes what has the names of its sockets
for signal in KILL TERM; do
	[[ $signal == TERM ]] || beyond_gate || continue # SIGKILL removes nothing
	in_place "${SLOW_RAM[@]}"
	while_ram
	kill -$signal "$(the_other_qemu)"
	move_wait 1
	at_source
done

# the agent that had set the names aside, or hidden the others, dies: the next one gives them back
for point in $(some_of dst-set-aside dst-qemu-forked dst-qemu-noted dst-qemu-launched dst-hidden-in-place after-DST_PREPARED); do
	move_until local $point --in-place
	move_wait 1
	at_source
done

# a QEMU that it had started, which has made its files, and is not hidden yet
it_has_its_pidfile() {
	[[ -s $DIR/a.pid && $(<"$DIR/a.pid") == "$(the_other_qemu)" ]]
}
move_until local dst-qemu-launched:stop --in-place
wait_for 60 it_has_its_pidfile || fail "the other QEMU does not start"
kill_now "$(the_other_qemu)"
kill_now "$FAULT_PID"
move_wait 1
at_source

# or a destination that cannot go on
for point in dst-set-aside dst-hidden-in-place; do
	[[ $point == dst-set-aside ]] || beyond_gate unit/test-in-place || continue
	move_until local $point:exit --in-place
	move_wait 1
	at_source
done

# both agents die, and a person comes
for point in $(some_of dst-set-aside dst-qemu-launched dst-hidden-in-place); do
	move_until local $point:stop --in-place
	kill_now "$MOVE_PID"
	kill_now "$FAULT_PID"
	guard_ends
	recover 1
	at_source
done
goes_on

# a person vouches for the wrong one: the new QEMU is dead, and the names stay where the guest is
move_until local after-DST_PREPARED:stop --in-place
kill_now "$(the_other_qemu)"
kill_now "$MOVE_PID"
kill_now "$FAULT_PID"
guard_ends
"$BIN/vmferry-dst" recover a --peer-is-fenced --state-dir "$VMFERRY_STATE_DIR" --runtime-dir "$VMFERRY_RUNTIME_DIR" </dev/null \
	>"$DIR/fenced" 2>&1 || true
has_its_names "${GUEST_PID[a]}"
recover 1
at_source

# the source agent dies when the guest is given up: it is the other QEMU's, and gets its names
for point in after-SRC_COMMITTED before-SRC_RELEASED; do
	[[ $point == after-SRC_COMMITTED ]] || beyond_gate unit/test-both-conductors || continue
	move_until local $point --in-place
	wait "$MOVE_PID" || true
	recover 0
	process_is_gone "${GUEST_PID[a]}" || fail "the source QEMU is still there"
	guest_adopt a "$(qemus)"
	has_its_names "${GUEST_PID[a]}"
	assert_settled
done

# the agent dies when the guest has begun to run there, and has not got its names yet
move_until local after-DST_STARTED --in-place
move_wait
has_its_names "${GUEST_PID[a]}"
assert_settled
guest_verify "$(orders a)" blocks
