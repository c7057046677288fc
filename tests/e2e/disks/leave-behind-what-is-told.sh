#!/bin/bash
# An external data file is refused, and with --drop the data comes into the image, and persistent bitmaps stay behind. A bitmap that QEMU has in memory
# only is told of then. A disk behind USB is moved like others.
. "$(dirname "$0")/../../lib/move.sh"

guest_disk "$DIR/a.qcow2" qcow2 24M
"$QEMU_IMG" bitmap --add "$DIR/a.qcow2" backup-1
"$QEMU_IMG" create -q -f qcow2 -o "data_file=$DIR/b.data,data_file_raw=on" "$DIR/b.qcow2" 24M
head -c 16M /dev/urandom >"$DIR/c.raw"
MEM=256 WITNESS="ram_mb=16 rate=200 disks=vda,vdb disk_mb=8 disk_rate=40 still_mb=16" guest_start a \
	$(guest_drive d0 "$DIR/a.qcow2" qcow2) $(guest_drive d1 "$DIR/b.qcow2" qcow2) \
	-device qemu-xhci -drive "file=$DIR/c.raw,format=raw,if=none,id=d2" -device usb-storage,drive=d2

refused() { # WORDS OPTION...
	move_refused "$1" local "${@:2}"
	[[ -z $(ls -A "$TO") ]] || fail "something was made: $(ls -A "$TO")"
}

refused 'data.file.*--drop\|--drop.*data.file' --drop bitmaps
qmp "$DIR/a.qmp" '{"execute": "block-dirty-bitmap-add", "arguments": {"node": "d2", "name": "nightly"}}' >/dev/null
move a local --drop bitmaps,data-file
assert_result '[n.split()[7] for n in notices if "backup tool" in n] == ["nightly,"]' "bitmaps that are told of"
guest_verify "$(orders a)" blocks
cmp "$DIR/c.raw" "$TO/c.raw"
"$QEMU_IMG" info -U --output=json "$TO/a.qcow2" | grep -q backup-1 && fail "the bitmap came along"
"$QEMU_IMG" info -U --output=json "$TO/b.qcow2" | grep -q '"data-file"' && fail "the image still has a data file"
[[ ! -e $TO/b.data ]] || fail "the data file came along"
"$QEMU_IMG" info --output=json "$DIR/a.qcow2" | grep -q backup-1 || fail "the source's bitmap is gone"

# the disk is as it was, and nothing more is to be dropped
guest_order "$(orders a)" quiesce
first=$TO
move a local
guest_verify "$(orders a)" blocks
for disk in a b; do assert_same_content "$first/$disk.qcow2" qcow2 "$TO/$disk.qcow2" qcow2; done
