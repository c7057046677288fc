#!/bin/bash
# The images that a guest has by now, and not those that its command line began with, go along: after `vmferry storage`, and after somebody's external
# snapshot on top of them; disks of a -drive with an id and without, and of -blockdev, a device of its own for the file or within the format's. The
# destination's line, and what starts the guest again there, name the new ones. What the line says in another way is refused, as is a device that was
# plugged in anew. Limits of its I/O that are not on its line do not go along, those that are there come again, and either is said.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/changed.sh"

mkdir "$DIR/new"
for name in a b; do guest_disk "$DIR/$name.raw" raw 16M; done
for name in c d; do guest_disk "$DIR/$name.qcow2" qcow2 16M; done
WITNESS="ram_mb=8 disks=vda,vdb,vdc,vdd disk_mb=4 disk_rate=20 rate=100" tiny_start a $(second_monitor a) \
	-drive "file=$DIR/a.raw,format=raw,if=virtio,discard=unmap,bps_wr=1000000000,throttling.iops-total=900000" $(guest_drive d1 "$DIR/b.raw" raw) \
	-blockdev "driver=qcow2,node-name=n2,file.driver=file,file.filename=$DIR/c.qcow2" -device virtio-blk-pci,drive=n2,id=vd2 \
	-blockdev "{\"driver\":\"file\",\"node-name\":\"p3\",\"filename\":\"$DIR/d.qcow2\"}" -blockdev driver=qcow2,file=p3,node-name=n3 \
	-device virtio-blk-pci,drive=n3,id=vd3
vmferry storage "${GUEST_PID[a]}" --disk "a.raw=$DIR/new/a.qcow2" --disk "d1=$DIR/new/b.raw" --disk "n2=$DIR/new/c.raw" --disk "n3=$DIR/new/d.qcow2" \
	>"$DIR/storage.log" 2>&1 || fail "$(tail -n 2 "$DIR/storage.log")"
guest_verify "$(orders a)" blocks

ask '{"execute": "block_set_io_throttle", "arguments": {"device": "d1", "bps": 1000000000, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}}'
move a local
assert_result "[n for n in notices if 'has I/O limits' in n and '$DIR/new/b.raw' in n] and not any('I/O limits' in n and 'a.qcow2' in n for n in notices)"
assert_result "sorted(d['from'] for d in r['disks']) == sorted('$DIR/new/' + n for n in ('a.qcow2', 'b.raw', 'c.raw', 'd.qcow2'))"
assert_eq "$(grep -c '"text":"a drive that had ' "$DIR/move.json")" 4 "notices"
guest_verify "$(orders a)" blocks
for name in a.qcow2 b.raw c.raw d.qcow2; do grep -q "$TO/$name" "$TO/a.sh" || fail "what starts it again does not name $TO/$name"; done

ask '{"execute": "block_set_io_throttle", "arguments": {"device": "virtio0", "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}}'

# somebody's snapshots, of one disk by its drive and of one by its node
first=$TO
for disk in "device\": \"d1" "node-name\": \"n3"; do
	ask '{"execute": "blockdev-snapshot-sync", "arguments": {"'"$disk"'", "snapshot-file": "'"$DIR/new/top-${disk: -2}.qcow2"'", "format": "qcow2"'"$(
		[[ $disk == device* ]] || echo ', "snapshot-node-name": "top"'
	)"'}}'
done
guest_verify "$(orders a)" blocks
move a local
assert_result "'$DIR/new/top-d1.qcow2' in [d['from'] for d in r['disks']] and '$DIR/new/top-n3.qcow2' in [d['from'] for d in r['disks']]"
assert_eq "$(grep -c '"text":"a drive that had ' "$DIR/move.json")" 2 "notices"
assert_result "len([n for n in notices if 'I/O limits' in n]) == 1 and any('other I/O limits than' in n and 'a.qcow2' in n for n in notices)"
guest_verify "$(orders a)" blocks
"$QEMU_IMG" info -U --backing-chain "$TO/top-d1.qcow2" >"$DIR/chain" || fail "the chain at the destination"
assert_eq "$(grep -c '^image:' "$DIR/chain")" 2 "images of that chain"

# plugged in anew
guest_stop a
for name in a b; do guest_disk "$DIR/$name.raw" raw 1M; done
WITNESS="ram_mb=8" tiny_start a $(second_monitor a) -device virtio-scsi-pci,id=s \
	-blockdev "driver=raw,node-name=A,file.driver=file,file.filename=$DIR/a.raw" -blockdev "driver=raw,node-name=B,file.driver=file,file.filename=$DIR/b.raw" \
	-device scsi-hd,id=u0,drive=A,bus=s.0 -device scsi-hd,id=u1,drive=B,bus=s.0
