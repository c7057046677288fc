#!/bin/bash
# A libvirt guest with UEFI firmware and a TPM goes, as it runs, to where its replica is: its variables are among its disks there, and its TPM, which is in no point, goes with
# it, in memory (a PCR) and kept (an NV index). It gets disks of its own there, and comes back so as a plain guest.
# takes: 60
# timeout: 300
. "$(dirname "$0")/../../lib/libvirt-move.sh"
. "$(dirname "$0")/../../lib/tpm.sh"

ovmf=$TOP/build/ovmf
[[ -e $ovmf/OVMF_CODE_4M.fd ]] || skip "no OVMF at $ovmf: run scripts/install-deps"
export LIBVIRT_QEMU_USER=libvirt-qemu PATH=${QEMU_IMG%/*}:$PATH # the user of the guest's QEMU, and of its swtpm
export APPEND=$TPM_APPEND MEM=256 WITNESS="ram_mb=16 rate=200 disks=vda disk_mb=4 disk_rate=20"
G=$LIBVIRT_GUESTS
NAME=tpm-$$

libvirt_real_swtpm libvirt-qemu
libvirt_host a
libvirt_plain_host b
listen_at b
at_a=$(libvirt_at a "$G") at_b=$(libvirt_at b "$G")

replica_at() { # HOST SUBCOMMAND [WORD...]
	vmferry_at "$1" replica "${@:2}" >"$DIR/replica.out" 2>"$DIR/replica.err" || fail "replica $2 at $1: $(tail -n 3 "$DIR/replica.out" "$DIR/replica.err")"
}

cp "$ovmf/OVMF_VARS_4M.fd" "$at_a/vars.fd"
"$QEMU_IMG" create -q -f qcow2 "$at_a/web.qcow2" 16M
LIBVIRT_DEVICES="<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>" libvirt_xml "$NAME" "$G/web.qcow2:qcow2" |
	sed "s|<kernel>|<loader readonly='yes' type='pflash'>$ovmf/OVMF_CODE_4M.fd</loader><nvram>$G/vars.fd</nvram>&|" >"$DIR/web.xml"
libvirt_in a virsh -q define "$DIR/web.xml" >/dev/null
libvirt_run a "$NAME"
tpm_write "$NAME" first
replica_at a add "$NAME" "${ADDRESS_AT[b]}" --disk-dir "$G"
replica_at a failover "$NAME" --planned

runs_in() { # DIRECTORY: so it does, with what it had
	guest_adopt "$NAME" "$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["run"]["pid"])' "$1/$NAME.replica/replica.json")"
	GUEST_AT[$NAME]=$1
	ln -s "$NAME.serial2" "$1/$NAME.orders"
	guest_verify "$(orders "$NAME")"
	tpm_assert "$NAME"
	grep -q 'swtpm socket' "$1/$NAME.sh" || fail "its script starts no swtpm"
}

runs_in "$at_b"
assert_eq "$(defined_at a)" "" "guests of libvirt"
replica_at b failover "$NAME" --complete
guest_verify "$(orders "$NAME")"
vars=$(find "$at_b" -name "$NAME-disk*.raw" -size 528k)
cmp "$at_a/vars.fd" "$vars"

mkdir "$at_a/back"
listen_at a
replica_at b reverse "$NAME" "${ADDRESS_AT[a]}" --disk-dir "$G/back"
replica_at b failover "$NAME" --planned
runs_in "$at_a/back"
assert_nothing_unfinished
