#!/bin/bash
# As tests/e2e/check/says-how-launch-lines-then-move.sh, of many lines: from FIRST (a day's number, so that each run has others, and says which) on, LINES of them;
# and those of real life (tests/data/args) that this QEMU takes.
# timeout: 3600
FIRST=${FIRST:-$(($(date +%s) / 86400 * 100))} LINES=${LINES:-60}
NAMES="9p-share ahci-and-floppy arch-virtio-tap cloud-image-seed gentoo-script libvirt-without-descriptors macos-like many-luns medium-ejected
	mem-path memory-backends microvm moved-before net-legacy-pairs openbsd-serial pflash-blockdev proxmox-lvm quickstart-hda readconfig tap-mapped-to-a-bridge"
echo "seeds from $FIRST on"
SEEDS="$(seq -s " " "$FIRST" $((FIRST + LINES - 1))) $NAMES" exec "$(dirname "$0")/../e2e/check/says-how-launch-lines-then-move.sh"
