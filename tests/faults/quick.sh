#!/bin/bash
# tests/faults/quick.sh WHEN WHO WHAT: as process.sh, and the guest, which stands still while it is copied, goes on wherever it is then.
. "$(dirname "$0")/cell.sh"
RECONNECT_S=8 MOVE_OPTIONS=(--how quick)

cell_begins
reach "$1"
hit "$2" "$3"
go_on
settle
verdict
