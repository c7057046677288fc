#!/bin/bash
# Shared guest memory is mapped where another process's memory may not be written (Yama, a hardened host); private memory cannot be reached
# at all, and the move goes on in opaque mode, saying so.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

export VMFERRY_FAULT=dst-no-process-vm:fail
guest_disk "$DIR/a.img" raw 64M
MEM=256 MACHINE=q35,memory-backend=pc.ram WITNESS="ram_mb=64 rate=2000 disks=vda" tiny_start a \
	-object memory-backend-memfd,id=pc.ram,size=256M,share=on $(guest_drive v "$DIR/a.img" raw)
move a local
assert_result 'r["ram"]["mode"] == "pages" and r["ram"]["pages"] > 10000'
guest_verify "$(orders a)" blocks

MEM=256 WITNESS="ram_mb=64 rate=2000" tiny_start b
move b local
assert_result 'r["ram"]["mode"] == "opaque" and "cannot be written" in r["opaque_because"]'
guest_verify "$(orders b)"
