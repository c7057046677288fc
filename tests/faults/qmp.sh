#!/bin/bash
# tests/faults/qmp.sh COMMAND[-N] WHO WHAT: the guest's QEMU, or that at the destination, does not answer this command of an agent's as it should (error, event, late,
# later: tests/lib/qmp-shim.c), the first (or Nth) time that it is asked in a move.
. "$(dirname "$0")/cell.sh"
COMMAND=$1 WHO=$2 WHAT=$3
RECONNECT_S=6
nth=1
[[ ! $COMMAND =~ ^(.*)-([0-9]+)$ ]] || COMMAND=${BASH_REMATCH[1]} nth=${BASH_REMATCH[2]}

shim=$BIN/shared/qmp.so
[[ -e $shim ]] || fail "there is no $shim: make tests"
with=(env "LD_PRELOAD=$shim" "QMP_FAULT=$COMMAND $nth $WHAT" "QMP_SEEN=$DIR/qmp-seen" "QMP_WHILE=$DIR/qmp-faults")
case $WHO in
src-qemu) ON=("${with[@]}") ;;
dst-qemu) DST_ON=("${with[@]}") ;;
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
