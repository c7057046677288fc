#!/bin/bash
# A Linux guest with a database is shut down, leaves as a VMDK in an OVA, and is imported: it has its database, sound and whole, knows its
# disk under another controller, and moves on by vmferry. Then the same by way of libvirt's description.
# timeout: 300
. "$(dirname "$0")/../../lib/import.sh"

rows() { # NAME: prints how many were checked
	local said
	said=$(guest_verify "$(orders "$1")" blocks) || fail "the database is damaged"
	sed -n 's/.* blocks_checked=\([0-9]*\) .*/\1/p' <<<"$said"
}

# Options of QEMU for the devices that a guest of guest.sh has besides its disk.
inside_of() { # NAME
	INSIDE=(-serial "file:$VM/$1.console" -serial "unix:$VM/$1.orders,server=on,wait=off"
		-kernel "$TOP/build/guest/vmlinux" -initrd "$TOP/build/guest/initrd.img" -append "$(guest_cmdline)")
}

adopt() { # NAME: the guest that was imported last
	guest_adopt "$1" "$IMPORTED"
	GUEST_AT[$1]=$VM
	ready() { grep -aqs '^witness ready' "$VM/$1.console"; }
	wait_for 180 ready "$1" || fail "$1 is not ready: $(tail -n 3 "$VM/$1.console")"
}

WITNESS="ram_mb=8 rate=0 db=vda db_rate=0"
guest_ext4 "$DIR/a.raw" raw 64M
MEM=256 guest_start a $(guest_drive d0 "$DIR/a.raw" raw)
wait_for 180 has_disk_ops a 300 || fail "the database takes no transactions"
before=$(rows a)
guest_order "$DIR/a.orders" poweroff >/dev/null || true
wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "the guest does not power off"
unset "GUEST_PID[a]"

to_ova "$ID-db" "$DIR/a.raw"
inside_of "$ID-db"
imports "$DIR/$ID-db.ova" --bus virtio --cpus 1 --start -- "${INSIDE[@]}"
adopt "$ID-db"
after=$(rows "$ID-db")
[[ $before -gt 0 && $after -ge $before ]] || fail "rows are gone: $before before, $after after"
vmferry list "$IMPORTED" | grep -q "vmferry migrate $ID-db HOST" || fail "it cannot be moved: $(vmferry list "$IMPORTED")"
move "$ID-db" local
after=$(rows "$ID-db")
[[ $after -ge $before ]] || fail "rows are gone in the move: $before before, $after after"
guest_stop "$ID-db"

# libvirt's description says kernel, serial lines it does not
cp "$TOP/build/guest/vmlinux" "$TOP/build/guest/initrd.img" "$DIR"
cat >"$DIR/d.xml" <<-END
	<domain type='kvm'>
	  <name>$ID-virt</name>
	  <uuid>3c0d4a6e-7d4e-4a2c-8f4e-0f4a8c2f9b11</uuid>
	  <memory unit='MiB'>256</memory><vcpu>1</vcpu>
	  <os><type arch='x86_64' machine='q35'>hvm</type>
	    <kernel>$TOP/build/guest/vmlinux</kernel><initrd>$TOP/build/guest/initrd.img</initrd><cmdline>$(guest_cmdline)</cmdline></os>
	  <devices>
	    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$DIR/a.raw'/><target dev='vda' bus='virtio'/></disk>
	    <interface type='network'><mac address='52:54:00:6b:3c:58'/><source network='default'/><model type='virtio'/></interface>
	    <memballoon model='virtio'/><rng model='virtio'/>
	  </devices>
	</domain>
END
imports "$DIR/d.xml" --start -- "${INSIDE[@]:0:1}" "file:$VM/$ID-virt.console" -serial "unix:$VM/$ID-virt.orders,server=on,wait=off"
adopt "$ID-virt"
after=$(rows "$ID-virt")
[[ $after -ge $before ]] || fail "rows are gone: $before before, $after after"
grep -aq 'uuid 3c0d4a6e' "$VM/$ID-virt.sh" || fail "another UUID"
