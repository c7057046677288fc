#!/bin/bash
# The copies of busy qcow2 disks have the cluster size and virtual size of the originals, and all else that such an image can be (subclusters,
# refcounts, type of compression, version), and are sound: moved to another host, and to other images of the same. An export, which does
# not keep that, says so.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

shape() { # FILE
	"$QEMU_IMG" info -U --output=json -f qcow2 "$1" |
		python3 -S -c 'import json, sys; i = json.load(sys.stdin); print(i["cluster-size"], i["virtual-size"], sorted(i["format-specific"]["data"].items()))'
}

"$QEMU_IMG" create -q -f qcow2 -o cluster_size=2M,extended_l2=on,lazy_refcounts=on,compression_type=zstd "$DIR/a.qcow2" 96M
"$QEMU_IMG" create -q -f qcow2 -o cluster_size=4k,refcount_bits=1 "$DIR/b.qcow2" 67109376
"$QEMU_IMG" create -q -f qcow2 -o compat=0.10 "$DIR/c.qcow2" 64M
MEM=512 WITNESS="ram_mb=32 disks=vda,vdb,vdc disk_mb=16 disk_rate=100" tiny_start a \
	$(guest_drive d0 "$DIR/a.qcow2" qcow2) $(guest_drive d1 "$DIR/b.qcow2" qcow2) $(guest_drive d2 "$DIR/c.qcow2" qcow2)
move a local
guest_verify "$(orders a)" blocks
mkdir "$DIR/new"
vmferry storage "${GUEST_PID[a]}" --disk "d0-dev=$DIR/new/a.qcow2" --disk "d1-dev=$DIR/new/b.qcow2" --disk "d2-dev=$DIR/new/c.qcow2" \
	--old keep &>"$DIR/storage.log" || fail "storage: $(<"$DIR/storage.log")"
vmferry export "${GUEST_PID[a]}" "$DIR/bundle" </dev/null &>"$DIR/export.log" || fail "export: $(<"$DIR/export.log")"
grep -q 'a.qcow2 has clusters or features of its own' "$DIR/export.log" || fail "an export does not say what it does not keep"
guest_verify "$(orders a)" blocks
guest_stop a
for image in a b c; do
	was=$(shape "$DIR/$image.qcow2")
	assert_eq "$(shape "$TO/$image.qcow2")" "$was" "what kind of image $image is"
	assert_eq "$(shape "$DIR/new/$image.qcow2")" "$was" "what kind of image $image is on other storage"
	assert_sound "$TO/$image.qcow2"
	assert_sound "$DIR/new/$image.qcow2"
done
