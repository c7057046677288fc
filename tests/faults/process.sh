#!/bin/bash
# tests/faults/process.sh WHEN WHO WHAT: at that moment of a move, one of its processes is killed, stopped for five seconds, or stopped for ever.
. "$(dirname "$0")/cell.sh"
RECONNECT_S=8

cell_begins
reach "$1"
hit "$2" "$3"
go_on
settle
verdict
