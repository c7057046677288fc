#!/bin/bash
# A disk whose guest sees sectors of 4 KiB (logical_block_size) goes onto a larger block device in a quick move, too: with its sectors, and its size.
. "$(dirname "$0")/../../lib/aftermath.sh"
[[ $EUID -eq 0 ]] || skip "loop devices need root"
truncate -s 20M "$DIR/larger"
larger=$(losetup -f --show "$DIR/larger" 2>/dev/null) || skip "no loop device here"
at_exit "losetup -d $larger"
head -c 16M /dev/urandom >"$DIR/a.raw"
MEM=64 WITNESS="ram_mb=4 rate=0 disks=vda disk_mb=4 disk_rate=40" tiny_start a \
	-blockdev "driver=raw,node-name=d0,file.driver=file,file.filename=$DIR/a.raw" \
	-device virtio-blk-pci,drive=d0,id=d0-dev,logical_block_size=4096,physical_block_size=4096
move a local --how quick --disk "d0=$larger"
guest_verify "$(orders a)" blocks
grep -q "size=16777216" "$TO/a.sh" && grep -q "logical_block_size=4096" "$TO/a.sh" || fail "the script: $(<"$TO/a.sh")"
