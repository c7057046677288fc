#!/bin/bash
# A bundle keeps every part that a guest can have: UEFI with its variables, disks as nodes of their own, several LUNs on one base, CDs;
# -hda, an image without a format, a floppy that the guest may write; a disk that it may not. Each disk is the same then, and the guest
# boots.
# timeout: 300
. "$(dirname "$0")/../../lib/export.sh"

mkdir "$DIR/src"
head -c 8M /dev/urandom >"$DIR/src/base.raw"
truncate -s 32M "$DIR/src/base.raw"
for name in one two; do (cd "$DIR/src" && "$QEMU_IMG" create -q -f qcow2 -b base.raw -F raw "$name.qcow2"); done
guest_disk "$DIR/src/three.raw" raw 24M
guest_disk "$DIR/src/four.qcow2" qcow2 16M
head -c 3M /dev/urandom >"$DIR/src/cd.iso"
head -c 5M /dev/urandom >"$DIR/src/fixed.raw"
head -c 1440K /dev/urandom >"$DIR/src/floppy.img"

exported() { # the guest stands, so that its disks are comparable; $TO_BUNDLE
	guest_order "$DIR/$A.orders" quiesce >/dev/null
	qmp "$DIR/$A.mon" '{"execute": "stop"}' >/dev/null
	rm -rf "$DIR/bundle"
	export_guest "$A" "$DIR/bundle"
	imports "$DIR/bundle" --name "$ID-new" --start
	ready_again
	guest_order "$VMS/$A.orders" quiesce >/dev/null
}

is() { # NUMBER-OF-DISK.FORMAT SOURCE FORMAT: in the bundle
	"$QEMU_IMG" compare -U -q -f "$3" -F qcow2 "$DIR/src/$2" "$DIR/bundle/disk$1.qcow2" || fail "disk $1 is not $2"
}

lun() { # NUMBER FILE FORMAT [DEVICE [MORE]]
	echo "-drive file=$2,format=$3,if=none,id=l$1${5:-} -device ${4:-scsi-hd},bus=bus.0,scsi-id=0,lun=$1,drive=l$1,id=lun$1"
}

firmware=()
ovmf=$TOP/build/ovmf
if [[ -e $ovmf/OVMF_CODE_4M.fd ]]; then
	cp "$ovmf/OVMF_VARS_4M.fd" "$DIR/src/vars.fd"
	cp "$ovmf/OVMF_CODE_4M.fd" "$DIR/src/code.fd"
	firmware=(-drive "if=pflash,format=raw,readonly=on,file=$DIR/src/code.fd" -drive "if=pflash,format=raw,file=$DIR/src/vars.fd")
else
	echo "skipped: no OVMF at $ovmf"
fi
KERNEL=vmlinuz MEM=256 WITNESS="ram_mb=8 disks=sda,sdb,sdc disk_mb=8 disk_rate=40" guest_start "$A" $(second_monitor "$A") "${firmware[@]}" \
	-object iothread,id=io0 -device virtio-scsi-pci,id=bus,iothread=io0 $(lun 0 "$DIR/src/one.qcow2" qcow2) $(lun 1 "$DIR/src/two.qcow2" qcow2) \
	$(lun 2 "$DIR/src/three.raw" raw) $(lun 3 "$DIR/src/cd.iso" raw scsi-cd ,readonly=on) \
	-drive "file=$DIR/src/fixed.raw,format=raw,if=none,id=fixed,readonly=on" -device virtio-blk-pci,drive=fixed \
	-blockdev "driver=file,filename=$DIR/src/four.qcow2,node-name=four-file" \
	-blockdev '{"driver": "qcow2", "node-name": "four", "file": "four-file"}' -device virtio-blk-pci,drive=four
exported
n=0
if [[ ${#firmware[@]} -gt 0 ]]; then
	is $((n++)) vars.fd raw
	! cmp -s "$DIR/src/vars.fd" "$ovmf/OVMF_VARS_4M.fd" || fail "the firmware has written no variables"
	cmp "$DIR"/bundle/file*-code.fd "$DIR/src/code.fd"
fi
is $((n++)) one.qcow2 qcow2
is $((n++)) two.qcow2 qcow2
is $((n++)) three.raw raw
is $((n++)) fixed.raw raw
is $((n++)) four.qcow2 qcow2
cmp "$DIR"/bundle/file*-cd.iso "$DIR/src/cd.iso"
end_process "$IMPORTED"
guest_stop "$A"
rm -f "$VMS"/*

# an old PC
guest_disk "$DIR/src/a.qcow2" qcow2 32M
guest_disk "$DIR/src/b.raw" raw 20M
MACHINE=pc MEM=256 WITNESS="ram_mb=8 disks=sda,sdb disk_mb=8 disk_rate=30" guest_start "$A" $(second_monitor "$A") -vga std \
	-hda "$DIR/src/a.qcow2" -drive "file=$DIR/src/b.raw,format=raw,if=ide,index=1" -cdrom "$DIR/src/cd.iso" \
	-drive "file=$DIR/src/floppy.img,format=raw,if=floppy"
cd=$(guest_order "$DIR/$A.orders" "sum /dev/sr0")
exported
is 0 a.qcow2 qcow2
is 1 b.raw raw
is 2 floppy.img raw
assert_eq "$(guest_order "$VMS/$A.orders" "sum /dev/sr0")" "$cd" "what the guest reads of its CD"
assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"
