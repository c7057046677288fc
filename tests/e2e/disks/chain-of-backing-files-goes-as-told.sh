#!/bin/bash
# A disk with two backing files: the same chain at the destination, files that are there already used; the top alone; and
# all of it in one image. What the guest reads is the same each time.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

mkdir -p "$DIR/src/lower" "$DIR/here/lower" # a directory that the destination lacks, and makes
cd "$DIR/src"
"$QEMU_IMG" create -q -f raw lower/base.raw 64M
head -c 8M /dev/urandom | dd of=lower/base.raw conv=notrunc bs=1M seek=30 status=none
"$QEMU_IMG" create -q -f qcow2 -b lower/base.raw -F raw mid.qcow2
"${QEMU_IMG%/*}/qemu-io" -f qcow2 -c 'write -P 0x55 33M 1M' mid.qcow2 >/dev/null
"$QEMU_IMG" create -q -f qcow2 -b mid.qcow2 -F qcow2 top.qcow2
"${QEMU_IMG%/*}/qemu-io" -f qcow2 -c 'write -P 0x66 36M 1M' -c 'write -z 34M 64k' top.qcow2 >/dev/null
cd "$DIR"

backing_of() { # IMAGE
	"$QEMU_IMG" info -U --output=json "$1" | python3 -S -c 'import json, sys; print(json.load(sys.stdin).get("backing-filename"))'
}

WITNESS="ram_mb=16 rate=200 disks=vda disk_mb=8 disk_rate=50" tiny_start a $(guest_drive d0 "$DIR/src/top.qcow2" qcow2)
move a local
guest_verify "$(orders a)" blocks
assert_eq "$(backing_of "$TO/top.qcow2")" mid.qcow2 "what the top is based on"
assert_eq "$(backing_of "$TO/mid.qcow2")" lower/base.raw "what the middle is based on"
cmp "$DIR/src/lower/base.raw" "$TO/lower/base.raw"
# areas that the guest has not written are still the base's
"$QEMU_IMG" map -U --output=json "$TO/top.qcow2" | python3 -S -c '
import json, sys
at = 37 << 20
sys.exit([x["depth"] for x in json.load(sys.stdin) if x["start"] <= at < x["start"] + x["length"]] != [2])' || fail "the top has what is below it, too"
[[ $(allocated "$TO/top.qcow2") -lt $((30 << 20)) ]] || fail "the top has become larger: $(allocated "$TO/top.qcow2")"
[[ $(allocated "$TO/lower/base.raw") -lt $((9 << 20)) ]] || fail "the base has lost its holes"

# The backing files are there already. From here on the guest writes no more, so that images can be compared.
guest_order "$(orders a)" quiesce
first=$TO
cp "$TO/mid.qcow2" "$DIR/here/"
cp "$TO/lower/base.raw" "$DIR/here/lower/"
inode=$(stat -c %i "$DIR/here/lower/base.raw")
move_start a local --chain top --disk-dir "$DIR/here"
TO=$DIR/here
move_wait
assert_eq "$(stat -c %i "$DIR/here/lower/base.raw")" "$inode" "inode of the base"
guest_verify "$(orders a)" blocks
assert_same_content "$first/top.qcow2" qcow2 "$DIR/here/top.qcow2" qcow2

# Another file under that name.
move_start a local --chain top
move_wait 3
result 'r["reason"]' | grep -q "backing file .*mid.qcow2 is not at the destination" || fail "$(result 'r["reason"]')"
mkdir -p "$TO/lower"
echo other >"$TO/lower/base.raw"
move_start a local --disk-dir "$TO"
move_wait 3
result 'r["reason"]' | grep -q "another file than the backing file" || fail "$(result 'r["reason"]')"

move a local --chain flatten
assert_eq "$(ls "$TO"/*.qcow2 "$TO"/*.raw 2>/dev/null)" "$TO/top.qcow2" "images after flattening"
assert_eq "$(backing_of "$TO/top.qcow2")" None "what the flattened image is based on"
guest_verify "$(orders a)" blocks
assert_same_content "$DIR/here/top.qcow2" qcow2 "$TO/top.qcow2" qcow2
guest_stop a
assert_sound "$TO/top.qcow2"
