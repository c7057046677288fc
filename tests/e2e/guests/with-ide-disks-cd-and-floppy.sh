#!/bin/bash
# An old PC: -hda and -hdb, a CD and a floppy, on i440fx with VGA. The CD is copied, found, and taken out of its drive.
. "$(dirname "$0")/../../lib/move.sh"

guest_disk "$DIR/a.qcow2" qcow2 32M
guest_disk "$DIR/b.raw" raw 20M
head -c 2M /dev/urandom >"$DIR/cd.iso"
head -c 1440K /dev/urandom >"$DIR/floppy.img"
cp "$DIR/floppy.img" "$DIR/floppy.was"
MACHINE=pc MEM=256 WITNESS="ram_mb=32 disks=sda,sdb disk_mb=8 disk_rate=30 still_mb=16" guest_start a -vga std \
	-hda "$DIR/a.qcow2" -drive "file=$DIR/b.raw,format=raw,if=ide,index=1" -cdrom "$DIR/cd.iso" \
	-drive "file=$DIR/floppy.img,format=raw,if=floppy"
cd=$(guest_order "$(orders a)" "sum /dev/sr0")
[[ $cd == *bytes=2097152* ]] || fail "the guest reads its CD as: $cd"

read_cd() {
	assert_eq "$(guest_order "$(orders a)" "sum /dev/sr0")" "$cd" "what the guest reads of its CD"
}

move a local --media copy
guest_verify "$(orders a)" blocks
cmp "$DIR/cd.iso" "$TO/cd.iso"
cmp "$DIR/floppy.was" "$TO/floppy.img"
read_cd
rm "$DIR/cd.iso"
read_cd

move a local --media path
[[ ! -e $TO/cd.iso ]] || fail "the CD was copied"
cmp "$DIR/floppy.was" "$TO/floppy.img"
guest_verify "$(orders a)" blocks
read_cd

move a local --media eject
guest_verify "$(orders a)" blocks
[[ ! -e $TO/cd.iso ]] || fail "the CD was copied"
guest_order "$(orders a)" "sum /dev/sr0" >/dev/null 2>"$DIR/said" && fail "the guest still reads its CD"
grep -q 'No medium' "$DIR/said" || fail "the guest says of its CD: $(<"$DIR/said")"
