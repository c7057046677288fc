#!/bin/bash
# An attach that is killed at any of its steps leaves a guest that runs on with nothing lost, and that can be attached to then: QEMU itself
# ends what was begun, if its main thread was sent already.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

guest_disk "$DIR/a.qcow2" qcow2 64M
NO_QMP=yes WITNESS="ram_mb=64 rate=200 disks=vda disk_mb=32 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.qcow2" qcow2)
SOCKET=$VMFERRY_RUNTIME_DIR/vmferry-${GUEST_PID[a]}.qmp

attach_and_die() { # FAULT POINT
	local status=0
	VMFERRY_FAULT=$1:kill:$DIR/fault.$1 vmferry attach "${GUEST_PID[a]}" >"$DIR/attach" 2>&1 || status=$?
	[[ -s $DIR/fault.$1 && $status -eq 137 ]] || fail "$1 was not reached (exit code $status): $(cat "$DIR/attach")"
}

writes_on() { # OPS
	[[ $(disk_ops a) -gt $1 ]]
}

for point in src-attach-stopped src-attach-mapped src-attach-written src-attach-sent; do
	attach_and_die "$point"
	wait_for 60 writes_on "$(disk_ops a)" || fail "the guest does not run on after $point"
	if [[ $point == src-attach-sent ]]; then
		wait_for 60 monitor_answers "$SOCKET" || fail "QEMU did not end what was begun"
		rm "$SOCKET"
	elif [[ -e $SOCKET ]]; then
		fail "there is a monitor after $point"
	fi
	guest_verify "$(orders a)" blocks
done
move a local --attach
guest_verify "$(orders a)" blocks
rm -f "/run/a.qmp"
