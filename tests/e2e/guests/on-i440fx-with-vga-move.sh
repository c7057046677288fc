#!/bin/bash
# An i440fx machine with a VGA adapter, which has RAM of its own.
. "$(dirname "$0")/../../lib/move.sh"

MEM=256 MACHINE=pc WITNESS="ram_mb=64 rate=2000" guest_start a -device VGA,vgamem_mb=8
for mode in pages opaque; do
	move a local --ram-mode $mode
	[[ $mode == opaque && -n ${QUIET:-} ]] || guest_verify "$(orders a)" # QEMU 7.2 leaves out what the guest has written
done
