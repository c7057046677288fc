#!/bin/bash
# tests/faults/qmp.sh COMMAND[-N] WHO WHAT: the guest's QEMU, or that at the destination, does not answer this command of an agent's as it should (error, event, late,
# later: tests/lib/qmp-shim.c), the first (or Nth) time that it is asked in a move.
. "$(dirname "$0")/cell.sh"
COMMAND=$1 WHO=$2 WHAT=$3
RECONNECT_S=6
qmp_shim "$COMMAND" "$WHAT"
case $WHO in
src-qemu) ON=(env "${SHIM[@]}") ;;
dst-qemu) DST_ON=(env "${SHIM[@]}") ;;
esac
cell_begins
ON=()
: >"$DIR/qmp-faults"
reach begun
settle
rm "$DIR/qmp-faults"
DST_ON=()
[[ -s $DIR/qmp-seen ]] || absent "it is not asked that often in a move"
verdict
