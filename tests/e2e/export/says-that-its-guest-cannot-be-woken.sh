#!/bin/bash
# The guest was stopped so that its memory is of one moment, and its QEMU refuses to let it run again: exit code 5, and words for it. What is left
# of the exporter goes on trying, and lets it run as soon as QEMU does.
# timeout: 240
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/export.sh"
exports_memory

qmp_shim cont never
ON=(env "${SHIM[@]}")
MEM=128 WITNESS="ram_mb=8 rate=100" tiny_start "$A" $(second_monitor "$A")
ON=()
qmp_misanswers
status=0
vmferry export "$A" "$DIR/bundle" --with-memory </dev/null >"$DIR/export.out" 2>"$DIR/export.err" || status=$?
assert_eq "$status" 5 "exit code ($(tail -n 1 "$DIR/export.err"))"
says 'QEMU refused cont: .*; the guest may stand still \(`cont` in its monitor lets it run\); nothing else is left behind' "$DIR/export.err"
[[ ! -e $DIR/bundle ]] || fail "left there: $(ls -A "$DIR/bundle")"
[[ $(status_of "$DIR/$A.mon") != running ]] || fail "the guest runs"
qmp_answers
runs_again() {
	[[ $(status_of "$DIR/$A.mon") == running ]]
}
wait_for 60 runs_again || fail "nobody lets it run"
guest_verify "$DIR/$A.orders"
