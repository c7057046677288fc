#!/bin/bash
# Something at the destination (a copy job that nobody has ended) puts a file of its own where a disk arrives, so that what was written has no name any
# more: the guest is not handed over to a QEMU that has that, or the other, but goes on where it was.
# timeout: 400
. "$(dirname "$0")/../../lib/warm.sh"

replaced() { # DISK
	fault_wait
	cp "$TO/$1" "$TO/other"
	mv "$TO/other" "$TO/$1"
	fault_continue
	move_wait 1
	assert_result "'another program replaced $TO/$1 at the destination' in r['reason'] and r['guest'] == 'source'"
	assert_eq "$(ls "$TO")" "$1" "files at the destination" # the other program's file
	rm "$TO/$1"
}

guest_a
to_local
for how in --ram-mode=pages --ram-mode=opaque; do
	fault src-pre-switchover stop
	move_start a local $how
	replaced a.raw
	assert_at_source
done
guest_stop a
rm -rf "$DIR"/a.* "$DIR"/d[0-9]*

# beside a disk that both hosts see its QEMU there opens the others only as the guest begins to run, once all was promised
head -c 8M /dev/urandom >"$DIR/a.raw"
cp "$DIR/a.raw" "$DIR/b.raw"
MEM=256 WITNESS="ram_mb=16 rate=200 disks=vda,vdb disk_mb=4 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) \
	$(guest_drive d1 "$DIR/b.raw" raw) $(second_monitor a)
fault before-DST_START stop
to_listener
move_start a "$DEST" --disk d0=shared
fault_wait
cp "$TO/b.raw" "$TO/other"
mv "$TO/other" "$TO/b.raw"
fault_continue
move_wait 1
assert_result "'$TO/b.raw at the destination was replaced by another file' in r['reason'] and r['guest'] == 'source'"
guest_verify "$(orders a)" blocks
guest_stop a
rm -rf "$DIR"/a.* "$DIR"/b.*

warm_guest
boots=1
for disk in a.raw b.qcow2; do
	fault src-pre-switchover stop
	warm
	replaced $disk
	boots=$((boots + 1))
	runs_at_source $boots
done
