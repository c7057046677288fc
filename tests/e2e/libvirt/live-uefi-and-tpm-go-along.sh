#!/bin/bash
# A libvirt guest with UEFI firmware and a TPM goes to another host as it runs, and back: its variables are there as a disk is, and its TPM holds what it held, in
# memory (a PCR) and kept (an NV index), as the guest reads it. libvirt at either host has one swtpm while the guest is there, and none afterwards.
# takes: 60
# timeout: 300
. "$(dirname "$0")/../../lib/libvirt-move.sh"
. "$(dirname "$0")/../../lib/tpm.sh"

ovmf=$TOP/build/ovmf
[[ -e $ovmf/OVMF_CODE_4M.fd ]] || skip "no OVMF at $ovmf: run scripts/install-deps"
export APPEND=$TPM_APPEND MEM=256 WITNESS="ram_mb=16 rate=200 disks=vda disk_mb=4 disk_rate=20"
G=$LIBVIRT_GUESTS
web=web-$$

libvirt_real_swtpm root
for host in a b; do
	libvirt_host $host
	listen_at $host
done
at_a=$(libvirt_at a "$G")
cp "$ovmf/OVMF_VARS_4M.fd" "$at_a/vars.fd"
"$QEMU_IMG" create -q -f qcow2 "$at_a/web.qcow2" 16M
LIBVIRT_DEVICES="<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>" libvirt_xml $web "$G/web.qcow2:qcow2" |
	sed "s|<kernel>|<loader readonly='yes' type='pflash'>$ovmf/OVMF_CODE_4M.fd</loader><nvram>$G/vars.fd</nvram>&|" >"$DIR/web.xml"
libvirt_in a virsh -q define "$DIR/web.xml" >/dev/null
libvirt_run a $web
! cmp -s "$ovmf/OVMF_VARS_4M.fd" "$at_a/vars.fd" || fail "the firmware has written no variables"
tpm_write $web first

uuid=$(libvirt_in a virsh -q domuuid $web)

swtpms() {
	pgrep -f "^[^ ]*swtpm socket .*$uuid" || true
}

one_swtpm() {
	[[ $(swtpms | wc -l) -eq 1 ]]
}

arrived() { # HOST OTHER
	assert_is_at "$1" "$2" $web
	guest_adopt $web "$(<"$(libvirt_at "$1" "/run/libvirt/qemu/$web.pid")")"
	GUEST_AT[$web]=$(libvirt_at "$1" "$G")
	guest_verify "$(orders $web)"
	tpm_assert $web
	wait_for 60 one_swtpm || fail "swtpms of the guest: $(swtpms | xargs -r ps -o pid=,args= -p)"
	assert_nothing_unfinished
}

libvirt_move a b $web 0
arrived b a
cmp "$at_a/vars.fd" "$(libvirt_at b "$G/vars.fd")"
tpm_write $web second
libvirt_move b a $web 0 --reuse auto
arrived a b
