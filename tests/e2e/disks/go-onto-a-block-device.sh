#!/bin/bash
# A disk goes onto a block device that is there already, when the user names it: of the same size or larger, blank and nobody's; whatever it held
# between its ends is gone, as far as the disk goes. Its guest sees the size that the disk has. A move that fails leaves it blank again, at once or not at
# all.
# takes: 45
# tier: gate
. "$(dirname "$0")/../../lib/cold.sh"
[[ $EUID -eq 0 ]] || skip "loop devices need root"

device() { # FILE BYTES: prints the device; it has something where a guest's disk has holes
	truncate -s "$2" "$DIR/$1"
	printf 'left by somebody' | dd of="$DIR/$1" bs=1M seek=5 conv=notrunc status=none
	losetup -f --show "$DIR/$1" 2>/dev/null
}

loop=$(device behind 16M) || skip "no loop device here"
at_exit "losetup -d $loop"
guest_disk "$DIR/a.raw" raw 16M
guest_disk "$DIR/b.qcow2" qcow2 16M
MEM=256 WITNESS="ram_mb=16 rate=200 disks=vda,vdb disk_mb=4 disk_rate=40" tiny_start a \
	-blockdev "driver=file,filename=$DIR/a.raw,node-name=f0,discard=unmap" -blockdev driver=raw,node-name=d0,file=f0 \
	-device virtio-blk-pci,drive=d0,id=d0-dev $(guest_drive d1 "$DIR/b.qcow2" qcow2) $(second_monitor a)

refused() { # PATTERN OPTION...
	move_refused "$1" local "${@:2}"
	assert_eq "$(status_of "$(free_monitor a)")" running "run state"
	assert_eq "$(ls -A "$TO")" "" "what is at the destination"
}
cp "$DIR/behind" "$DIR/before"

truncate -s 20M "$DIR/larger"
printf 'behind the disk' | dd of="$DIR/larger" bs=1M seek=18 conv=notrunc status=none
larger=$(losetup -f --show "$DIR/larger")
at_exit "losetup -d $larger"
truncate -s 15M "$DIR/smaller"
smaller=$(losetup -f --show "$DIR/smaller")
at_exit "losetup -d $smaller"
none=/dev/vmferry-none-$$
at_exit "rm -f $none"
refused "the destination has no block device $none" --disk "d0=$none"
[[ ! -e $none ]] || fail "it is there now"
refused 'has 15728640 bytes and the disk 16777216: give it a device that is as large, or larger' --disk "d0=$smaller"

