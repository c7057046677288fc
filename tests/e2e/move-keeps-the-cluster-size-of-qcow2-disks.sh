#!/bin/bash
# The copies of busy qcow2 disks have the cluster size and virtual size of the originals, and are sound.
. "$(dirname "$0")/../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

shape() { # FILE
	"$QEMU_IMG" info -U --output=json -f qcow2 "$1" |
		python3 -S -c 'import json, sys; i = json.load(sys.stdin); print(i["cluster-size"], i["virtual-size"], i["format-specific"]["data"]["compat"])'
}

"$QEMU_IMG" create -q -f qcow2 -o cluster_size=2M "$DIR/a.qcow2" 96M
"$QEMU_IMG" create -q -f qcow2 -o cluster_size=4k "$DIR/b.qcow2" 67109376
MEM=256 WITNESS="ram_mb=32 disks=vda,vdb disk_mb=16 disk_rate=100" tiny_start a \
	$(guest_drive d0 "$DIR/a.qcow2" qcow2) $(guest_drive d1 "$DIR/b.qcow2" qcow2)
move a local
guest_verify "$(orders a)" blocks
guest_stop a
for image in a b; do
	assert_eq "$(shape "$TO/$image.qcow2")" "$(shape "$DIR/$image.qcow2")" "cluster size, virtual size and version of $image"
	assert_sound "$TO/$image.qcow2"
done
