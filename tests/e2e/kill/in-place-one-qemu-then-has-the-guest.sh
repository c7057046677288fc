#!/bin/bash
# Either agent, or the new QEMU, is killed at every step at which a guest goes on in another QEMU of its host: afterwards, and after `vmferry recover`
# where that is needed, one QEMU has the guest, which the exit code names; its sockets lead to that, and the next attempt succeeds. Only a new QEMU that
# had begun to run the guest takes it with it.
# timeout: 600
. "$(dirname "$0")/../../lib/aftermath.sh"

victim() { # WHO
	case $1 in
	src-agent) echo "$MOVE_PID" ;;
	dst-agent) agent_dst | head -n 1 ;;
	dst-qemu) the_other_qemu ;;
	esac
}

ask() { # [OPTION...]: sets CODE
	CODE=0
	timeout 60 "$BIN/vmferry" recover a "$@" </dev/null >"$DIR/recover.out" 2>"$DIR/recover.log" || CODE=$?
}

began_there() { # the new QEMU may have run it
	find "$VMFERRY_STATE_DIR" -name '*-dst.journal*' -newer "$DIR/began" -exec grep -l DST_START {} + | grep -q .
}

at() { # POINT WHO: it is killed there
	local pid i lost=
	touch "$DIR/began"
	move_until local "$1:stop" --in-place
	pid=$(victim "$2")
	[[ -n $pid ]] || { fault_continue; move_wait; return; }
	[[ $2 != dst-qemu ]] || ! began_there || lost=possible
	kill_now "$pid"
	[[ $pid == "$FAULT_PID" ]] || fault_continue
	wait_for 60 process_is_gone "$MOVE_PID" || fail "$1, $2: the move does not end: $(tail -n 2 "$DIR/move.log")"
	CODE=0
	wait "$MOVE_PID" 2>/dev/null || CODE=$?
	guard_ends
	for i in 1 2 3; do
		[[ -n $(unfinished_journals) ]] || break
		if [[ $CODE == 6 && $2 == dst-qemu ]]; then ask --peer-is-fenced; else ask; fi
	done
	settled "$1, $2" "$lost"
}

settled() { # WHEN LOST: where is it?
	local has
	wait_for 60 eval '[[ $(qemus | wc -l) -le 1 ]]' || fail "$1: $(qemus | wc -l) QEMUs, the last word was $CODE: $(tail -n 2 "$DIR/recover.log")"
	has=$(qemus)
	if [[ -z $has && -n $2 ]]; then
		echo "$1: lost with its new QEMU ($CODE)"
		find "$VMFERRY_STATE_DIR" -name '*.journal' -delete
		begin
		return
	fi
	[[ -n $has ]] || fail "$1: the guest is nowhere ($CODE): $(tail -n 2 "$DIR/move.log")"
	case $CODE in
	1) assert_eq "$has" "${GUEST_PID[a]}" "$1: whose it is" ;;
	0) [[ $has != "${GUEST_PID[a]}" ]] || fail "$1: it is said to be in its new QEMU" ;;
	*) fail "$1: the last word was $CODE: $(tail -n 2 "$DIR/recover.log")" ;;
	esac
	[[ $has == "${GUEST_PID[a]}" ]] || guest_adopt a "$has"
	for socket in a.qmp a.mon a.orders; do assert_eq "$(who_listens "$DIR/$socket")" "$has" "$1: who listens at $socket"; done
	assert_eq "$(<"$DIR/a.pid")" "$has" "$1: the pidfile"
	assert_eq "$(find "$DIR" -name '*.vmferry-*')" "" "$1: what is left of the move"
	assert_settled >/dev/null
}

begin() {
	rm -f "$DIR/a.raw"
	guest_a -pidfile "$DIR/a.pid"
}

begin
to_local
for point in $(some_of dst-prepare dst-set-aside dst-qemu-forked dst-qemu-noted dst-qemu-launched dst-hidden-in-place src-migrate src-pre-switchover \
	src-completed before-DST_PREPARED after-DST_PREPARED src-ready src-held before-SRC_COMMITTED after-SRC_COMMITTED before-DST_START after-DST_START \
	before-DST_STARTED after-DST_STARTED before-SRC_RELEASED after-SRC_RELEASED before-DST_DONE after-DST_DONE); do
	for who in src-agent dst-agent dst-qemu; do at $point $who; done
done
unset VMFERRY_FAULT
move a local --in-place
assert_settled
guest_verify "$(orders a)" blocks