guest_disk "$DIR/e.raw" raw 16M
MEM=64 WITNESS="ram_mb=4 rate=0 disks=vda disk_mb=4 disk_rate=40" tiny_start e $(guest_drive e0 "$DIR/e.raw" raw) $(second_monitor e)
qmp "$DIR/e.mon" '{"execute": "block-dirty-bitmap-add", "arguments": {"node": "e0", "name": "since"}}' >/dev/null
vmferry migrate "${GUEST_PID[e]}" local --dry-run --disk-dir "$DIR/d2" --disk "e0=$larger" &>"$DIR/plan"
grep -q "a block device of 20.0 MiB, which is cleared first as far as the disk goes; the guest sees the size" "$DIR/plan" || fail "the plan: $(<"$DIR/plan")"
move e local --disk "e0=$larger"
guest_verify "$(orders e)" blocks
in_qemu() { # PYTHON EXPRESSION over d, its disk
	qmp "$(free_monitor e)" '{"execute": "query-block"}' | python3 -S -c 'import json, sys; d = json.load(sys.stdin)[0]["inserted"]; print(eval(sys.argv[1]))' "$1"
}
bitmaps='[b["name"] for b in d["dirty-bitmaps"]]'
assert_eq "$(in_qemu 'd["image"]["virtual-size"]')" 16777216 "the size that the guest sees"
assert_eq "$(in_qemu "$bitmaps")" "['since']" "a backup tool's bitmap"
grep -q "file=$larger,.*size=16777216" "$TO/e.sh" || fail "the script does not say its size: $(<"$TO/e.sh")"
assert_eq "$(dd if="$larger" bs=1M skip=18 count=1 status=none | tr -d '\0')" 'behind the disk' "what is behind the disk"
move e local # off the device, into a file that has the disk's size without being told
assert_eq "$(stat -c %s "$TO/${larger##*/}")" 16777216 "the size of its file"
assert_eq "$(in_qemu "$bitmaps")" "['since']" "a backup tool's bitmap"
! grep -q size= "$TO/e.sh" || fail "the script says a size: $(<"$TO/e.sh")"
cmp -n 16777216 "$larger" "$TO/${larger##*/}" && fail "the guest has written nothing since"
guest_verify "$(orders e)" blocks
guest_stop e

refused "b.qcow2 is a qcow2 image: onto block device $loop" --disk "d1=$loop"
PATH=$PATH:/usr/sbin:/sbin blockdev --setro "$loop"
refused "block device $loop is read-only" --disk "d0=$loop"
PATH=$PATH:/usr/sbin:/sbin blockdev --setrw "$loop"
hold_open "$loop"
refused "open in process $HOLDER" --disk "d0=$loop"
end_process "$HOLDER"
printf x | dd of="$loop" bs=1 seek=$(((16 << 20) - 1)) conv=notrunc,fsync status=none
refused 'is not blank' --disk "d0=$loop"
printf '\0' | dd of="$loop" bs=1 seek=$(((16 << 20) - 1)) conv=notrunc,fsync status=none
PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F "$loop"
refused 'is not blank' --disk "d0=$loop"
dd if="$DIR/before" of="$loop" bs=1M conv=fsync status=none
vmferry migrate "${GUEST_PID[a]}" local --dry-run --disk-dir "$DIR/d1" --disk "d0=$loop" &>"$DIR/plan"
grep -q "a.raw .*-> $loop, a block device, which is cleared first" "$DIR/plan" || fail "the plan: $(<"$DIR/plan")"
cmp "$loop" "$DIR/before" || fail "something has been written"

is_blank() { cmp -s -n $((16 << 20)) "$loop" /dev/zero; }
move_start a local --disk "d0=$loop" --bwlimit 1M --json=fine
while_disks
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 1
is_blank || fail "the move that failed has left something on the device"

# A process that has the device open when the move fails keeps it.
to_listener
move_start a "$DEST" --disk "d0=$loop" --bwlimit 3M --json=fine
while_disks
wait_for 60 eval '! is_blank' || fail "nothing is written"
hold_open "$loop"
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 4
assert_result "'$loop is open in process $HOLDER' in str(r['leftovers'])"
! is_blank || fail "it has been written to under somebody's hands"
end_process "$HOLDER"
end_process "$DST_PID"
clear_by_hand() {
	dd if=/dev/zero of="$loop" bs=1M count=16 conv=notrunc,fsync status=none
}
clear_by_hand
listen_dst --listen "$DEST"
wait_for 60 eval '[[ -z $(unfinished_journals) ]]' || fail "a device that is clear is still listed: $(<"$DIR/dst.log")"

# The agent at the destination ends, and somebody finds the device unused before another looks: it is his.
move_start a "$DEST" --disk "d0=$loop" --bwlimit 3M --json=fine
while_disks
wait_for 60 eval '! is_blank' || fail "nothing is written"
agent=$(agent_dst)
kill_now "$DST_PID"
kill_now "$agent"
move_wait 4
PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F "$loop"
cp "$loop" "$DIR/his"
listen_dst --listen "$DEST"
by_now="a move that failed wrote to block device $loop, which another program may use by now: if its contents are not needed, clear it"
wait_for 60 grep -q "$by_now" "$DIR/dst.log" || fail "it says nothing: $(<"$DIR/dst.log")"
recover 4
said recover.log "left behind at the destination: $by_now"
end_process "$DST_PID"
listen_dst --listen "$DEST"
wait_for 60 grep -q "$by_now" "$DIR/dst.log" || fail "it says nothing: $(<"$DIR/dst.log")"
cmp "$loop" "$DIR/his" || fail "it has been written to though it may be somebody's"
end_process "$DST_PID"
clear_by_hand
listen_dst --listen "$DEST"
wait_for 60 eval '[[ -z $(unfinished_journals) ]]' || fail "a device that is clear is still listed: $(<"$DIR/dst.log")"
end_process "$DST_PID"

printf 'left by somebody' | dd of="$loop" bs=1M seek=5 conv=notrunc,fsync status=none
to_local
move a local --disk "d0=$loop"
guest_verify "$(orders a)" blocks
tr '\0' ' ' <"/proc/${GUEST_PID[a]}/cmdline" | grep -q "driver=host_device,filename=$loop" || fail "the new line says no host_device"
grep -q "$loop" "$TO/a.sh" || fail "the script does not name it: $(<"$TO/a.sh")"
guest_order "$(orders a)" quiesce
cmp "$loop" "$DIR/a.raw" && fail "the guest has written nothing here"
move a local # off the device, into a file of its name
cmp "$loop" "$TO/${loop##*/}" || fail "what it left is not what arrived"
guest_verify "$(orders a)" blocks
guest_stop a

# A guest that is shut down goes onto a device, too.
goes_cold() { # NAME DEVICE PATTERN
	cat >"$DIR/$1.sh" <<-END
		#!/bin/sh
		exec $QEMU -accel tcg -machine q35 -m 64 -name $1 -display none -nodefaults -no-user-config -drive file=$DIR/$1.raw,format=raw,if=virtio
	END
	chmod +x "$DIR/$1.sh"
	cp "$DIR/a.raw" "$DIR/$1.raw"
	dd if="$DIR/before" of="$2" bs=1M conv=fsync status=none
	mkdir "$DIR/$1-there"
	vmferry migrate "$DIR/$1.sh" local --how cold --disk-dir "$DIR/$1-there" --disk "$1.raw=$2" -v >"$DIR/cold.out" 2>&1 || fail "$(tail -n 3 "$DIR/cold.out")"
	cmp -n $((16 << 20)) "$2" "$DIR/a.raw" || fail "the device is not the disk"
	grep -q "file=$2,$3" "$DIR/$1-there/$1.sh" || fail "$(<"$DIR/$1-there/$1.sh")"
}
! beyond_gate || goes_cold c "$loop" "format=raw,if=virtio " # the same as the next, except for the size
goes_cold d "$larger" "format=raw,if=virtio,size=16777216 "
