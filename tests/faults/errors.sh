#!/bin/bash
# tests/faults/errors.sh WHEN FILE WHAT: from that call on (create, write-1, write-8, sync, rename) everything that an agent does with one of its files goes
# wrong, until somebody has seen to the file system: io (EIO), full (ENOSPC), short (half of what is to be written, then ENOSPC), read-only (EROFS).
. "$(dirname "$0")/cell.sh"
WHEN=$1 WHICH=$2 WHAT=$3
RECONNECT_S=6

BIN=$BIN/shared
[[ -x $BIN/vmferry-dst ]] || fail "there is no $BIN: make tests"

heal() {
	rm -f "$DIR/errors-on"
}

case $WHICH in
src-journal) SIDE=src PART=-src.journal ;;
dst-journal) SIDE=dst PART=-dst.journal ;;
dst-disk) SIDE=dst PART=/d1/a.raw ;;
dst-script) SIDE=dst PART=a.sh ;;
esac
declare -A NUMBER=([io]=5 [full]=28 [short]=0 [read-only]=30)
call=${WHEN%-*} nth=${WHEN#*-}
[[ $nth =~ ^[0-9]+$ ]] || nth=1
HEAL=heal AGENT_STARTS_AGAIN=yes
: >"$DIR/errors-on"
shim=(env "LD_PRELOAD=$BIN/error.so" "ERRORS=$call $nth ${NUMBER[$WHAT]} $PART" "ERRORS_SEEN=$DIR/errors-seen" "ERRORS_WHILE=$DIR/errors-on")
if [[ $SIDE == dst ]]; then DST_ON=("${shim[@]}"); fi
cell_begins
if [[ $SIDE == src ]]; then ON=("${shim[@]}"); fi
reach begun
if [[ $SIDE == src ]]; then ON=(); fi
settle
[[ -s $DIR/errors-seen ]] || absent "no $WHEN of that file"
note "$(wc -l <"$DIR/errors-seen") times from $(head -n 1 "$DIR/errors-seen" | cut -d' ' -f1) on"
DST_ON=()
verdict
