#!/bin/bash
# tests/faults/clocks.sh WHEN source|destination|both WHAT: at that moment of a move the clock of a host is set, a day ahead or back, and stays so
# (ahead, back); and its agent is killed, too (ahead-killed, back-killed), so that others have to go by what is written down.
. "$(dirname "$0")/cell.sh"
WHEN=$1 WHO=$2 WHAT=$3
RECONNECT_S=6

BIN=$BIN/shared
[[ -x $BIN/vmferry-dst ]] || fail "there is no $BIN: make tests"

declare -A STEP=([ahead]=86400 [back]=-86400)
shim=(env "LD_PRELOAD=$BIN/clock.so" "CLOCK_STEP=${STEP[${WHAT%-killed}]}" "CLOCK_IS_SET=$DIR/clock-is-set" "CLOCK_SEEN=$DIR/clock-seen")
[[ $WHO == source ]] || DST_ON=("${shim[@]}")
[[ $WHO == destination ]] || ON=("${shim[@]}")
cell_begins
reach "$WHEN"
: >"$DIR/clock-is-set"
if [[ $WHAT == *-killed ]]; then
	for agent in src-agent dst-agent; do
		[[ $WHO != source || $agent == src-agent ]] && [[ $WHO != destination || $agent == dst-agent ]] || continue
		pid=$(pid_of $agent)
		[[ -n $pid ]] || absent "there is no $agent at that moment"
		kill_it $agent "$pid"
	done
fi
go_on
settle
[[ -e $DIR/clock-seen ]] || absent "nobody looks at that clock any more"
verdict
