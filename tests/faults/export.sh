#!/bin/bash
# tests/faults/export.sh COMMAND[-N] disks|memory WHAT: while a guest that runs is exported, its disks alone or its memory, too, QEMU does not answer that command
# as it should (error, event, late, later: tests/lib/qmp-shim.c), or the exporter is killed meanwhile (kill). There is a whole bundle, or none; the guest runs on.
. "$(dirname "$0")/cell.sh"
. "$(dirname "$0")/../lib/export.sh"
COMMAND=$1 WITH=$2 WHAT=$3
OPTIONS=()
[[ $WITH != memory ]] || OPTIONS=(--with-memory)

qmp_shim "$COMMAND" "${WHAT/kill/late}"
head -c 8M /dev/urandom >"$DIR/a.raw"
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/a.raw" "$DIR/b.qcow2"
ON=(env "${SHIM[@]}")
MEM=128 WITNESS="ram_mb=16 rate=500 disks=vda,vdb disk_mb=4 disk_rate=20" tiny_start "$A" $(guest_drive d0 "$DIR/a.raw" raw) \
	$(guest_drive d1 "$DIR/b.qcow2" qcow2) $(second_monitor "$A")
ON=()
SETTINGS=$(settings_of "$A")

runs_on() {
	wait_for 60 eval '[[ $(timeout 5 "$ASK" state "$DIR/$A.mon") == running ]]' || fail "the guest is $(status_of "$DIR/$A.mon")"
	wait_for 60 has_disk_ops "$A" $(($(disk_ops "$A") + 20)) || fail "the guest does not write any more"
	guest_verify "$DIR/$A.orders" blocks >/dev/null
}

qmp_misanswers
export_start "${GUEST_PID[$A]}" "$DIR/bundle" "${OPTIONS[@]}"
if [[ $WHAT == kill ]]; then
	wait_for 60 eval 'qmp_has_misanswered || process_is_gone $EXPORT_PID' || fail "the export does not come to that"
	qmp_has_misanswered || absent "it is not asked that often"
	kill -KILL "$EXPORT_PID" 2>/dev/null || true
	SAID_BY=recover
	wait "$EXPORT_PID" 2>/dev/null || true
else
	wait_for 120 process_is_gone "$EXPORT_PID" || fail "the export does not end"
	CODE=0 SAID_BY=export
	wait "$EXPORT_PID" || CODE=$?
fi
qmp_answers
qmp_has_misanswered || absent "it is not asked that often"
guard_ends
runs_on
if [[ $WHAT == kill || $CODE -gt 4 ]]; then
	CODE=0
	"$BIN/vmferry" recover "$A" -v </dev/null >"$DIR/recover.out" 2>"$DIR/recover.log" || CODE=$?
	[[ $CODE == [013] ]] || fail "recover says $CODE: $(tail -n 1 "$DIR/recover.log")"
	rm -rf "$DIR/bundle" # the manifest calls the bundle unfinished
fi
assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"
if grep -q 'left behind: a setting, which later migrations of that QEMU go by: ' "$DIR"/export.{out,err}; then
	note "it says which setting stays"
	assert_eq "$CODE" 4 "exit code"
	SETTINGS=$(settings_of "$A")
fi
assert_eq "$(settings_of "$A")" "$SETTINGS" "settings of QEMU"
[[ -z $(ls -A "$VMFERRY_RUNTIME_DIR") ]] || fail "left in the runtime directory: $(ls -A "$VMFERRY_RUNTIME_DIR")"
bundle=$DIR/bundle
if [[ $SAID_BY-$CODE != export-0 && ! -e $bundle ]]; then
	bundle=$DIR/again
	"$BIN/vmferry" export "${GUEST_PID[$A]}" "$bundle" "${OPTIONS[@]}" </dev/null >"$DIR/export.out" 2>"$DIR/export-again.err" ||
		fail "it cannot be exported afterwards: $(tail -n 1 "$DIR/export-again.err")"
elif [[ $CODE != [04] ]]; then
	fail "left there, and $SAID_BY says $CODE: $(ls -A "$bundle")"
fi
runs_on
assert_eq "$(settings_of "$A")" "$SETTINGS" "settings of QEMU, in the end"
kill_now "${GUEST_PID[$A]}"
if [[ $WITH == memory ]]; then
	imports "$bundle" --start
	wait_for 60 eval '[[ $(timeout 5 "$ASK" state "$VMS/$A.mon") == running ]]' || fail "the imported guest does not run"
	GUEST_AT[$A]=$VMS
	guest_verify "$VMS/$A.orders" blocks
else
	imports "$bundle"
	[[ -x $VMS/$A.sh && -s $VMS/$A-1.raw && -s $VMS/$A-2.qcow2 ]] || fail "what was imported: $(ls "$VMS")"
fi
evidence "$([[ -d $DIR/again ]] && echo "another bundle" || echo "the bundle")"
