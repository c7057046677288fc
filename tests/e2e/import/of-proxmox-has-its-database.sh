#!/bin/bash
# A Linux guest with a database is shut down, and is imported by a configuration of Proxmox VE's, then out of a compressed archive of vzdump's: each
# time it has its database, sound and whole, and can be moved on by vmferry.
# timeout: 300
. "$(dirname "$0")/../../lib/import.sh"

rows() { # NAME: prints how many were checked
	local said
	said=$(guest_verify "$(orders "$1")" blocks) || fail "the database is damaged"
	sed -n 's/.* blocks_checked=\([0-9]*\) .*/\1/p' <<<"$said"
}

runs_with_its_database() { # NAME FILE
	imports "$2" --name "$1" --start -- -serial "file:$VM/$1.console" -serial "unix:$VM/$1.orders,server=on,wait=off" \
		-kernel "$TOP/build/guest/vmlinux" -initrd "$TOP/build/guest/initrd.img" -append "$(guest_cmdline)"
	guest_adopt "$1" "$IMPORTED"
	GUEST_AT[$1]=$VM
	ready() { grep -aqs '^witness ready' "$VM/$1.console"; }
	wait_for 180 ready "$1" || fail "$1 is not ready: $(tail -n 3 "$VM/$1.console")"
	after=$(rows "$1")
	[[ $before -gt 0 && $after -ge $before ]] || fail "rows are gone: $before before, $after after"
	vmferry list "$IMPORTED" | grep -q "vmferry migrate $1 HOST" || fail "it cannot be moved: $(vmferry list "$IMPORTED")"
	guest_stop "$1"
}

WITNESS="ram_mb=8 rate=0 db=vda db_rate=0"
guest_ext4 "$DIR/vm-100-disk-0.raw" raw 64M
MEM=256 guest_start a $(guest_drive d0 "$DIR/vm-100-disk-0.raw" raw)
wait_for 180 has_disk_ops a 300 || fail "the database takes no transactions"
before=$(rows a)
guest_order "$DIR/a.orders" poweroff >/dev/null || true
wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "the guest does not power off"
unset "GUEST_PID[a]"

cat >"$DIR/100.conf" <<-END
	agent: 1
	boot: order=virtio0
	cores: 1
	cpu: x86-64-v2-AES
	machine: q35
	memory: 256
	net0: virtio=BC:24:11:00:00:01,bridge=vmbr0
	ostype: l26
	smbios1: uuid=00000000-0000-4000-8000-0000000000bb
	virtio0: local-lvm:vm-100-disk-0,size=64M
	vmgenid: 00000000-0000-4000-8000-0000000000cc
END
runs_with_its_database "$ID-conf" "$DIR/100.conf"
python3 -S "$TOP/tests/lib/vma.py" "$DIR/a.vma" "$DIR/100.conf" drive-virtio0="$DIR/vm-100-disk-0.raw"
zstd -q --rm "$DIR/a.vma"
runs_with_its_database "$ID-vma" "$DIR/a.vma.zst"
