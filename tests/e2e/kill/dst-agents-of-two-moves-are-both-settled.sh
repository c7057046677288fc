#!/bin/bash
# A standing vmferry-dst settles what a session that was killed has left, and meanwhile the session of another guest's move is killed, too: what
# that has left is settled next.
. "$(dirname "$0")/../../lib/aftermath.sh"

journals() {
	find "$DIR/dst-state" -name '*.journal' | sort
}

declare -A AGENT=() SESSION=() JOURNAL=() INTO=()

begin() { # NAME
	move_start "$1" "$DEST" "${SLOW_DISKS[@]}"
	wait_event 'ev["event"] == "progress"' >/dev/null
	AGENT[$1]=$MOVE_PID INTO[$1]=$TO
	SESSION[$1]=$(agent_dst | grep -vxF "${SESSION[*]}")
	JOURNAL[$1]=$(journals | grep -vxF "${JOURNAL[*]}")
	kill_at_exit "${SESSION[$1]}"
	kill -STOP "${SESSION[$1]}" # the session does not notice the other's end
}

nothing_there() {
	[[ -z $(find "${INTO[@]}" -mindepth 1) && -z $(journals) ]]
}

guest_a
cp "$DIR/a.raw" "$DIR/b.raw"
MEM=64 WITNESS="ram_mb=8 rate=100" tiny_start b $(guest_drive d0 "$DIR/b.raw" raw)
fault before-DST_ABORTED stop
to_listener
begin a
begin b
kill_now "${AGENT[a]}"
kill_now "${AGENT[b]}"

# a settling agent takes the journals in their order: the other's first, which is still held
first=a other=b
[[ ${JOURNAL[a]} > ${JOURNAL[b]} ]] || first=b other=a
kill_now "${SESSION[$first]}"
fault_wait
kill_now "${SESSION[$other]}"
wait_for 60 test ! -e "/proc/${SESSION[$other]}" || fail "the listener has not heard of it"
fault_continue
wait_for 60 nothing_there || fail "left: $(find "${INTO[@]}" -mindepth 1), $(journals)"
guest_verify "$(orders a)" blocks
guest_verify "$(orders b)"
