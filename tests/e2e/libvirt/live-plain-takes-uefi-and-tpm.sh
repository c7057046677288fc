#!/bin/bash
# A libvirt guest with UEFI firmware, a TPM and a disk that is based on another runs on as a plain one at a host without libvirt (--as plain): its variables are there as a
# disk is, its TPM holds what it held, in memory (a PCR) and kept (an NV index), as the guest reads it, and its disk has its base. The host that it came from has no
# swtpm of it any more.
# takes: 60
# timeout: 300
. "$(dirname "$0")/../../lib/libvirt-move.sh"
. "$(dirname "$0")/../../lib/tpm.sh"

ovmf=$TOP/build/ovmf
[[ -e $ovmf/OVMF_CODE_4M.fd ]] || skip "no OVMF at $ovmf: run scripts/install-deps"
export LIBVIRT_QEMU_USER=libvirt-qemu # the user of the guest's QEMU, and of its swtpm
export APPEND=$TPM_APPEND MEM=256 WITNESS="ram_mb=16 rate=200 disks=vda disk_mb=4 disk_rate=20"
G=$LIBVIRT_GUESTS
web=web-$$

libvirt_real_swtpm libvirt-qemu
libvirt_host a
libvirt_plain_host b
listen_at b
at_a=$(libvirt_at a "$G") at_b=$(libvirt_at b "$G")
cp "$ovmf/OVMF_VARS_4M.fd" "$at_a/vars.fd"
head -c 16M /dev/urandom >"$DIR/content"
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/content" "$at_a/base.qcow2"
libvirt_in a "$QEMU_IMG" create -q -f qcow2 -b "$G/base.qcow2" -F qcow2 "$G/web.qcow2"
LIBVIRT_DEVICES="<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>" libvirt_xml $web "$G/web.qcow2:qcow2" |
	sed "s|<kernel>|<loader readonly='yes' type='pflash'>$ovmf/OVMF_CODE_4M.fd</loader><nvram>$G/vars.fd</nvram>&|" >"$DIR/web.xml"
libvirt_in a virsh -q define "$DIR/web.xml" >/dev/null
libvirt_run a $web
tpm_write $web first
uuid=$(libvirt_in a virsh -q domuuid $web)

# The base is named on the guest's line, and would be below an image that is made whole, too.
libvirt_move a b $web 3 --as plain --chain flatten
assert_result '"names what its image is based on" in r["reason"]'
libvirt_move a b $web 0 --as plain
assert_result 'r["verified"]'
assert_eq "$(defined_at a)" "" "guests of libvirt"
guest_adopt $web "$(result 'r["destination_pid"]')"
GUEST_AT[$web]=$at_b
ln -s "$web.serial2" "$at_b/$web.orders"
guest_verify "$(orders $web)"
tpm_assert $web
! pgrep -f "^[^ ]*swtpm socket .*$uuid" || fail "its swtpm of here is there yet"
cmp "$at_a/vars.fd" "$at_b/vars.fd"
cmp "$at_a/base.qcow2" "$at_b/base.qcow2"
grep -q 'swtpm socket' "$at_b/$web.sh" || fail "its script starts no swtpm"
assert_nothing_unfinished
