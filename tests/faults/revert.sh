#!/bin/bash
# tests/faults/revert.sh WHEN WHO WHAT: a guest that runs at the destination is had back (--revert-within), and at that moment of it, or before
# ("there"), one of the processes is killed, stopped for five seconds, or stopped for ever. Or WHEN is a command of QMP, and the QEMU of WHO does not answer
# it as it should (as in qmp.sh) from there on. The guest may stay there, too, but runs once.
. "$(dirname "$0")/cell.sh"
WHEN=$1 WHO=$2 WHAT=$3
RECONNECT_S=8
MOVE_OPTIONS=(--revert-within 1h)

want_it_back() {
	timeout 20 "$BIN/vmferry" revert --no-wait a >/dev/null 2>&1 || note "it is not had back"
}

# A client that waits for the guest in vain lets it stay.
somebody_acts() {
	note "somebody lets it stay"
	release_stopped
	kill -INT "$MOVE_PID" 2>/dev/null || true
}

# Checks that no heartbeat came twice. A guest that is back here repeats those that it sent there, so only the console here counts then.
assert_beats_once() {
	local consoles=("$DIR/a.console")
	[[ $where == source ]] || consoles+=("$REAL_TO/a.console")
	[[ -z $(cat "${consoles[@]}" | tr -d '\r' | { grep -aE '^hb [0-9]+ [0-9]+$' || true; } | sort | uniq -d) ]] || fail "the guest ran twice"
}

ANSWER=
case $WHAT in
error | event | late | later | log)
	ANSWER=$WHAT
	qmp_shim "$WHEN" "$WHAT"
	if [[ $WHO == src-qemu ]]; then ON=(env "${SHIM[@]}"); else DST_ON=(env "${SHIM[@]}"); fi
	;;
esac
cell_begins
ON=()
[[ $WHEN == there || $ANSWER ]] || fault "$WHEN" stop
to_listener
move_start a "$DEST" "${MOVE_OPTIONS[@]}"
REAL_TO=$TO
wait_event 'ev["event"] == "notice" and "vmferry revert a" in ev["text"]' >/dev/null
if [[ $ANSWER ]]; then
	qmp_misanswers
	want_it_back
elif [[ $WHEN == there ]]; then
	hit "$WHO" "$WHAT"
	want_it_back
else
	want_it_back
	wait_at_fault "$WHEN"
	hit "$WHO" "$WHAT"
fi
go_on
settle
if [[ $ANSWER ]]; then
	qmp_answers
	qmp_has_misanswered || absent "it is not asked that often"
fi
DST_ON=()
[[ $CODE != 5 ]] || somebody_resumes
verdict
