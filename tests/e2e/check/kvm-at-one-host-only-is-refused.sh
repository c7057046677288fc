#!/bin/bash
# A guest under KVM is not moved to where KVM is not, nor an emulated one to where it would run under KVM: refused before anything is
# touched. Where both hosts have no KVM, the latter moves.
# timeout: 240
ACCEL=kvm
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

[[ $EUID -eq 0 ]] || skip "only root can take /dev/kvm away"
without_kvm=(unshare --mount --propagation private sh -c 'mount --bind /dev/null /dev/kvm && exec "$@"' sh)

refused() { # REASON DEST
	move_refused "$@"
	assert_nothing_left ${DST_PID}
	guest_verify "$(orders a)"
}

WITNESS="ram_mb=4 rate=100" tiny_start a
DST_ON=("${without_kvm[@]}")
listen_dst
refused 'does not take this guest.s machine (pc-q35.*), accelerator or CPU' "$DST_ADDRESS"
guest_stop a

# a guest that uses whichever accelerator there is
WITNESS="ram_mb=4 rate=100" CPU=qemu64 tiny_start a -accel tcg
refused 'the guest uses KVM, and QEMU at the destination cannot' "$DST_ADDRESS"
guest_stop a

ON=("${without_kvm[@]}")
WITNESS="ram_mb=4 rate=100" CPU=qemu64 tiny_start a -accel tcg
ON=()
refused 'the guest is emulated (TCG), and would run under KVM at the destination' local
move a "$DST_ADDRESS"
guest_verify "$(orders a)"
