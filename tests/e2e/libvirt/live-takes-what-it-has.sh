#!/bin/bash
# A libvirt guest takes along, as it runs: a disk that is based on another image, a volume of a pool, a disk that was plugged in, UEFI
# variables, a CD and a drive without one, a network card. Its disks can go to other places, and ahead of it.
# timeout: 300
export TINY=yes MACHINE=pc MEM=64 WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=4 disk_rate=50"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

web=web-$$
libvirt_host a
libvirt_host b
at_a=$(libvirt_at a "$LIBVIRT_GUESTS") at_b=$(libvirt_at b "$LIBVIRT_GUESTS")
G=$LIBVIRT_GUESTS
mkdir "$at_b/new" "$at_a/pool" "$at_b/pool"
for host in a b; do
	echo "<pool type='dir'><name>fast</name><target><path>$G/pool</path></target></pool>" >"$DIR/pool.xml"
	libvirt_in $host virsh -q pool-create "$DIR/pool.xml" >/dev/null
done
"$QEMU_IMG" create -q -f qcow2 "$at_a/root.qcow2" 8M
head -c 1M /dev/urandom >"$at_a/pool/volume.raw"
head -c 1M /dev/urandom >"$at_a/plugged.raw"
head -c 256K /dev/urandom >"$at_a/cd.iso"
head -c 4M /dev/urandom >"$at_a/base.raw"
"$QEMU_IMG" create -q -f qcow2 -b "$G/base.raw" -F raw -u "$at_a/based.qcow2" 8M
LIBVIRT_DEVICES="
	<disk type='volume' device='disk'><driver name='qemu' type='raw'/><source pool='fast' volume='volume.raw'/><target dev='vdb' bus='virtio'/></disk>
	<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='$G/cd.iso'/><target dev='hda' bus='ide'/><readonly/></disk>
	<disk type='file' device='cdrom'><target dev='hdb' bus='ide'/><readonly/></disk>
	<interface type='user'><mac address='52:54:00:6c:3a:01'/><model type='virtio'/></interface>" libvirt_define a $web "$G/root.qcow2:qcow2"
libvirt_in a virsh -q pool-refresh fast
libvirt_run a $web
libvirt_in a virsh -q attach-disk $web "$G/plugged.raw" vdc --targetbus virtio --live >/dev/null
listen_at a
listen_at b

# Ahead: the guest stays, and nothing of libvirt's changes.
libvirt_move a b $web 0 --only-disks --keep-partial 1h
assert_eq "$(libvirt_in a virsh -q domstate $web)/$(libvirt_in b virsh -q list --all)" running/ "after its disks were copied ahead"

libvirt_in a virsh -q attach-disk $web "$G/based.qcow2" vdd --targetbus virtio --driver qemu --subdriver qcow2 --live >/dev/null
libvirt_move a b $web 0 --keep-partial 1h --disk "vdc=$G/new/elsewhere.raw"
assert_result 'sum(d["bytes_kept"] for d in r["disks"]) > 0'
assert_is_at b a $web
libvirt_in b virsh -q domblklist $web >"$DIR/blocks"
for line in "vda +$G/root.qcow2" "vdb +volume.raw" "vdc +$G/new/elsewhere.raw" "vdd +$G/based.qcow2" "hda +$G/cd.iso" "hdb +-"; do
	grep -qE "^ *$line\$" "$DIR/blocks" || fail "not $line: $(cat "$DIR/blocks")"
done
libvirt_in b virsh dumpxml --inactive $web >"$DIR/inactive.xml"
! grep -q elsewhere "$DIR/inactive.xml" || fail "what was plugged in has come into its definition"
cmp "$at_a/plugged.raw" "$at_b/new/elsewhere.raw"
cmp "$at_a/base.raw" "$at_b/base.raw"
cmp "$at_a/pool/volume.raw" "$at_b/pool/volume.raw"
guest_adopt $web "$(<"$(libvirt_at b "/run/libvirt/qemu/$web.pid")")"
GUEST_AT[$web]=$at_b
guest_verify "$(orders $web)"
assert_nothing_unfinished
