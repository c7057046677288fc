#!/bin/bash
# A libvirt guest that is shut down goes to a host without libvirt (--as plain), where a script starts it: it boots there from its disks, has its UEFI variables
# and its TPM, and libvirt here does not define it any more. Without --as plain that host refuses it, and names the option. If the agent here dies once libvirt does
# not define the guest, libvirt has it again, as it was.
# tier: gate
export TINY=yes MEM=64
. "$(dirname "$0")/../../lib/libvirt-move.sh"

libvirt_stub_swtpm
libvirt_host a
libvirt_plain_host b
at_a=$(libvirt_at a "$LIBVIRT_GUESTS") at_b=$(libvirt_at b "$LIBVIRT_GUESTS")
listen_at b

moves() { # STATUS GUEST OPTION...: from a to b, cold
	libvirt_move a b "$2" "$1" --how cold "${@:3}"
}

# --- one that boots --------------------------------------------------------------------------

"$QEMU_IMG" create -q -f qcow2 "$at_a/wiki.qcow2" 16M
guest_disk "$at_a/data.qcow2" qcow2 16M
WITNESS="ram_mb=4 rate=100 disks=vda,vdb disk_rate=20 disk_mb=8" \
	libvirt_define a wiki "$LIBVIRT_GUESTS/wiki.qcow2:qcow2" "$LIBVIRT_GUESTS/data.qcow2:qcow2"
libvirt_in a virsh -q snapshot-create-as wiki first >/dev/null
libvirt_in a virsh -q autostart wiki >/dev/null
facts() {
	libvirt_in a virsh dumpxml --security-info --inactive wiki
	libvirt_in a virsh -q snapshot-list wiki --tree
	libvirt_in a virsh dominfo wiki | grep -E 'Autostart|Persistent|UUID'
	md5sum "$at_a/wiki.qcow2" "$at_a/data.qcow2"
}
facts >"$DIR/before"

moves 3 wiki
assert_result '"--as plain" in r["reason"] and r["guest"] == "source"'
vmferry_at a check wiki "${ADDRESS_AT[b]}" --how cold --as plain >"$DIR/check" 2>&1 || fail "check refuses it: $(cat "$DIR/check")"
grep -q 'knows of 1 snapshot of it' "$DIR/check" || fail "check does not tell of its snapshot: $(cat "$DIR/check")"
grep -q -- '--install-unit has it started there' "$DIR/check" || fail "check does not tell of its autostart: $(cat "$DIR/check")"
facts | diff "$DIR/before" - || fail "it is not as it was"

# The agent dies: its guard has libvirt define the guest again.
VMFERRY_FAULT=src-undefined:kill libvirt_move_start a b wiki --how cold --as plain
wait_for 60 process_is_gone "$MOVE_PID" || fail "the agent lives on"
wait "$MOVE_PID" 2>/dev/null || true
defined_again() { [[ $(defined_at a) == wiki ]]; }
wait_for 60 defined_again || fail "libvirt does not have it again"
vmferry_at a recover wiki >"$DIR/recover" 2>&1 || true
facts | diff "$DIR/before" - || fail "it is not back as it was: $(cat "$DIR/recover")"
assert_nothing_unfinished

moves 0 wiki --as plain --start
assert_result 'r["verified"] and r["started_pid"] and "defined" not in r'
assert_eq "$(defined_at a)" "" "guests of libvirt"
grep -q "<name>wiki</name>" "$(result 'r["definition_left"]')" || fail "nothing has its definition"
guest_adopt wiki "$(result 'r["started_pid"]')"
there=$at_b/wiki.serial2
wait_for 60 "$ASK" order "$there" ping 1 >/dev/null 2>&1 || fail "it does not come up there"
guest_verify "$there" blocks
[[ -S $at_b/wiki.qmp ]] || fail "it has no monitor"
"$QEMU_IMG" snapshot -l -U "$at_b/wiki.qcow2" | says first || fail "its snapshot has not gone along"
qmp "$at_b/wiki.qmp" '{"execute": "quit"}' >/dev/null
assert_nothing_unfinished

# --- one with UEFI variables and a TPM --------------------------------------------------------

uuid=0f1e2d3c-0000-4000-8000-00000000abcd
tpm=/var/lib/libvirt/swtpm/$uuid/tpm2/tpm2-00.permall
head -c 3M /dev/urandom >"$at_a/efi.raw"
for name in efi_VARS code; do head -c 131072 /dev/urandom >"$at_a/$name.fd"; done
mkdir -p "$(libvirt_at a "${tpm%/*}")"
head -c 6000 /dev/urandom >"$(libvirt_at a "$tpm")"
LIBVIRT_DEVICES="<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
	<interface type='user'><mac address='52:54:00:12:34:56'/><model type='virtio'/></interface>" libvirt_xml efi "$LIBVIRT_GUESTS/efi.raw:raw" |
	sed "s|<memory |<uuid>$uuid</uuid>&|
		s|</type>|&<loader readonly='yes' type='pflash'>$LIBVIRT_GUESTS/code.fd</loader><nvram>$LIBVIRT_GUESTS/efi_VARS.fd</nvram>|" >"$DIR/efi.xml"
libvirt_in a virsh -q define "$DIR/efi.xml" >/dev/null
mv "$at_a/efi_VARS.fd" "$DIR/efi_VARS.fd"
moves 3 efi --as plain
assert_result '"variables are not there yet" in r["reason"]'
mv "$DIR/efi_VARS.fd" "$at_a/efi_VARS.fd"
moves 0 efi --as plain --disk-dir "$LIBVIRT_GUESTS/new" --map-net 52:54:00:12:34:56=none
assert_result 'r["verified"]'
for name in efi.raw efi_VARS.fd; do cmp "$at_a/$name" "$at_b/new/$name"; done
cmp "$(libvirt_at a "$tpm")" "$at_b"/new/efi.tpm-*/tpm2-00.permall
script=$at_b/new/efi.sh
code=$(sed -n 's/.*readonly=on,file=\([^ ,]*\).*/\1/p' "$script")
cmp "$at_a/code.fd" "$(libvirt_at b "$code")"
for words in "file=$LIBVIRT_GUESTS/new/efi_VARS.fd" "unix:$LIBVIRT_GUESTS/new/efi.qmp," "tpm-crb,tpmdev=" "mac=52:54:00:12:34:56" hubport "swtpm socket"; do
	grep -q -- "$words" "$script" || fail "$words is not in its script: $(cat "$script")"
done
assert_eq "$(defined_at a)" "" "guests of libvirt"
assert_nothing_unfinished

# --- what cannot go so -------------------------------------------------------------------------

LIBVIRT_DEVICES="<shmem name='x'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem>" libvirt_define a odd "$LIBVIRT_GUESTS/data.qcow2:qcow2"
moves 3 odd --as plain
assert_result '"shared memory" in r["reason"] and r["guest"] == "source"'
moves 3 nobody --as plain
assert_result '"libvirt here defines no guest nobody" in r["reason"]'
status=0
vmferry_at a migrate ./odd.sh "${ADDRESS_AT[b]}" --how cold --as plain >"$DIR/usage" 2>&1 || status=$?
assert_eq "$status" 2 "exit code: $(cat "$DIR/usage")"
assert_eq "$(defined_at a)" "odd" "guests of libvirt"
