#!/bin/bash
# A libvirt guest that is shut down goes to another host, and back: disks byte for byte, definition, UEFI variables, TPM, snapshots and autostart
# are at the destination as they were here, in one libvirt's books at any time; libvirt starts it there.
# takes: 15
# tier: gate
export TINY=yes MEM=32
. "$(dirname "$0")/../../lib/libvirt-move.sh"

# libvirt takes no guest with a TPM before it has seen these; none of them is run.
mkdir -p "$DIR/stubs"
for program in swtpm swtpm_setup swtpm_ioctl; do
	printf '#!/bin/sh\necho %s\n' "'{ \"type\": \"$program\", \"features\": [ \"tpm-1.2\", \"tpm-2.0\" ] }'" >"$DIR/stubs/$program"
	chmod 755 "$DIR/stubs/$program"
done
PATH=$DIR/stubs:$PATH
web=web-$$
efi=efi-$$
runs=runs-$$
libvirt_host a
libvirt_host b
at_a=$(libvirt_at a "$LIBVIRT_GUESTS") at_b=$(libvirt_at b "$LIBVIRT_GUESTS")

# A guest with snapshots in its images; another with UEFI variables and a TPM.
head -c 3M /dev/urandom >"$at_a/random"
"$QEMU_IMG" convert -f raw -O qcow2 "$at_a/random" "$at_a/web.qcow2"
"$QEMU_IMG" create -q -f qcow2 "$at_a/data.qcow2" 16M
libvirt_define a $web "$LIBVIRT_GUESTS/web.qcow2:qcow2" "$LIBVIRT_GUESTS/data.qcow2:qcow2"
for name in first second; do libvirt_in a virsh -q snapshot-create-as $web "$name" >/dev/null; done
libvirt_in a virsh -q snapshot-revert $web first
libvirt_in a virsh -q autostart $web >/dev/null

uuid=0f1e2d3c-0000-4000-8000-00000000abcd
tpm=/var/lib/libvirt/swtpm/$uuid/tpm2/tpm2-00.permall
mv "$at_a/random" "$at_a/efi.raw"
for name in efi_VARS code; do head -c 131072 /dev/urandom >"$at_a/$name.fd"; done
mkdir -p "$(libvirt_at a "${tpm%/*}")"
head -c 6000 /dev/urandom >"$(libvirt_at a "$tpm")"
LIBVIRT_DEVICES="<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>" libvirt_xml $efi "$LIBVIRT_GUESTS/efi.raw:raw" |
	sed "s|<memory |<uuid>$uuid</uuid>&|
		s|</type>|&<loader readonly='yes' type='pflash'>$LIBVIRT_GUESTS/code.fd</loader><nvram>$LIBVIRT_GUESTS/efi_VARS.fd</nvram>|" >"$DIR/efi.xml"
libvirt_in a virsh -q define "$DIR/efi.xml" >/dev/null

libvirt_in a virsh -q autostart $efi --once >/dev/null 2>&1 || true # libvirt 11.2 and later
facts() { # HOST: what libvirt has of both, and their files
	local name
	for name in $web $efi; do
		libvirt_in "$1" virsh dumpxml --security-info --inactive "$name"
		libvirt_in "$1" virsh -q snapshot-list "$name" --tree
		libvirt_in "$1" virsh dominfo "$name" | grep -E 'Autostart|Persistent|UUID'
	done
	libvirt_in "$1" virsh snapshot-current $web --name
	(cd "$(libvirt_at "$1" "$LIBVIRT_GUESTS")" && md5sum data.qcow2 web.qcow2 efi.raw efi_VARS.fd code.fd)
	md5sum <"$(libvirt_at "$1" "$tpm")"
}

facts a >"$DIR/before"
grep -qx first "$DIR/before" || fail "the guest has no snapshots"
listen_at a
listen_at b

vmferry_at a list >"$DIR/list"
grep -qE "^$web +- +shut down .* libvirt +cold\$" "$DIR/list" || fail "it is not listed: $(cat "$DIR/list")"
vmferry_at a check $web "${ADDRESS_AT[b]}" --how cold >"$DIR/check" 2>&1 || fail "check refuses it: $(cat "$DIR/check")"
assert_eq "$(defined_at a) - $(defined_at b)" "$efi $web - " "guests of either libvirt"
libvirt_define a "idle-$$" # a name that no other guest of this machine has
! vmferry_at a check "idle-$$" "${ADDRESS_AT[b]}" >"$DIR/check" 2>&1 || fail "a guest that is shut down is to go live"
libvirt_in a virsh -q undefine "idle-$$"
grep -q -- '--how cold' "$DIR/check" || fail "the way is not said: $(<"$DIR/check")"

libvirt_move a b $web 0 --how cold
assert_result 'r["verified"] and r["defined"].startswith("web-") and r["autostart"]'
left=$(result 'r["definition_left"]')
grep -q "<name>$web</name>" "$left" || fail "$left does not have its definition"
assert_eq "$(defined_at a) - $(defined_at b)" "$efi - $web" "guests of either libvirt"
libvirt_move a b $efi 0 --how cold
assert_eq "$(stat -c %a "$(libvirt_at b "${tpm%/*/*/*}")" "$(libvirt_at b "${tpm%/*/*}")" | xargs)" "711 711" "rights to what swtpm's user goes through"
facts b | diff "$DIR/before" - || fail "they are not there as they were here"
assert_eq "$(ls -A "$(libvirt_at a /etc/libvirt/qemu/autostart)")" "" "what libvirt here would start"
assert_nothing_unfinished

# Back again, over the old copies.
libvirt_move b a $web 0 --how cold --reuse auto
VMFERRY_FAULT=dst-tpm-not-durable:fail listen_at a
libvirt_move b a $efi 1 --how cold --reuse auto
md5sum <"$(libvirt_at a "$tpm")" | diff - <(md5sum <"$(libvirt_at b "$tpm")") || fail "what its TPM held in its earlier stay is gone"
[[ -z $(find "$(libvirt_at a "${tpm%/*/*/*}")" -name '*.vmferry-*') ]] || fail "what its TPM held has another name"
listen_at a
libvirt_move b a $efi 0 --how cold --reuse auto
aside=$(find "$(libvirt_at a "${tpm%/*/*/*}")" -name '*.vmferry-*' -printf '%f\n')
assert_result '"/'"$aside"': you may delete it" in str(events)' "what is told of the TPM of the earlier stay ($aside)"
assert_is_at a b "$efi $web"
facts a | diff "$DIR/before" - || fail "they are not back as they were"
[[ ! -e $left ]] || fail "$left is there still, though the guest is back"
assert_nothing_unfinished

# A guest that runs by its definition: libvirt starts it there.
guest_disk "$at_a/runs.raw" raw 16M
WITNESS="ram_mb=4 rate=0" libvirt_define a $runs "$LIBVIRT_GUESTS/runs.raw:raw"
libvirt_move a b $runs 0 --how cold --start
assert_result 'r["started"] and "after_error" not in r' "started there"
wait_for 60 grep -aqs 'witness ready' "$at_b/$runs.console" || fail "it does not come up there: $(tail -n 3 "$at_b/$runs.console")"
