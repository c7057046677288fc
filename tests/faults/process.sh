#!/bin/bash
# tests/faults/process.sh WHEN WHO WHAT: at that moment of a move, one of its processes is killed, stopped for five seconds, or stopped for ever.
# HOW: the kind of move (live; quick: the guest stands still meanwhile, and goes on wherever it is then; warm: it boots there).
. "$(dirname "$0")/cell.sh"
RECONNECT_S=8 MOVE_OPTIONS=(--how "${HOW:=live}")
[[ $HOW != warm ]] || WITNESS_MORE="button=1"

cell_begins
reach "$1"
hit "$2" "$3"
go_on
settle
verdict
