#!/bin/bash
# A disk with a backing file becomes one image, onto a block device, in the raw format: its QEMU uses it with the cache, discard and
# detect-zeroes of the old one. What starts the guest is not known: this is said, and the old image has another name. Snapshots and bitmaps
# are left behind if that is said, owner and access control list are kept.
. "$(dirname "$0")/../../lib/storage.sh"
[[ $EUID -eq 0 ]] || skip "loop devices need root"
truncate -s 32M "$DIR/behind"
loop=$(losetup -f --show "$DIR/behind" 2>/dev/null) || skip "no loop device here"
at_exit "losetup -d $loop"

mkdir "$DIR/src" "$DIR/new"
cd "$DIR/src"
"$QEMU_IMG" create -q -f qcow2 base.qcow2 32M
"$QEMU_IO" -f qcow2 -c 'write -P 0x11 9M 3M' base.qcow2 >/dev/null
"$QEMU_IMG" create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2
"$QEMU_IMG" create -q -f qcow2 b.qcow2 16M
"$QEMU_IMG" snapshot -c before b.qcow2
"$QEMU_IMG" bitmap --add b.qcow2 since
chown 12:34 b.qcow2
chmod 640 b.qcow2
! command -v setfacl >/dev/null || setfacl -m u:56:r b.qcow2 2>/dev/null || true
MEM=128 WITNESS="ram_mb=16 rate=100 disks=vda,vdb disk_mb=8 disk_rate=100" tiny_start a $(second_monitor a) \
	-drive "file=$DIR/src/a.qcow2,format=qcow2,if=none,id=d0,cache=directsync,discard=ignore,detect-zeroes=on" -device virtio-blk-pci,drive=d0,id=d0-dev \
	-blockdev "{\"driver\":\"qcow2\",\"node-name\":\"d1\",\"discard\":\"unmap\",\"file\":{\"driver\":\"file\",\"filename\":\"$DIR/src/b.qcow2\",\"aio\":\"threads\"}}" \
	-object iothread,id=io0 -device virtio-blk-pci,drive=d1,id=d1-dev,iothread=io0

nodes() { # PYTHON EXPRESSION over n, a node that has the file $2
	qmp "$DIR/a.mon" '{"execute": "query-named-block-nodes", "arguments": {"flat": true}}' | python3 -S -c '
import json, sys
print(*sorted({str(eval(sys.argv[2])) for n in json.load(sys.stdin) if n["file"] == sys.argv[1]}))' "$2" "$1"
}

"$QEMU_IMG" create -q -f raw "$DIR/mounted" 1M
storage_start "${GUEST_PID[a]}" --disk "d0-dev=$loop"
storage_wait 3
assert_result '"on one the disk is raw" in r["reason"]'
small=$(losetup -f --show "$DIR/mounted")
at_exit "losetup -d $small"
storage_start "${GUEST_PID[a]}" --disk "d0-dev=$small" --format raw
storage_wait 3
assert_result '"has 1.0 MiB, and the disk 32.0 MiB" in r["reason"]'
exec {held}<"$loop"
storage_start "${GUEST_PID[a]}" --disk "d0-dev=$loop" --format raw
storage_wait 3
assert_result '"is open in process" in r["reason"]'
exec {held}<&-
printf x | dd of="$loop" bs=1 seek=600000 conv=notrunc,fsync status=none
storage_start "${GUEST_PID[a]}" --disk "d0-dev=$loop" --format raw
storage_wait 3
assert_result '"is not blank" in r["reason"]'
printf '\0' | dd of="$loop" bs=1 seek=600000 conv=notrunc,fsync status=none

storage "${GUEST_PID[a]}" --disk "d0-dev=$loop" --format raw
assert_result 'plan["disks"][0]["flatten"] and plan["disks"][0]["to_device"] and plan["old"] == "aside" and bool(r["script_unknown"])'
guest_verify "$DIR/a.orders" blocks
assert_eq "$(nodes 'n["cache"]["direct"], n["cache"]["no-flush"]' "$loop")" "(True, False)" "cache"
assert_eq "$(nodes 'n["drv"], n["detect_zeroes"]' "$loop")" "('host_device', 'off') ('raw', 'on')" "detect-zeroes, of the device and of the disk"
[[ $(ls | xargs) =~ ^a.qcow2.moved-[0-9a-f]{8}\ b.qcow2\ base.qcow2$ ]] || fail "old images: $(ls)"
"$QEMU_IO" -U -r -f raw -c 'read -P 0x11 9M 3M' "$loop" | grep -q 'verification failed' && fail "what was in the backing file is not there"

storage_start "${GUEST_PID[a]}" --disk "d1-dev=$DIR/new/b.qcow2"
storage_wait 3
assert_result '"internal snapshots" in r["reason"]'
storage "${GUEST_PID[a]}" --disk "d1-dev=$DIR/new/b.qcow2" --drop snapshots --dry-run
assert_result 'plan["disks"][0]["bitmaps"] == ["since"]'
storage "${GUEST_PID[a]}" --disk "d1-dev=$DIR/new/b.qcow2" --drop snapshots,bitmaps --old keep
assert_result 'plan["old"] == "keep" and "bitmaps" not in plan["disks"][0] and bool(r["script_unknown"])'
assert_eq "$(stat -c %u:%g:%a "$DIR/new/b.qcow2")" "$(stat -c %u:%g:%a b.qcow2)" "owner and mode"
! command -v getfacl >/dev/null || assert_eq "$(getfacl -cp "$DIR/new/b.qcow2")" "$(getfacl -cp b.qcow2)" "access control list"
assert_eq "$(nodes_in_qemu)" "$(printf '%s\n' "$loop" "$DIR/new/b.qcow2" | LC_ALL=C sort | xargs)" "what QEMU has open"
guest_verify "$DIR/a.orders" blocks
kill_now "${GUEST_PID[a]}"
assert_sound "$DIR/new/b.qcow2"
