#!/bin/bash
# tests/faults/reboot.sh WHEN source|destination|both power: at that moment of a move a host ends: nothing that ran on it runs any more. Then an agent stands
# at the destination again, and somebody starts vmferry recover at the source. What was written and not synced is there: that it may be gone is for the
# tests with power-shim.c. HOW: as in process.sh.
. "$(dirname "$0")/cell.sh"
WHEN=$1 WHO=$2
RECONNECT_S=6 MOVE_OPTIONS=(--how "${HOW:=live}")
[[ $HOW != warm ]] || WITNESS_MORE="button=1"

host_ends() { # src|dst
	local pid pids
	if [[ $1 == src ]]; then
		pids="${GUEST_PID[a]} $MOVE_PID $(pgrep -f "^vmferry --guard $DIR/" || true)"
	else
		pids="$DST_PID $(agent_dst || true) $(qemu_dst || true)"
	fi
	for pid in $pids; do kill -STOP "$pid" 2>/dev/null || true; done # all in one moment
	for pid in $pids; do kill -KILL "$pid" 2>/dev/null || true; done
	[[ " $pids " != *" ${AT_FAULT:-none} "* ]] || AT_FAULT=
	[[ $1 == src ]] || FENCED=1 MAY_END_THERE=1
	MAY_BE_NOWHERE=1
}

cell_begins
reach "$WHEN"
case $WHO in
source) host_ends src ;;
destination) host_ends dst ;;
both)
	host_ends src
	host_ends dst
	;;
esac
go_on
settle
verdict
