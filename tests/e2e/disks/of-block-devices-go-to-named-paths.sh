#!/bin/bash
# A disk on a block device becomes a file of the device's name; another one goes to a path that the user names.
# Internal snapshots of a third are left behind when that is said.
. "$(dirname "$0")/../../lib/move.sh"
[[ $EUID -eq 0 ]] || skip "loop devices need root"
truncate -s 24M "$DIR/behind"
loop=$(losetup -f --show "$DIR/behind" 2>/dev/null) || skip "no loop device here"
at_exit "losetup -d $loop"
guest_disk "$DIR/b.raw" raw 16M
guest_disk "$DIR/c.qcow2" qcow2 16M
"$QEMU_IMG" snapshot -c before "$DIR/c.qcow2"
MEM=256 WITNESS="ram_mb=16 disks=vda,vdb,vdc disk_mb=8 disk_rate=40 still_mb=16" guest_start a \
	$(guest_drive d0 "$loop" raw) $(guest_drive d1 "$DIR/b.raw" raw) $(guest_drive d2 "$DIR/c.qcow2" qcow2)

move_start a local
move_wait 3
assert_result '"snapshot" in r["reason"] and "--drop" in r["reason"]'
mkdir "$DIR/elsewhere"
move a local --drop snapshots --disk "d1=$DIR/elsewhere/other-name.raw"
! grep -q 'is still open in process' "$DIR/move.log" || fail "the guest stood still until its QEMU had closed its block device: $(<"$DIR/move.log")"
guest_verify "$(orders a)" blocks
result '[d["to"] for d in r["disks"]]'
[[ -f $TO/${loop##*/} && $(stat -c %s "$TO/${loop##*/}") -eq $((24 << 20)) ]] || fail "the device's copy: $(ls -l "$TO")"
[[ -s $DIR/elsewhere/other-name.raw && ! -e $TO/b.raw ]] || fail "b.raw is not where it was sent"
! "$QEMU_IMG" snapshot -U -l "$TO/c.qcow2" | grep -q before || fail "the snapshot came along"
"$QEMU_IMG" snapshot -l "$DIR/c.qcow2" | grep -q before || fail "the source's snapshot is gone"
guest_order "$(orders a)" quiesce
first=$TO
cmp "$loop" "$first/${loop##*/}" && fail "the guest wrote nothing to its first disk"
move a local --disk "d1=$DIR/elsewhere/back.raw"
guest_verify "$(orders a)" blocks
assert_same_content "$DIR/elsewhere/other-name.raw" raw "$DIR/elsewhere/back.raw" raw
assert_same_content "$first/c.qcow2" qcow2 "$TO/c.qcow2" qcow2
