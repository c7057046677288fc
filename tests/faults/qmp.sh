#!/bin/bash
# tests/faults/qmp.sh COMMAND[-N] WHO WHAT: the guest's QEMU, or that at the destination, does not answer this command of an agent's as it should (error, event, late,
# later, never: tests/lib/qmp-shim.c), the first (or Nth) time that it is asked in a move. HOW: as in process.sh. CANCELLED: from
# where the move is cancelled on, in the middle of the memory, or (killed) its agent dies, and its guard and recover take over.
. "$(dirname "$0")/cell.sh"
COMMAND=$1 WHO=$2 WHAT=$3
RECONNECT_S=6 MOVE_OPTIONS=(--how "${HOW:=live}")
[[ $HOW != warm ]] || WITNESS_MORE="button=1"
qmp_shim "$COMMAND" "$WHAT"
case $WHO in
src-qemu) ON=(env "${SHIM[@]}") ;;
dst-qemu) DST_ON=(env "${SHIM[@]}") ;;
esac
heal() { # somebody sees to that QEMU
	qmp_answers
}
[[ $WHAT != never ]] || HEAL=heal
cell_begins
ON=()
if [[ ${CANCELLED:-} ]]; then
	reach memory
	qmp_misanswers
	if [[ $CANCELLED == killed ]]; then kill_it src-agent "$MOVE_PID"; else "$BIN/vmferry" cancel --no-wait "${GUEST_PID[a]}" >/dev/null; fi
else
	qmp_misanswers
	reach begun
fi
settle
qmp_answers
DST_ON=()
qmp_has_misanswered || absent "it is not asked that often in a move"
if [[ $CODE == 5 ]] && result 'r["guest_text"]' | grep -q 'does not say whether it runs' && runs_at "$DIR"; then
	note "nobody could tell, and it runs"
	CODE=1
fi
[[ $CODE != 5 ]] || somebody_resumes
verdict