GUEST_AT[a]=$DIR
for id in u0 u1; do ask '{"execute": "device_del", "arguments": {"id": "'"$id"'"}}' DEVICE_DELETED; done
ask '{"execute": "device_add", "arguments": {"driver": "scsi-hd", "id": "u0", "drive": "B", "bus": "s.0"}}'
ask '{"execute": "device_add", "arguments": {"driver": "scsi-hd", "id": "u1", "drive": "A", "bus": "s.0"}}'
refused_because "from which the destination starts, and its device was plugged in anew while the guest ran"
guest_stop a

# on IDE, in order, beside a drive that is empty
for name in a b; do guest_disk "$DIR/$name.raw" raw 1M; done
WITNESS="ram_mb=8" tiny_start a $(second_monitor a) -drive "file=$DIR/a.raw,format=raw" -drive media=cdrom,if=ide -drive "file=$DIR/b.raw,format=raw,if=ide"
GUEST_AT[a]=$DIR
for disk in ide0-hd0 ide2-hd0; do
	ask '{"execute": "blockdev-snapshot-sync", "arguments": {"device": "'"$disk"'", "snapshot-file": "'"$DIR/new/top-$disk.qcow2"'", "format": "qcow2"}}'
done
move a local
assert_result "[d['from'].split('/')[-1] for d in r['disks']] == ['top-ide0-hd0.qcow2', 'top-ide2-hd0.qcow2']"
grep -o 'top-ide.-hd0\.qcow2' "$TO/a.sh" | xargs >"$DIR/order"
assert_eq "$(<"$DIR/order")" "top-ide0-hd0.qcow2 top-ide2-hd0.qcow2" "the order on the line"
guest_stop a

# a disk of -hda, whose image says by itself that it is qcow2
WITNESS="ram_mb=8" tiny_start a $(second_monitor a) -hda "$DIR/a.raw"
GUEST_AT[a]=$DIR
ask '{"execute": "blockdev-snapshot-sync", "arguments": {"device": "ide0-hd0", "snapshot-file": "'"$DIR/new/top-hda.qcow2"'", "format": "qcow2"}}'
move a local
grep -q "top-hda\.qcow2" "$TO/a.sh" || fail "its disk: $(<"$TO/a.sh")"
guest_stop a

# a medium of -cdrom, which has a place, beside a disk that has one behind it
for name in one two; do head -c 1M /dev/urandom >"$DIR/$name.iso"; done
WITNESS="ram_mb=8" tiny_start a $(second_monitor a) -cdrom "$DIR/one.iso" -drive "file=$DIR/b.raw,format=raw,index=4"
GUEST_AT[a]=$DIR
ask '{"execute": "blockdev-change-medium", "arguments": {"device": "ide2-cd0", "filename": "'"$DIR/two.iso"'", "format": "raw", "force": true}}'
ask '{"execute": "blockdev-snapshot-sync", "arguments": {"device": "ide4-hd0", "snapshot-file": "'"$DIR/new/top-4.qcow2"'", "format": "qcow2"}}'
move a local
grep -q -- "-cdrom $DIR/two.iso" "$TO/a.sh" || fail "its medium: $(<"$TO/a.sh")"
grep -q "file=$TO/top-4.qcow2" "$TO/a.sh" || fail "its disk: $(<"$TO/a.sh")"
guest_stop a

# variables of firmware, which are the machine's own device
seabios=$(find "$TOP/build/qemu/" /usr/share/seabios -name bios-256k.bin 2>/dev/null | head -n 1 || true) # in the place of UEFI firmware, which takes longer to begin
code=if=pflash,unit=0,format=raw,readonly=on,file=$seabios
in_flash() { # QEMU-OPTION...
	rm -f "$DIR/new/vars.fd"
	head -c 256K /dev/urandom >"$DIR/vars.fd"
	WITNESS="ram_mb=8" MACHINE=q35 tiny_start a $(second_monitor a) "$@"
	GUEST_AT[a]=$DIR
	vmferry storage "${GUEST_PID[a]}" --disk "vars.fd=$DIR/new/vars.fd" >"$DIR/storage.log" 2>&1 || fail "$(tail -n 2 "$DIR/storage.log")"
	move a local
	assert_result "[d['from'] for d in r['disks']] == ['$DIR/new/vars.fd']"
	grep -q "$TO/vars.fd" "$TO/a.sh" || fail "its variables: $(<"$TO/a.sh")"
	guest_stop a
}
in_flash -drive "$code" -drive "if=pflash,format=raw,file=$DIR/vars.fd"
in_flash -blockdev "driver=raw,node-name=code,read-only=on,file.driver=file,file.filename=$seabios" \
	-blockdev "driver=raw,node-name=vars,file.driver=file,file.filename=$DIR/vars.fd" -machine pflash0=code,pflash1=vars
