#!/bin/bash
# tests/faults/process.sh WHEN WHO WHAT: at that moment of a move, one of its processes is killed, stopped for five seconds, or stopped for ever.
. "$(dirname "$0")/cell.sh"
WHEN=$1 WHO=$2 WHAT=$3
RECONNECT_S=8

stop_it() {
	kill -STOP "$pid" 2>/dev/null || absent "$WHO has ended"
}

cell_begins
reach "$WHEN"
pid=$(pid_of "$WHO")
[[ -n $pid ]] || absent "there is no $WHO at that moment"

case $WHAT in
kill)
	kill_it "$WHO" "$pid"
	;;
stop5)
	stop_it
	[[ $pid == "$AT_FAULT" ]] || go_on
	wait_ms 5000
	kill -CONT "$pid" 2>/dev/null || true # a source QEMU has ended, rightly
	;;
stop)
	stop_it
	STOPPED+=("$pid")
	[[ $pid != "$AT_FAULT" ]] || AT_FAULT=
	;;
*)
	fail "what is $WHAT?"
	;;
esac
go_on
settle
verdict
