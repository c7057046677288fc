#!/bin/bash
# A bundle's disk is what the guest sees of a part of a file, or of a block device (offset=, size=), whether the guest runs or is shut down;
# the imported guest's command line names no part. The block device, reached by a link, of a guest that is shut down is exported, too, while
# nobody can mount it.
# takes: 20
. "$(dirname "$0")/../../lib/export.sh"
. "$(dirname "$0")/../../lib/tiny.sh"
[[ $EUID -eq 0 ]] || skip "loop devices need root"
head -c 8M /dev/urandom >"$DIR/disk"
truncate -s 10M "$DIR/file"
loop=$(losetup -f --show "$DIR/file" 2>/dev/null) || skip "no loop device here"
at_exit "losetup -d $loop"
ln -s "$loop" "$DIR/by-id"
for whole in "$DIR/whole" "$loop"; do
	head -c 10M /dev/urandom | dd of="$whole" bs=1M status=none
	dd if="$DIR/disk" of="$whole" bs=1M seek=1 conv=notrunc status=none
done
LINE=(-accel tcg -machine q35 -m 64 -name "$A" -display none -nodefaults -qmp "unix:$DIR/$A.qmp,server=on,wait=off")

is_the_disk() { # [FILE (the part alone)]: what is imported from the bundle
	imports "$DIR/bundle" --name "$ID-new"
	"$QEMU_IMG" compare -q -f raw -F raw "${1:-$DIR/disk}" "$VMS/$ID-new.raw" || fail "the disk is another"
	! grep -q offset= "$VMS/$ID-new.sh" || fail "its script shows a part: $(<"$VMS/$ID-new.sh")"
	rm -rf "${VMS:?}"/* "$DIR/bundle"
}

for name in whole by-id; do
	disk=file=$DIR/$name,format=raw,if=none,id=d0,offset=1M,size=8M
	vmferry export "$DIR/bundle" -- "$QEMU" "${LINE[@]}" -drive "$disk" -device virtio-blk-pci,drive=d0 >"$DIR/export.out" 2>"$DIR/export.err" ||
		fail "shut down, $name: $(<"$DIR/export.err")"
	is_the_disk
	MEM=64 WITNESS="ram_mb=4 rate=0" tiny_start "$A" -drive "$disk" -device virtio-blk-pci,drive=d0
	export_guest "$A" "$DIR/bundle"
	end_process "${GUEST_PID[$A]}"
	is_the_disk
done

vmferry export "$DIR/bundle" -- "$QEMU" "${LINE[@]}" -blockdev "driver=host_device,filename=$DIR/by-id,node-name=f0" \
	-blockdev driver=raw,node-name=d0,file=f0 -device virtio-blk-pci,drive=d0 >"$DIR/export.out" 2>"$DIR/export.err" || fail "a device: $(<"$DIR/export.err")"
is_the_disk "$loop"

status=0
vmferry export "$DIR/bundle" -- "$QEMU" "${LINE[@]}" -drive "file=$DIR/by-id,format=raw,offset=4M,size=8M,if=virtio" >"$DIR/export.out" 2>"$DIR/export.err" || status=$?
assert_eq $status 3 "exit code of a part that is not in its file"
says 'a part of its file .* that is not in it' "$DIR/export.err"
exec 9<>"$loop"
status=0
vmferry export "$DIR/bundle" -- "$QEMU" "${LINE[@]}" -drive "file=$DIR/by-id,format=raw,if=virtio" >"$DIR/export.out" 2>"$DIR/export.err" || status=$?
exec 9>&-
assert_eq $status 3 "exit code while a process has the device"
says 'is open in process' "$DIR/export.err"
