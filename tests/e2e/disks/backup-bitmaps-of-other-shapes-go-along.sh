#!/bin/bash
# A backup tool's dirty bitmaps go along in a warm move, too; with a chain of backing files and without it; beside a disk that stays where it is, whose
# bitmap is in its image. Each time the incremental backup at the destination is the disk.
# timeout: 180
. "$(dirname "$0")/../../lib/warm.sh"
. "$(dirname "$0")/../../lib/backup.sh"

incremental_is_right() { # IMAGE BITMAP WHEN
	local node image=$1
	node=$(node_of "$image")
	[[ -n $(bitmap "$2") ]] || fail "$3: the bitmap $2 did not go along; there are: $(bitmaps)"
	ask stop >/dev/null
	cp "$DIR/$2.full" "$DIR/$2.now"
	backup_incremental "$node" "$DIR/$2.now" "$2"
	"$QEMU_IMG" compare -q -U -f raw -F qcow2 "$DIR/$2.now" "$image" || fail "$3: the incremental backup is wrong"
	ask cont >/dev/null
}

# warm
warm_guest
backup_full "$(node_of "$DIR/b.qcow2")" "$DIR/warm.full" warm '"persistent": true'
write_outside d1 20 "$DIR/warm.full"
SETTINGS=$(settings_of a)
to_local
warm
move_wait
wait_for 60 grep -aq '^witness ready' "$TO/a.console" || fail "it does not boot there"
goes_on a
incremental_is_right "$TO/b.qcow2" warm "warm"
guest_stop a
unset "GUEST_AT[a]"

# a chain, and a disk that stays
mkdir "$DIR/src"
"$QEMU_IMG" create -q -f qcow2 "$DIR/src/base.qcow2" 20M
"$QEMU_IO" -f qcow2 -c 'write -P 0x11 12M 6M' "$DIR/src/base.qcow2" >/dev/null
"$QEMU_IMG" create -q -f qcow2 -b base.qcow2 -F qcow2 "$DIR/src/top.qcow2"
"$QEMU_IMG" create -q -f qcow2 "$DIR/src/stays.qcow2" 20M
MEM=128 WITNESS="ram_mb=8 rate=100 disks=vda,vdb disk_mb=4 disk_rate=15" tiny_start a $(guest_drive d0 "$DIR/src/top.qcow2" qcow2) \
	$(guest_drive d1 "$DIR/src/stays.qcow2" qcow2) $(second_monitor a)
backup_full "$(node_of "$DIR/src/top.qcow2")" "$DIR/top.full" top '"persistent": true'
write_outside d0 19 "$DIR/top.full"
backup_full "$(node_of "$DIR/src/stays.qcow2")" "$DIR/stays.full" stays '"persistent": true'
move_start a local --disk d1=shared
move_wait
assert_result '[d.get("bitmaps") for d in plan["disks"]][:2] == [["top"], None]'
incremental_is_right "$TO/top.qcow2" top "with its chain"
incremental_is_right "$DIR/src/stays.qcow2" stays "beside it"
move a local --disk d1=shared --chain flatten
incremental_is_right "$TO/top.qcow2" top "without its chain"
guest_verify "$(orders a)" blocks
