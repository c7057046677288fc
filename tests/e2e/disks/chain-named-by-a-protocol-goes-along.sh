#!/bin/bash
# Images name the ones below them as "file:/a", and as a tree in JSON: those go where QEMU looks for them, and the copy says so plainly. What
# lies where QEMU was started is told by no image, so such a guest goes in one image, or not.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

mkdir -p "$DIR/src"
cd "$DIR/src"
"$QEMU_IMG" create -q -f raw base.raw 64M
head -c 1M /dev/urandom | dd of=base.raw conv=notrunc bs=1M seek=30 status=none
"$QEMU_IMG" create -q -f qcow2 -b "file:$DIR/src/base.raw" -F raw a.qcow2
"$QEMU_IMG" create -q -f qcow2 -b "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"$DIR/src/base.raw\"}}" -F raw b.qcow2
"$QEMU_IMG" create -q -f qcow2 -b file:base.raw -F raw c.qcow2

backing_of() { # IMAGE
	"$QEMU_IMG" info -U --output=json "$1" | python3 -S -c 'import json, sys; print(json.load(sys.stdin).get("backing-filename"))'
}

WITNESS="ram_mb=16 rate=200 disks=vda disk_mb=8 disk_rate=50" tiny_start a $(guest_drive d0 "$DIR/src/a.qcow2" qcow2) \
	$(guest_drive d1 "$DIR/src/b.qcow2" qcow2)
move a local
guest_verify "$(orders a)" blocks
for name in a b; do
	assert_eq "$(backing_of "$TO/$name.qcow2")" "$DIR/src/base.raw" "what $name is based on"
done

WITNESS="ram_mb=16 rate=200" tiny_start c $(guest_drive d0 "$DIR/src/c.qcow2" qcow2)
move_start c local
move_wait 3
result 'r["reason"]' | grep -q -- 'file:base.raw.*--chain=flatten' || fail "the reason is another: $(result 'r["reason"]')"
move c local --chain=flatten
