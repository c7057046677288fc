#!/bin/bash
# A disk that both hosts see is the source's until it has given the guest up, also where libvirt there has the QEMU that it takes over paused have its disks at once,
# as libvirt 11.3 does: the source's QEMU lets the guest go on as soon as its agent dies, whether it can lock the disk or not, and would end at its first write.
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"

SHARED=yes
libvirt_guest_runs
fault dst-libvirt-finished stop
to_listener
export VMFERRY_FAULT=src-ready:kill:$DIR/second
libvirt_live_start "$DEST"
fault_wait
# A libvirt that does so has done it.
libvirt_in b virsh -q qemu-monitor-command "$NAME" '{"execute":"blockdev-set-active","arguments":{"active":true}}' >"$DIR/active"
fault_continue
wait_for 60 test -s "$DIR/second" || fail "the guest does not come to be handed over: $(tail -n 3 "$DIR/move.log")"
wait_for 60 process_is_gone "$MOVE_PID" || fail "the agent lives on"
guard_ends
recover 1
assert_runs_at source
assert_nothing_unfinished
