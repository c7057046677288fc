#!/bin/bash
# A guest under KVM with two busy processors is attached to fifty times, and finds nothing wrong with its memory and its disk.
# timeout: 300
ACCEL=kvm CPU=Nehalem SMP=2 NO_QMP=yes
. "$(dirname "$0")/../lib/move.sh"
. "$(dirname "$0")/../lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 64M
WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=8 disk_rate=50" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
SOCKET=$VMFERRY_RUNTIME_DIR/vmferry-${GUEST_PID[a]}.qmp
for ((i = 0; i < 50; i++)); do
	VMFERRY_FAULT=src-attach-again:fail vmferry attach "${GUEST_PID[a]}" >"$DIR/attach" 2>&1 || fail "attachment $i: $(cat "$DIR/attach")"
	monitor_answers "$SOCKET" || fail "the monitor of attachment $i does not answer"
done
guest_verify "$(orders a)" blocks
move a local --attach
guest_verify "$(orders a)" blocks
