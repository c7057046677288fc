#!/bin/bash
# An agent that is killed while a human monitor lends QMP (QEMU 11.1) leaves nothing that its journal does not name: `recover` removes it,
# wherever that was, also of a mux. If it is killed in a move, the monitor stays until that is settled.
# timeout: 300
QEMU=11.1 QEMU_THERE=
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/hmp.sh"
NO_QMP=yes

head -c 16M /dev/urandom >"$DIR/a.raw"
mkdir "$DIR/d"
WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) -monitor "unix:$DIR/a.hmp,server=on,wait=off"
before=$(hmp_says "$DIR/a.hmp" "info chardev")

for point in src-lent-noted src-lent-chardev src-lent-object src-lent-told-to-go; do
	status=0
	VMFERRY_FAULT=$point:kill:$DIR/fault.$point vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/d" >"$DIR/check" 2>&1 || status=$?
	[[ -s $DIR/fault.$point && $status -eq 137 ]] || fail "$point was not reached (exit code $status): $(cat "$DIR/check")"
	compgen -G "$VMFERRY_STATE_DIR/*.journal" >/dev/null || fail "no journal names what $point has left"
	vmferry recover >"$DIR/recover" 2>&1 || fail "recover after $point: $(cat "$DIR/recover")"
	assert_nothing_lent a
	[[ $(hmp_says "$DIR/a.hmp" "info chardev") == "$before" ]] || fail "after $point QEMU has other character devices"
done

move_until local memory
kill_now "$MOVE_PID"
guard_ends
monitor_answers "$VMFERRY_RUNTIME_DIR/vmferry-${GUEST_PID[a]}.qmp" || fail "the move is not settled yet, and its monitor is gone"
vmferry recover >"$DIR/recover" 2>&1 || true
assert_nothing_lent a
guest_verify "$(orders a)"
move a local
